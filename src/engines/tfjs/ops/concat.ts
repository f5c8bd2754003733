/** Concatenation along the channels. */
import * as tf from '@tensorflow/tfjs-core'
import type { TfjsOp } from './op.ts'

export const concat: TfjsOp<'concat'> = {
  forward: ({ node }, { read }) => tf.concat(node.inputs.map(read), 4),
  backward({ node }, dy, { read }) {
    const counts = node.inputs.map((name) => read(name).shape[4])
    return { inputs: tf.split(dy, counts, 4) as tf.Tensor5D[], parameters: {} }
  },
}
