/** How each kind of node trains: its forward steps, and its backward ones. */
import type { NodeKind, NodeOf } from '../../network/graph.ts'
import { isKind, type ResolvedNode } from '../../network/resolve.ts'
import { bordered, type Window, windowOver } from '../planning/computed-graph.ts'
import { countOf, extentOf, NO_PADDING, normalisationFields, positionsOf, tapsOf, UNIT } from './geometry.ts'
import type { External, Value } from './program.ts'
import type { Steps } from './steps.ts'
import type { TrainingWriter } from './training.ts'
import { type WinogradUse, winogradSizes, writeWinograd } from './winograd.ts'

/** How the steps of each kind of node are written, forward now and backward later. */
const LAYERS: {
  readonly [K in NodeKind]: (w: TrainingWriter, resolved: ResolvedNode<NodeOf<K>>) => void
} = {
  input,
  conv: dense,
  channelwiseConv: channelwise,
  batchNorm,
  activation: pointwise,
  add: pointwise,
  concat,
  gate,
  maxPool,
  globalPool,
  resample,
  dropout,
  linear: dense,
}

export function writeLayer(w: TrainingWriter, resolved: ResolvedNode): void {
  const write = LAYERS[resolved.node.kind] as (w: TrainingWriter, resolved: ResolvedNode) => void
  write(w, resolved)
}

function input(w: TrainingWriter, { node, shape }: ResolvedNode<NodeOf<'input'>>): void {
  const border = w.graph.borderOf(node)
  if (border) w.borders.set(node.name, border)
  w.builder.step('input', node.name, {
    y: w.output(node.name, countOf(w.batch, bordered(shape, border))),
    in: extentOf(w.batch, shape),
    borderHeight: border?.height ?? 0,
    borderWidth: border?.width ?? 0,
    external: w.inputIndex(node.name),
    ...normalisationFields(w.normalisation),
  })
}

function dense(w: TrainingWriter, resolved: ResolvedNode<NodeOf<'conv' | 'linear'>>): void {
  const { node, shape, parameters } = resolved
  const given = resolved.inputs[0]!
  const border = w.borders.get(node.input)
  const full: Window = node.kind === 'conv' ? node : { kernel: UNIT, stride: UNIT, padding: NO_PADDING }
  const { window, depth } = windowOver(full, given.channels, border)
  const taps = tapsOf(window.kernel)
  const inExtent = extentOf(w.batch, bordered(given, border))
  const outExtent = extentOf(w.batch, shape)
  const [weight, bias] = parameters
  const winogradFor = (use: WinogradUse) =>
    border ? undefined : winogradSizes(window, w.batch, shape, given.channels, shape.channels, use)
  const winograd = winogradFor('changing')
  /** The same convolution's steps where Winograd's filtering computes it; the backward one reads dy. */
  const filtered = (
    transposed: boolean,
    fields: { x: Value; y: Value; bias?: Value | External; accumulate?: boolean },
  ) => {
    const [inChannels, outChannels] = transposed
      ? [shape.channels, given.channels]
      : [given.channels, shape.channels]
    const sizes = { ...winograd!, inChannels, outChannels }
    const packed = w.builder.value(
      `${node.name} packed`,
      w.addon.winogradPackedSize(sizes.temporal, inChannels, outChannels),
    )
    w.builder.step('packWinograd', node.name, {
      weights: w.gather(weight!),
      packed,
      in: given.channels,
      out: shape.channels,
      temporal: sizes.temporal,
      transposed,
    })
    const name = transposed ? `${node.name} backward` : node.name
    writeWinograd(w, w.builder, 'winograd', name, sizes, { ...fields, packed })
  }
  const packed = (transposed: boolean) => {
    const values = w.gather(weight!)
    const columns = transposed ? depth : shape.channels
    const inner = transposed ? shape.channels : depth
    const value = w.builder.value(`${node.name} packed`, w.addon.packedSize(taps, inner, columns, false))
    w.builder.step('packDense', node.name, {
      weights: values,
      packed: value,
      taps,
      in: depth,
      out: shape.channels,
      transposed,
    })
    return value
  }
  const fields = {
    in: inExtent,
    out: outExtent,
    inChannels: given.channels,
    depth,
    outChannels: shape.channels,
    ...window,
  }
  const x = w.read(node.input)
  const y = w.output(node.name, countOf(w.batch, shape))
  const added = bias && { bias: w.gather(bias) }
  if (winograd) filtered(false, { x, y, ...added })
  else w.builder.step('dense', node.name, { x, y, ...added, packed: packed(false), ...fields })
  w.onBackward(node.name, (dy) => {
    if (bias) {
      const db = w.builder.value(`gradient of ${bias.name}`, shape.channels)
      const rows = w.batch * positionsOf(shape)
      w.builder.step('reduceParts', bias.name, {
        x: dy,
        y: db,
        batch: 1,
        parts: rows,
        channels: shape.channels,
        factor: 1,
      })
      w.scatter(bias, db)
    }
    w.addGradient(weight!, (dw, accumulate) => {
      const summed = winogradFor('gradient')
      const values = { x, dy, dw, accumulate }
      if (summed) writeWinograd(w, w.builder, 'winogradWeightGradient', node.name, summed, values)
      else w.builder.step('denseWeightGradient', node.name, { ...values, ...fields })
    })
    const dx = w.gradientOf(node.input)
    if (!dx) return
    if (winograd) return filtered(true, { x: dy, y: dx.value, accumulate: dx.accumulate })
    w.builder.step('dense', `${node.name} backward`, {
      x: dy,
      packed: packed(true),
      y: dx.value,
      in: outExtent,
      out: inExtent,
      inChannels: shape.channels,
      depth: shape.channels,
      outChannels: given.channels,
      ...window,
      transposed: true,
      accumulate: dx.accumulate,
    })
  })
}

