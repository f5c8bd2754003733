/** A sum. */
import * as tf from '@tensorflow/tfjs-core'
import type { TfjsOp } from './op.ts'

export const add: TfjsOp<'add'> = {
  forward: ({ node }, { read }) => tf.add(read(node.inputs[0]), read(node.inputs[1])),
  backward: (_, dy) => ({ inputs: [dy, dy], parameters: {} }),
}
