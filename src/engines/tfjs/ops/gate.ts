/** Values times a gate per sample and channel. */
import * as tf from '@tensorflow/tfjs-core'
import type { TfjsOp } from './op.ts'

export const gate: TfjsOp<'gate'> = {
  forward: ({ node }, { read }) => applyGate(read(node.input), read(node.gate)),
  backward({ node }, dy, { read }) {
    const [batch, frames, height, width, channels] = dy.shape
    const flat = (x: tf.Tensor5D) => tf.reshape(x, [batch, frames * height * width, channels])
    const gates = tf.reshape(read(node.gate), [batch, 1, channels])
    const dx = tf.reshape<tf.Rank.R5>(tf.mul(flat(dy), gates), dy.shape)
    const dgate = tf.sum(tf.mul(flat(dy), flat(read(node.input))), 1)
    return { inputs: [dx, tf.reshape(dgate, [batch, 1, 1, 1, channels])], parameters: {} }
  },
}

/** Multiplies each channel of each sample by its gate [batch, 1, 1, 1, channels]. */
export function applyGate(x: tf.Tensor5D, gates: tf.Tensor5D): tf.Tensor5D {
  const [batch, frames, height, width, channels] = x.shape
  const flat = tf.reshape(x, [batch, frames * height * width, channels])
  return tf.reshape(tf.mul(flat, tf.reshape(gates, [batch, 1, channels])), x.shape)
}