function channelwise(w: TrainingWriter, resolved: ResolvedNode<NodeOf<'channelwiseConv'>>): void {
  const { node, shape, parameters, inputs } = resolved
  const { kernel, stride, padding } = node
  const fields = { kernel, stride, padding, channels: shape.channels }
  const [inExtent, outExtent] = [extentOf(w.batch, inputs[0]!), extentOf(w.batch, shape)]
  const x = w.read(node.input)
  w.builder.step('channelwise', node.name, {
    ...fields,
    x,
    y: w.output(node.name, countOf(w.batch, shape)),
    weights: w.gather(parameters[0]!),
    in: inExtent,
    out: outExtent,
  })
  w.onBackward(node.name, (dy) => {
    const dw = w.builder.value(`gradient of ${node.name}.weight`, tapsOf(kernel) * shape.channels)
    w.builder.step('channelwiseWeightGradient', node.name, {
      ...fields,
      x,
      dy,
      dw,
      in: inExtent,
      out: outExtent,
    })
    w.scatter(parameters[0]!, dw)
    const dx = w.gradientOf(node.input)
    if (!dx) return
    w.builder.step('channelwise', `${node.name} backward`, {
      ...fields,
      x: dy,
      y: dx.value,
      weights: w.gather(parameters[0]!),
      in: outExtent,
      out: inExtent,
      transposed: true,
      accumulate: dx.accumulate,
    })
  })
}

