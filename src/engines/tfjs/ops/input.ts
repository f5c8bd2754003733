/** Frames from outside. */
import * as tf from '@tensorflow/tfjs-core'
import type { TfjsOp } from './op.ts'

export const input: TfjsOp<'input'> = {
  forward({ node, shape }, { input }) {
    const { data, batch } = input(node.name)
    return tf.tensor5d(data, [batch, shape.frames, shape.height, shape.width, shape.channels])
  },
  backward: () => ({ inputs: [], parameters: {} }),
}
