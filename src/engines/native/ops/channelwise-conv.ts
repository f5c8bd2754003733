/** A convolution of each channel by itself. */
import { isKind } from '../../../network/resolve.ts'
import { extentsOf, positionsOf, tapsOf, windowOf } from '../geometry.ts'
import type { NativeOp } from './op.ts'

export const channelwiseConv: NativeOp<'channelwiseConv'> = {
  infer(w, resolved) {
    const { node, shape } = resolved
    const chain = w.chainOf(resolved, { residual: false })
    const isAveraged = w.graph
      .readersOf(chain.last)
      .some((reader) => isKind(reader, 'globalPool') && positionsOf(reader.shape) === 1)
    const parts = shape.frames * shape.height
    const sums = isAveraged
      ? w.builder.value(`${chain.last} sums`, w.batch * parts * shape.channels)
      : undefined
    if (sums) w.sums.set(chain.last, { value: sums, parts })
    const { key, values } = w.weightsOf(resolved, chain)
    w.builder.step('channelwise', chain.last, {
      x: w.read(node.input),
      y: w.output(chain.last, shape),
      ...extentsOf(w.batch, resolved),
      ...windowOf(node),
      channels: shape.channels,
      weights: w.constants.plain(key, tapsOf(node.kernel) * shape.channels, values),
      bias: w.biasOf(resolved, chain),
      activation: chain.activation,
      sums,
    })
  },

  train(w, resolved) {
    const { node, shape, parameters } = resolved
    const [weight] = parameters
    const { in: inExtent, out: outExtent } = extentsOf(w.batch, resolved)
    const fields = { ...windowOf(node), channels: shape.channels, in: inExtent, out: outExtent }
    const x = w.read(node.input)
    w.builder.step('channelwise', node.name, {
      ...fields,
      x,
      y: w.output(node.name, shape),
      weights: w.gather(weight!),
    })
    w.onBackward(node.name, (dy) => {
      const dw = w.builder.value(`gradient of ${weight!.name}`, tapsOf(node.kernel) * shape.channels)
      w.builder.step('channelwiseWeightGradient', node.name, { ...fields, x, dy, dw })
      w.scatter(weight!, dw)
      const dx = w.gradientOf(node.input)
      if (!dx) return
      w.builder.step('channelwise', `${node.name} backward`, {
        ...fields,
        x: dy,
        y: dx.value,
        weights: w.gather(weight!),
        in: outExtent,
        out: inExtent,
        transposed: true,
        accumulate: dx.accumulate,
      })
    })
  },
}
