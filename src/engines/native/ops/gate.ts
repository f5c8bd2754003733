/** Values times a gate per sample and channel. */
import { isPointwise, positionsOf } from '../geometry.ts'
import type { NativeOp } from './op.ts'

export const gate: NativeOp<'gate'> = {
  /** A convolution of 1×1×1 that reads it computes it on the way. */
  infer(w, resolved) {
    const { node, shape } = resolved
    const { last, activation } = w.chain(resolved)
    const pending = { source: w.read(node.input), gates: w.read(node.gate), activation }
    const reader = w.graph.onlyReader(last)?.node
    if (reader?.kind === 'conv' && isPointwise(reader)) w.pending.set(last, pending)
    else w.pointwise(last, shape, { a: pending.source, gates: pending.gates, activation })
  },

  train(w, resolved) {
    const { node, shape } = resolved
    const { last, activation } = w.chain(resolved)
    const fields = {
      a: w.read(node.input),
      gates: w.read(node.gate),
      batch: w.batch,
      positions: positionsOf(shape),
      channels: shape.channels,
      activation,
    }
    w.builder.step('pointwise', last, { ...fields, y: w.output(last, shape) })
    w.onBackward(last, (dy) => {
      const da = w.gradientOf(node.input)!
      w.builder.step('pointwiseBackward', last, {
        ...fields,
        dy,
        da: da.value,
        accumulateA: da.accumulate,
        dgates: w.gradientOf(node.gate)!.value,
      })
    })
  },
}
