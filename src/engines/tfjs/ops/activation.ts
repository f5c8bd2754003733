/** Activations. */
import * as tf from '@tensorflow/tfjs-core'
import type { ActivationFunction } from '../../../network/graph.ts'
import type { TfjsOp } from './op.ts'

export const activation: TfjsOp<'activation'> = {
  forward: ({ node }, { read }) => activate(read(node.input), node.activation),
  backward({ node }, dy, { read, output }) {
    return { inputs: [throughActivation(node.activation, read(node.input), output, dy)], parameters: {} }
  },
}

export function activate(x: tf.Tensor5D, activation: ActivationFunction): tf.Tensor5D {
  switch (activation) {
    case 'relu':
      return tf.relu(x)
    case 'relu6':
      return tf.relu6(x)
    case 'sigmoid':
      return tf.sigmoid(x)
    case 'swish':
      return tf.mul(x, tf.sigmoid(x))
  }
}

function throughActivation(
  activation: ActivationFunction,
  x: tf.Tensor5D,
  y: tf.Tensor5D,
  dy: tf.Tensor5D,
): tf.Tensor5D {
  switch (activation) {
    case 'relu':
      return tf.mul(dy, tf.step(y))
    case 'relu6':
      return tf.mul(dy, tf.mul(tf.step(y), tf.step(tf.sub(6, y))))
    case 'sigmoid':
      return tf.mul(dy, tf.mul(y, tf.sub(1, y)))
    case 'swish': {
      // y = x·σ(x), so y' = σ + y·(1 − σ).
      const sigmoid = tf.sigmoid(x)
      return tf.mul(dy, tf.add(sigmoid, tf.mul(y, tf.sub(1, sigmoid))))
    }
  }
}
