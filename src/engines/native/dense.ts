/** Products over all input channels, which convolutions and linear layers are: as a matrix product, or by Winograd. */
import type { NodeOf } from '../../network/graph.ts'
import type { ResolvedNode } from '../../network/resolve.ts'
import type { Value } from '../planning/arena.ts'
import { bordered, type Window, windowOver } from '../planning/computed-graph.ts'
import { extentOf, isPointwise, positionsOf, tapsOf } from './geometry.ts'
import type { InferenceWriter } from './inference.ts'
import type { External } from './program.ts'
import type { TrainingWriter } from './training.ts'
import { type WinogradUse, winogradSizes, writeWinograd } from './winograd.ts'
import type { ProgramWriter } from './writer.ts'

type Dense = ResolvedNode<NodeOf<'conv' | 'linear'>>

export function inferDense(w: InferenceWriter, resolved: Dense, whole: Window): void {
  const { node, shape } = resolved
  const isConv = node.kind === 'conv'
  const chain = w.chainOf(resolved, { residual: isConv })
  const { window, border, sizes } = sizesOf(w, resolved, whole)
  const gated = isPointwise(window) ? w.pending.get(node.input) : undefined
  const { key, values } = w.weightsOf(resolved, chain)
  const bf16 = w.precision === 'bf16' && !w.isExact(node.name)
  // Its transforms would round values that are larger than their differences.
  const winograd =
    !bf16 && !border && winogradSizes(window, w.batch, shape, sizes.inChannels, sizes.outChannels, 'constant')
  const fields = {
    x: gated ? gated.source : w.read(node.input),
    y: w.output(chain.last, shape),
    bias: w.biasOf(resolved, chain),
    residual: chain.residual === undefined ? undefined : w.read(chain.residual),
    activation: chain.activation,
  }
  if (winograd) {
    const packed = w.constants.packedWinograd(`${key} winograd`, winograd, values)
    return writeWinograd(w, w.builder, 'winograd', chain.last, winograd, { ...fields, packed })
  }
  w.builder.step(bf16 ? 'denseBf16' : 'dense', chain.last, {
    ...fields,
    ...sizes,
    packed: w.constants.packed(key, tapsOf(window.kernel), sizes.inner, shape.channels, bf16, values),
    gates: gated?.gates,
    prologue: gated?.activation,
  })
}

export function trainDense(w: TrainingWriter, resolved: Dense, whole: Window): void {
  const { node, shape } = resolved
  const [weight, bias] = resolved.parameters
  const { window, border, sizes } = sizesOf(w, resolved, whole)
  const { inChannels, outChannels } = sizes
  const winogradFor = (use: WinogradUse) =>
    border ? undefined : winogradSizes(window, w.batch, shape, inChannels, outChannels, use)
  const winograd = winogradFor('changing')
  /** The same convolution's steps where Winograd's filtering computes it; the backward one reads dy. */
  const filtered = (
    transposed: boolean,
    fields: { x: Value; y: Value; bias?: Value | External; accumulate?: boolean },
  ) => {
    const channels = transposed
      ? { inChannels: outChannels, outChannels: inChannels }
      : { inChannels, outChannels }
    const turned = { ...winograd!, ...channels }
    const size = w.addon.winogradPackedSize(turned.temporal, turned.inChannels, turned.outChannels)
    const packed = w.builder.value(`${node.name} packed`, size)
    w.builder.step('packWinograd', node.name, {
      weights: w.gather(weight!),
      packed,
      in: inChannels,
      out: outChannels,
      temporal: turned.temporal,
      transposed,
    })
    const name = transposed ? `${node.name} backward` : node.name
    writeWinograd(w, w.builder, 'winograd', name, turned, { ...fields, packed })
  }
  const packed = (transposed: boolean) => {
    const weights = w.gather(weight!)
    const taps = tapsOf(window.kernel)
    const [inner, columns] = transposed ? [outChannels, sizes.inner] : [sizes.inner, outChannels]
    const size = w.addon.packedSize(taps, inner, columns, false)
    const value = w.builder.value(`${node.name} packed`, size)
    w.builder.step('packDense', node.name, {
      weights,
      packed: value,
      taps,
      in: sizes.inner,
      out: outChannels,
      transposed,
    })
    return value
  }
  const x = w.read(node.input)
  const y = w.output(node.name, shape)
  const added = bias && { bias: w.gather(bias) }
  if (winograd) filtered(false, { x, y, ...added })
  else w.builder.step('dense', node.name, { x, y, ...added, packed: packed(false), ...sizes })
  w.onBackward(node.name, (dy) => {
    if (bias) {
      const db = w.builder.value(`gradient of ${bias.name}`, outChannels)
      w.builder.step('reduceParts', bias.name, {
        x: dy,
        y: db,
        batch: 1,
        parts: w.batch * positionsOf(shape),
        channels: outChannels,
        factor: 1,
      })
      w.scatter(bias, db)
    }
    w.addGradient(weight!, (dw, accumulate) => {
      const summed = winogradFor('gradient')
      const values = { x, dy, dw, accumulate }
      if (summed) writeWinograd(w, w.builder, 'winogradWeightGradient', node.name, summed, values)
      else w.builder.step('denseWeightGradient', node.name, { ...values, ...sizes })
    })
    const dx = w.gradientOf(node.input)
    if (!dx) return
    if (winograd) return filtered(true, { x: dy, y: dx.value, accumulate: dx.accumulate })
    w.builder.step('dense', `${node.name} backward`, {
      ...window,
      x: dy,
      packed: packed(true),
      y: dx.value,
      in: sizes.out,
      out: sizes.in,
      inChannels: outChannels,
      inner: outChannels,
      outChannels: inChannels,
      transposed: true,
      accumulate: dx.accumulate,
    })
  })
}

/** The extents, window and channels of a product over what its input's value really holds, border and all. */
function sizesOf(w: ProgramWriter, { node, shape, inputs }: Dense, whole: Window) {
  const [given] = inputs
  const border = w.borderOf(node.input)
  const { window, inner } = windowOver(whole, given!.channels, border)
  const sizes = {
    ...window,
    in: extentOf(w.batch, bordered(given!, border)),
    out: extentOf(w.batch, shape),
    inChannels: given!.channels,
    inner,
    outChannels: shape.channels,
  }
  return { window, border, sizes }
}
