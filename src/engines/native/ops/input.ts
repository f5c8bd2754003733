/** Frames from outside, normalised, in a border of zeros where their reader wants one. */
import type { NodeOf } from '../../../network/graph.ts'
import type { ResolvedNode } from '../../../network/resolve.ts'
import { bordered } from '../../planning/computed-graph.ts'
import { extentOf, normalisationFields } from '../geometry.ts'
import type { ProgramWriter } from '../writer.ts'
import type { NativeOp } from './op.ts'

export const input: NativeOp<'input'> = { infer: forward, train: forward }

function forward(w: ProgramWriter, { node, shape }: ResolvedNode<NodeOf<'input'>>): void {
  const border = w.graph.borderOf(node)
  if (border) w.setBorder(node.name, border)
  w.builder.step('input', node.name, {
    y: w.output(node.name, bordered(shape, border)),
    in: extentOf(w.batch, shape),
    borderHeight: border?.height ?? 0,
    borderWidth: border?.width ?? 0,
    external: w.inputs.indexOf(node.name),
    ...normalisationFields(w.normalisation),
  })
}
