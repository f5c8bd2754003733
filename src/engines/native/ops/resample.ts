/** Adaptive average pooling to another extent; where it is the same one, another name of the input. */
import type { NodeOf } from '../../../network/graph.ts'
import type { ResolvedNode } from '../../../network/resolve.ts'
import { extentsOf } from '../geometry.ts'
import type { ProgramWriter } from '../writer.ts'
import type { NativeOp } from './op.ts'

export const resample: NativeOp<'resample'> = {
  infer(w, resolved) {
    forward(w, resolved)
  },

  train(w, resolved) {
    const { node } = resolved
    const fields = forward(w, resolved)
    if (!fields) return
    w.onBackward(node.name, (dy) => {
      const dx = w.gradientOf(node.input)
      if (!dx) return
      const step = { ...fields, x: dx.value, y: dy, backward: true, accumulate: dx.accumulate }
      w.builder.step('resample', `${node.name} backward`, step)
    })
  },
}

/** The step's sizes, or undefined where there is none. */
function forward(w: ProgramWriter, resolved: ResolvedNode<NodeOf<'resample'>>) {
  const { node, shape, inputs } = resolved
  const [from] = inputs
  if (from!.frames === shape.frames && from!.height === shape.height && from!.width === shape.width) {
    w.alias(node.name, node.input)
    return undefined
  }
  const fields = { ...extentsOf(w.batch, resolved), channels: shape.channels }
  const x = w.read(node.input)
  w.builder.step('resample', node.name, { ...fields, x, y: w.output(node.name, shape) })
  return fields
}
