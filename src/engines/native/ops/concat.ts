/** Concatenation along the channels: each input's channels are copied to their place. */
import type { NodeOf } from '../../../network/graph.ts'
import type { ResolvedNode } from '../../../network/resolve.ts'
import { positionsOf } from '../geometry.ts'
import type { ProgramWriter } from '../writer.ts'
import type { NativeOp } from './op.ts'

export const concat: NativeOp<'concat'> = {
  infer(w, resolved) {
    forward(w, resolved)
  },

  train(w, resolved) {
    const { node, shape } = resolved
    for (const { name, rows, count, start } of forward(w, resolved)) {
      w.onBackward(node.name, (dy) => {
        const dx = w.gradientOf(name)
        if (!dx) return
        w.builder.step('copyChannels', `${node.name} backward`, {
          x: dy,
          y: dx.value,
          rows,
          count,
          xChannels: shape.channels,
          xStart: start,
          yChannels: count,
          accumulate: dx.accumulate,
        })
      })
    }
  },
}

function forward(w: ProgramWriter, { node, shape, inputs }: ResolvedNode<NodeOf<'concat'>>) {
  const rows = w.batch * positionsOf(shape)
  const y = w.output(node.name, shape)
  let end = 0
  return node.inputs.map((name, i) => {
    const count = inputs[i]!.channels
    const start = end
    end += count
    const widths = { xChannels: count, yChannels: shape.channels, yStart: start }
    w.builder.step('copyChannels', node.name, { x: w.read(name), y, rows, count, ...widths })
    return { name, rows, count, start }
  })
}