/** Takes along a residual sum and an activation behind it. */
function batchNorm(w: TrainingWriter, resolved: ResolvedNode<NodeOf<'batchNorm'>>): void {
  const { node, shape, parameters } = resolved
  const { channels } = shape
  const rows = w.batch * positionsOf(shape)
  let end = node.name
  const sum = w.graph.onlyReader(node.name)
  let other: string | undefined
  if (sum && isKind(sum, 'add')) {
    other = sum.node.inputs.find((name) => name !== node.name && w.has(name))
    if (other) end = w.take(sum)
  }
  const { last, activation } = w.takeActivation(end)
  const x = w.read(node.input)
  const residual = other === undefined ? undefined : w.read(other)
  const mean = w.builder.value(`${node.name} mean`, channels)
  const variance = w.builder.value(`${node.name} variance`, channels)
  w.moments.push({ name: node.name, mean, variance, rows })
  if (!w.backwards) for (const value of [mean, variance]) w.builder.keep(value)
  const scale = w.gather(parameters[0]!)
  const shift = w.gather(parameters[1]!)
  const fields = {
    x,
    mean,
    variance,
    scale,
    shift,
    residual,
    rows,
    channels,
    epsilon: node.epsilon,
    activation,
  }
  w.builder.step('moments', node.name, { x, mean, variance, rows, channels })
  w.builder.step('normalise', last, { ...fields, y: w.output(last, countOf(w.batch, shape)) })
  w.onBackward(last, (dy) => {
    const dscale = w.builder.value(`gradient of ${node.name}.weight`, channels)
    const dshift = w.builder.value(`gradient of ${node.name}.bias`, channels)
    const dresidual = other === undefined ? undefined : w.gradientOf(other)
    const dx = w.gradientOf(node.input)!
    const direct = dx.accumulate
      ? w.builder.value(`part of gradient of ${node.input}`, dx.value.count)
      : dx.value
    w.builder.step('normaliseBackward', last, {
      ...fields,
      dy,
      dx: direct,
      dscale,
      dshift,
      dresidual: dresidual?.value,
      accumulateResidual: dresidual?.accumulate ?? false,
    })
    if (dx.accumulate) addTo(w, node.input, dx.value, direct)
    w.scatter(parameters[0]!, dscale)
    w.scatter(parameters[1]!, dshift)
  })
}

function addTo(
  w: TrainingWriter,
  name: string,
  sum: ReturnType<TrainingWriter['read']>,
  part: typeof sum,
): void {
  w.builder.step('copyChannels', `gradient of ${name}`, {
    x: part,
    y: sum,
    rows: 1,
    xChannels: sum.count,
    yChannels: sum.count,
    count: sum.count,
    accumulate: true,
  })
}

function gate(w: TrainingWriter, { node, shape }: ResolvedNode<NodeOf<'gate'>>): void {
  const { last, activation } = w.takeActivation(node.name)
  const fields = {
    a: w.read(node.input),
    gates: w.read(node.gate),
    batch: w.batch,
    positions: positionsOf(shape),
    channels: shape.channels,
    activation,
  }
  w.builder.step('pointwise', last, { ...fields, y: w.output(last, countOf(w.batch, shape)) })
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
}

function pointwise(w: TrainingWriter, resolved: ResolvedNode<NodeOf<'activation' | 'add'>>): void {
  const { node, shape } = resolved
  const [first, second] = node.kind === 'add' ? node.inputs : [node.input, undefined]
  const { last, activation } =
    node.kind === 'add' ? w.takeActivation(node.name) : { last: node.name, activation: node.activation }
  const fields = {
    a: w.read(first),
    b: second === undefined ? undefined : w.read(second),
    batch: w.batch,
    positions: positionsOf(shape),
    channels: shape.channels,
    activation,
  }
  w.builder.step('pointwise', last, { ...fields, y: w.output(last, countOf(w.batch, shape)) })
  w.onBackward(last, (dy) => {
    const da = w.gradientOf(first)
    const db = second === undefined ? undefined : w.gradientOf(second)
    w.builder.step('pointwiseBackward', last, {
      ...fields,
      dy,
      da: da?.value,
      db: db?.value,
      accumulateA: da?.accumulate ?? false,
      accumulateB: db?.accumulate ?? false,
    })
  })
}

function concat(w: TrainingWriter, { node, shape, inputs }: ResolvedNode<NodeOf<'concat'>>): void {
  const rows = w.batch * positionsOf(shape)
  const y = w.output(node.name, countOf(w.batch, shape))
  let start = 0
  node.inputs.forEach((name, i) => {
    const count = inputs[i]!.channels
    const at = start
    start += count
    const x = w.read(name)
    w.builder.step('copyChannels', node.name, {
      x,
      y,
      rows,
      count,
      xChannels: count,
      yChannels: shape.channels,
      yStart: at,
    })
    w.onBackward(node.name, (dy) => {
      const dx = w.gradientOf(name)
      if (!dx) return
      w.builder.step('copyChannels', `${node.name} backward`, {
        x: dy,
        y: dx.value,
        rows,
        count,
        xChannels: shape.channels,
        xStart: at,
        yChannels: count,
        accumulate: dx.accumulate,
      })
    })
  })
}

