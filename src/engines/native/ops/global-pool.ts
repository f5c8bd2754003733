/** Means over all frames and a window of positions, mostly all of them. */
import type { NodeOf } from '../../../network/graph.ts'
import type { ResolvedNode } from '../../../network/resolve.ts'
import { extentsOf, NO_PADDING, positionsOf, UNIT } from '../geometry.ts'
import type { ProgramWriter } from '../writer.ts'
import type { NativeOp } from './op.ts'

export const globalPool: NativeOp<'globalPool'> = {
  /** Where the node before has summed its rows, these are all that is read. */
  infer(w, resolved) {
    const { node, shape } = resolved
    const sums = w.sums.get(node.input)
    if (!sums || positionsOf(shape) > 1) return void forward(w, resolved)
    w.builder.step('reduceParts', node.name, {
      x: sums.value,
      y: w.output(node.name, shape),
      batch: w.batch,
      parts: sums.parts,
      channels: shape.channels,
      factor: 1 / positionsOf(resolved.inputs[0]!),
    })
  },

  train(w, resolved) {
    const { node } = resolved
    const fields = forward(w, resolved)
    w.onBackward(node.name, (dy) => {
      const dx = w.gradientOf(node.input)
      if (!dx) return
      const step = { ...fields, x: dx.value, y: dy, backward: true, accumulate: dx.accumulate }
      w.builder.step('averagePool', `${node.name} backward`, step)
    })
  },
}

function forward(w: ProgramWriter, resolved: ResolvedNode<NodeOf<'globalPool'>>) {
  const { node, shape } = resolved
  const window = { kernel: resolved.kernel!, stride: UNIT, padding: NO_PADDING }
  const fields = { ...extentsOf(w.batch, resolved), ...window, channels: shape.channels }
  const x = w.read(node.input)
  w.builder.step('averagePool', node.name, { ...fields, x, y: w.output(node.name, shape) })
  return fields
}
