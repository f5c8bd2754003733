/** A sum, and the activation behind it. */
import { trainPointwise } from '../pointwise.ts'
import type { NativeOp } from './op.ts'

export const add: NativeOp<'add'> = {
  infer(w, resolved) {
    const { last, activation } = w.chain(resolved)
    const [a, b] = resolved.node.inputs
    w.pointwise(last, resolved.shape, { a: w.read(a), b: w.read(b), activation })
  },
  train(w, resolved) {
    const { last, activation } = w.chain(resolved)
    const [a, b] = resolved.node.inputs
    trainPointwise(w, resolved.shape, { last, a, b, activation })
  },
}
