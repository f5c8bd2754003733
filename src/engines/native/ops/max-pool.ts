/** The largest value of each window. */
import type { NodeOf } from '../../../network/graph.ts'
import type { ResolvedNode } from '../../../network/resolve.ts'
import { extentsOf, windowOf } from '../geometry.ts'
import type { ProgramWriter } from '../writer.ts'
import type { NativeOp } from './op.ts'

export const maxPool: NativeOp<'maxPool'> = {
  infer(w, resolved) {
    forward(w, resolved)
  },

  train(w, resolved) {
    const { node } = resolved
    const fields = forward(w, resolved)
    w.onBackward(node.name, (dy) => {
      const dx = w.gradientOf(node.input)
      if (!dx) return
      const step = { ...fields, dy, dx: dx.value, accumulate: dx.accumulate }
      w.builder.step('maxPool', `${node.name} backward`, step)
    })
  },
}

function forward(w: ProgramWriter, resolved: ResolvedNode<NodeOf<'maxPool'>>) {
  const { node, shape } = resolved
  const sizes = { ...extentsOf(w.batch, resolved), ...windowOf(node), channels: shape.channels }
  const fields = { ...sizes, x: w.read(node.input) }
  w.builder.step('maxPool', node.name, { ...fields, y: w.output(node.name, shape) })
  return fields
}
