/** Dropout, as the environment does it. */
import * as tf from '@tensorflow/tfjs-core'
import type { TfjsOp } from './op.ts'

export const dropout: TfjsOp<'dropout'> = {
  forward: ({ node }, { read, dropout: drop }) => drop(node, read(node.input)),
  backward({ node }, dy, { dropoutMask }) {
    return { inputs: [tf.mul(dy, dropoutMask(node.name)) as tf.Tensor5D], parameters: {} }
  },
}
