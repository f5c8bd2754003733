/** An activation that no node before has taken along. */
import { trainPointwise } from '../pointwise.ts'
import type { NativeOp } from './op.ts'

export const activation: NativeOp<'activation'> = {
  infer(w, { node, shape }) {
    w.pointwise(node.name, shape, { a: w.read(node.input), activation: node.activation })
  },
  train(w, { node, shape }) {
    trainPointwise(w, shape, { last: node.name, a: node.input, activation: node.activation })
  },
}