function maxPool(w: TrainingWriter, { node, shape, inputs }: ResolvedNode<NodeOf<'maxPool'>>): void {
  const { kernel, stride, padding } = node
  const fields = {
    ...{ kernel, stride, padding, channels: shape.channels },
    in: extentOf(w.batch, inputs[0]!),
    out: extentOf(w.batch, shape),
    x: w.read(node.input),
  }
  w.builder.step('maxPool', node.name, { ...fields, y: w.output(node.name, countOf(w.batch, shape)) })
  w.onBackward(node.name, (dy) => {
    const dx = w.gradientOf(node.input)
    if (dx)
      w.builder.step('maxPool', `${node.name} backward`, {
        ...fields,
        dy,
        dx: dx.value,
        accumulate: dx.accumulate,
      })
  })
}

function globalPool(w: TrainingWriter, resolved: ResolvedNode<NodeOf<'globalPool'>>): void {
  const { node, shape, inputs } = resolved
  const fields = {
    in: extentOf(w.batch, inputs[0]!),
    out: extentOf(w.batch, shape),
    channels: shape.channels,
    kernel: resolved.kernel!,
    stride: UNIT,
    padding: NO_PADDING,
  }
  const y = w.output(node.name, countOf(w.batch, shape))
  w.builder.step('averagePool', node.name, { ...fields, x: w.read(node.input), y })
  backThrough(w, 'averagePool', node, fields)
}

function resample(w: TrainingWriter, { node, shape, inputs }: ResolvedNode<NodeOf<'resample'>>) {
  const [from] = inputs
  if (from!.frames === shape.frames && from!.height === shape.height && from!.width === shape.width) {
    return w.alias(node.name, node.input)
  }
  const fields = { in: extentOf(w.batch, from!), out: extentOf(w.batch, shape), channels: shape.channels }
  const y = w.output(node.name, countOf(w.batch, shape))
  w.builder.step('resample', node.name, { ...fields, x: w.read(node.input), y })
  backThrough(w, 'resample', node, fields)
}

/** Steps that run backward with x as the gradient to write and y as the one to read. */
function backThrough<K extends 'averagePool' | 'resample'>(
  w: TrainingWriter,
  op: K,
  node: NodeOf<'globalPool' | 'resample'>,
  fields: Omit<Steps[K], 'x' | 'y' | 'backward' | 'accumulate'>,
): void {
  w.onBackward(node.name, (dy) => {
    const dx = w.gradientOf(node.input)
    if (!dx) return
    const step = { ...fields, x: dx.value, y: dy, backward: true, accumulate: dx.accumulate }
    w.builder.step(op, `${node.name} backward`, step as unknown as Steps[K])
  })
}

function dropout(w: TrainingWriter, { node, shape }: ResolvedNode<NodeOf<'dropout'>>) {
  if (!w.backwards) return w.alias(node.name, node.input)
  const count = countOf(w.batch, shape)
  const fields = { count, seed: w.external.dropout, rate: node.rate, stream: streamOf(node.name) }
  w.builder.step('dropout', node.name, { ...fields, x: w.read(node.input), y: w.output(node.name, count) })
  w.onBackward(node.name, (dy) => {
    const dx = w.gradientOf(node.input)
    if (!dx) return
    const step = { ...fields, x: dy, y: dx.value, accumulate: dx.accumulate }
    w.builder.step('dropout', `${node.name} backward`, step)
  })
}

/** Different dropout nodes drop different values. */
const streamOf = (name: string): number =>
  [...name].reduce((hash, character) => (Math.imul(hash, 31) + character.charCodeAt(0)) >>> 1, 7)
