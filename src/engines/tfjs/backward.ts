/**
 * The gradients of one node, kind by kind: what arrives at its output becomes what its inputs and parameters
 * receive. Written out rather than left to tfjs, whose wasm backend lacks most gradient kernels (and whose core
 * package registers no gradients); everything here is a composite that every backend can run.
 */
import * as tf from '@tensorflow/tfjs-core'
import type { ActivationFunction, NodeOf, Triple } from '../../network/graph.ts'
import type { ResolvedNode } from '../../network/resolve.ts'
import type { ComputedNode } from './nodes.ts'
import { averagingMatrix, channelMean, everyFrame, type Moments, padding2D, spatial } from './ops.ts'

type Window = Pick<NodeOf<'channelwiseConv'>, 'kernel' | 'stride' | 'padding'>

/** What the forward pass kept. */
export interface Trace {
  readonly output: tf.Tensor5D
  read(name: string): tf.Tensor5D
  parameter<T extends tf.Tensor>(name: string): T
  moments(name: string): Moments
  /** Zeros and 1 / (1 − rate). */
  dropoutMask(name: string): tf.Tensor5D
}

export interface NodeGradients {
  /** In the order of `inputsOf`; undefined where none flows. */
  readonly inputs: readonly (tf.Tensor5D | undefined)[]
  /** By parameter name, in the shape of the slice in use. */
  readonly parameters: Readonly<Record<string, tf.Tensor>>
}

/** @param dy the gradient of the loss with respect to the node's output */
export function backwardNode(
  node: ComputedNode,
  { kernel }: ResolvedNode,
  dy: tf.Tensor5D,
  trace: Trace,
): NodeGradients {
  const { read } = trace
  const weight = `${node.name}.weight`
  const bias = `${node.name}.bias`
  switch (node.kind) {
    case 'conv': {
      const { dx, dw } = throughTime(
        read(node.input),
        trace.parameter<tf.Tensor5D>(weight),
        dy,
        node,
        denseTap,
      )
      return {
        inputs: [dx],
        parameters: node.bias ? { [weight]: dw, [bias]: sumPerChannel(dy) } : { [weight]: dw },
      }
    }
    case 'channelwiseConv': {
      const [kt, kh, kw, c] = trace.parameter<tf.Tensor4D>(weight).shape
      const filter = tf.reshape<tf.Rank.R5>(trace.parameter(weight), [kt, kh, kw, c, 1])
      const { dx, dw } = throughTime(read(node.input), filter, dy, node, channelwiseTap)
      return { inputs: [dx], parameters: { [weight]: tf.reshape(dw, [kt, kh, kw, c]) } }
    }
    case 'batchNorm': {
      const { mean, variance } = trace.moments(node.name)
      const deviation = tf.rsqrt(tf.add(variance, node.epsilon))
      const normalised = tf.mul(tf.sub(read(node.input), mean), deviation) as tf.Tensor5D
      const product = tf.mul(dy, normalised) as tf.Tensor5D
      const factor = tf.mul(trace.parameter(weight), deviation)
      // The moments depend on x as well (Ioffe and Szegedy 2015, section 3).
      const centred = tf.sub(tf.sub(dy, channelMean(dy)), tf.mul(normalised, channelMean(product)))
      const dx = tf.mul(centred, factor) as tf.Tensor5D
      return { inputs: [dx], parameters: { [weight]: sumPerChannel(product), [bias]: sumPerChannel(dy) } }
    }
    case 'activation':
      return {
        inputs: [throughActivation(node.activation, read(node.input), trace.output, dy)],
        parameters: {},
      }
    case 'add':
      return { inputs: [dy, dy], parameters: {} }
    case 'concat': {
      const parts = tf.split(
        dy,
        node.inputs.map((name) => read(name).shape[4]),
        4,
      )
      return { inputs: parts as tf.Tensor5D[], parameters: {} }
    }
    case 'gate': {
      const [batch, frames, height, width, channels] = dy.shape
      const flat = (x: tf.Tensor5D) => tf.reshape(x, [batch, frames * height * width, channels])
      const gates = tf.reshape(read(node.gate), [batch, 1, channels])
      const dx = tf.reshape<tf.Rank.R5>(tf.mul(flat(dy), gates), dy.shape)
      const dgate = tf.sum(tf.mul(flat(dy), flat(read(node.input))), 1)
      return { inputs: [dx, tf.reshape(dgate, [batch, 1, 1, 1, channels])], parameters: {} }
    }
    case 'maxPool':
      return { inputs: [throughMaxPool(read(node.input), trace.output, dy, node)], parameters: {} }
    case 'globalPool':
      return { inputs: [throughGlobalPool(read(node.input), dy, kernel!)], parameters: {} }
    case 'resample':
      return { inputs: [throughAveraging(read(node.input).shape, dy), undefined], parameters: {} }
    case 'dropout':
      return { inputs: [tf.mul(dy, trace.dropoutMask(node.name)) as tf.Tensor5D], parameters: {} }
    case 'linear': {
      const x = read(node.input)
      const rows = (value: tf.Tensor5D) => tf.reshape<tf.Rank.R2>(value, [-1, value.shape[4]])
      const dx = tf.reshape<tf.Rank.R5>(
        tf.matMul(rows(dy), trace.parameter<tf.Tensor2D>(weight), false, true),
        x.shape,
      )
      const dw = tf.matMul(rows(x), rows(dy), true, false)
      return { inputs: [dx], parameters: { [weight]: dw, [bias]: sumPerChannel(dy) } }
    }
  }
}

/** Per image first, then over images, as the means of the forward pass. */
function sumPerChannel(x: tf.Tensor5D): tf.Tensor1D {
  const [batch, frames, height, width, channels] = x.shape
  return tf.sum(tf.sum(tf.reshape(x, [batch * frames, height * width, channels]), 1), 0)
}

/** The gradients of a 2-D convolution of images: to the padded images, and to the filter. */
type Tap = (
  x: tf.Tensor4D,
  filter: tf.Tensor4D,
  dy: tf.Tensor4D,
  window: Window,
) => { dx: tf.Tensor4D; dw: tf.Tensor4D }

/**
 * A convolution's gradients tap by tap over time, as the forward pass sums its taps. `filter` is [kt, kh, kw,
 * cin, cout] or, channelwise, [kt, kh, kw, c, 1].
 */
function throughTime(x: tf.Tensor5D, filter: tf.Tensor5D, dy: tf.Tensor5D, window: Window, through: Tap) {
  const [batch, frames, height, width, channels] = x.shape
  const [, outFrames, outHeight, outWidth, outChannels] = dy.shape
  const [kt, ...taps2D] = filter.shape
  const [pad] = window.padding
  const [stride] = window.stride
  const rows = height * width * channels
  const padded = tf.pad(tf.reshape<tf.Rank.R3>(x, [batch, frames, rows]), [
    [0, 0],
    [pad, pad],
    [0, 0],
  ])
  const dy2D = tf.reshape<tf.Rank.R4>(dy, [batch * outFrames, outHeight, outWidth, outChannels])
  let dpadded: tf.Tensor3D | undefined
  const dw: tf.Tensor4D[] = []
  for (let tap = 0; tap < kt; tap++) {
    const seen = tf.reshape<tf.Rank.R4>(everyFrame(padded, tap, stride, outFrames), [
      batch * outFrames,
      height,
      width,
      channels,
    ])
    const filter2D = tf.reshape<tf.Rank.R4>(tf.slice(filter, [tap, 0, 0, 0, 0], [1, ...taps2D]), taps2D)
    const gradients = through(seen, filter2D, dy2D, window)
    dw.push(gradients.dw)
    const frames3D = tf.reshape<tf.Rank.R3>(gradients.dx, [batch, outFrames, rows])
    const placed = placeFrames(frames3D, tap, stride, frames + 2 * pad)
    dpadded = dpadded ? tf.add<tf.Tensor3D>(dpadded, placed) : placed
  }
  const dx = tf.reshape<tf.Rank.R5>(tf.slice(dpadded!, [0, pad, 0], [batch, frames, rows]), x.shape)
  return { dx, dw: tf.reshape<tf.Rank.R5>(tf.stack(dw), filter.shape) }
}

/** The transpose of `everyFrame`: frames at `start`, `start + stride`, … of `total`, zeros between. */
function placeFrames(x: tf.Tensor3D, start: number, stride: number, total: number): tf.Tensor3D {
  const [batch, count, values] = x.shape
  const spread = spreadOut(x, stride)
  const length = (count - 1) * stride + 1
  const trimmed = tf.slice(spread, [0, 0, 0], [batch, length, values])
  return tf.pad(trimmed, [
    [0, 0],
    [start, total - start - length],
    [0, 0],
  ])
}

/** Puts `stride` − 1 zeros after each value of the middle axis. */
function spreadOut(x: tf.Tensor3D, stride: number): tf.Tensor3D {
  if (stride === 1) return x
  const [batch, count, values] = x.shape
  const spaced = tf.pad(tf.reshape<tf.Rank.R3>(x, [batch * count, 1, values]), [
    [0, 0],
    [0, stride - 1],
    [0, 0],
  ])
  return tf.reshape(spaced, [batch, count * stride, values])
}

const denseTap: Tap = (x, filter, dy, { stride, padding }) => {
  const [kh, kw, cin, cout] = filter.shape
  const dx = tf.conv2dTranspose(dy, filter, x.shape, spatial(stride), padding2D(padding))
  const rows = tf.reshape<tf.Rank.R2>(dy, [-1, cout])
  const dw = overTaps2D(x, dy, [kh, kw], { stride, padding }, (seen) =>
    tf.matMul(tf.reshape<tf.Rank.R2>(seen, [-1, cin]), rows, true, false),
  )
  return { dx, dw: tf.reshape(tf.stack(dw), [kh, kw, cin, cout]) }
}

const channelwiseTap: Tap = (x, filter, dy, { stride, padding }) => {
  const [images, height, width, channels] = x.shape
  const [kh, kw] = filter.shape
  const [, outHeight, outWidth] = dy.shape
  const dw = overTaps2D(x, dy, [kh, kw], { stride, padding }, (seen) =>
    tf.sum(tf.sum(tf.reshape(tf.mul(seen, dy), [images, outHeight * outWidth, channels]), 1), 0),
  )
  // The full correlation of dy, spread out by the stride, with the flipped filter.
  const spread = spread2D(dy, stride)
  const rightSize = fitTo(spread, height + 2 * padding[1] - kh + 1, width + 2 * padding[2] - kw + 1)
  const surrounded = tf.pad(rightSize, [
    [0, 0],
    [kh - 1, kh - 1],
    [kw - 1, kw - 1],
    [0, 0],
  ])
  const dpadded = tf.depthwiseConv2d(surrounded, tf.reverse(filter, [0, 1]), 1, 'valid')
  const dx = tf.slice(dpadded, [0, padding[1], padding[2], 0], [images, height, width, channels])
  return { dx, dw: tf.reshape(tf.stack(dw), [kh, kw, channels, 1]) }
}

/** Cuts or zero-pads images at the bottom and right to a size. */
function fitTo(x: tf.Tensor4D, height: number, width: number): tf.Tensor4D {
  const [images, h, w, channels] = x.shape
  const cut = tf.slice(x, [0, 0, 0, 0], [images, Math.min(h, height), Math.min(w, width), channels])
  return tf.pad(cut, [
    [0, 0],
    [0, Math.max(0, height - h)],
    [0, Math.max(0, width - w)],
    [0, 0],
  ])
}

/** Calls back, for every tap of a 2-D kernel, with the inputs that it meets: [images, outHeight, outWidth, c]. */
function overTaps2D(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  [kh, kw]: readonly [number, number],
  { stride, padding }: Pick<Window, 'stride' | 'padding'>,
  visit: (seen: tf.Tensor4D) => tf.Tensor,
): tf.Tensor[] {
  const padded = tf.pad(x, padding2D(padding))
  return Array.from({ length: kh * kw }, (_, tap) =>
    visit(seenByTap(padded, dy, [Math.floor(tap / kw), tap % kw], stride)),
  )
}

/** The values of padded images that one tap of a kernel meets: [images, outHeight, outWidth, c]. */
function seenByTap(
  padded: tf.Tensor4D,
  { shape: [images, outHeight, outWidth] }: tf.Tensor4D,
  [top, left]: readonly [number, number],
  stride: Triple,
): tf.Tensor4D {
  const bottom = top + (outHeight - 1) * stride[1] + 1
  const right = left + (outWidth - 1) * stride[2] + 1
  const end = [images, bottom, right, padded.shape[3]]
  return tf.stridedSlice(padded, [0, top, left, 0], end, [1, stride[1], stride[2], 1]) as tf.Tensor4D
}

/** Images with zeros after each value, as many as the stride skips. */
function spread2D(x: tf.Tensor4D, stride: Triple): tf.Tensor4D {
  const [images, height, width, channels] = x.shape
  const wide = spreadOut(tf.reshape(x, [images * height, width, channels]), stride[2])
  const spreadWidth = width * stride[2]
  const tall = spreadOut(tf.reshape(wide, [images, height, spreadWidth * channels]), stride[1])
  return tf.reshape(tall, [images, height * stride[1], spreadWidth, channels])
}

function throughActivation(
  activation: ActivationFunction,
  x: tf.Tensor5D,
  y: tf.Tensor5D,
  dy: tf.Tensor5D,
): tf.Tensor5D {
  switch (activation) {
    case 'relu':
      return tf.mul(dy, tf.step(y))
    case 'relu6':
      return tf.mul(dy, tf.mul(tf.step(y), tf.step(tf.sub(6, y))))
    case 'sigmoid':
      return tf.mul(dy, tf.mul(y, tf.sub(1, y)))
    case 'swish': {
      // y = x·σ(x), so y' = σ + y·(1 − σ).
      const sigmoid = tf.sigmoid(x)
      return tf.mul(dy, tf.add(sigmoid, tf.mul(y, tf.sub(1, sigmoid))))
    }
  }
}

/**
 * To the first of the largest values in each window, as PyTorch does. Tap by tap: the wasm backend's own kernel is
 * wrong where windows reach into the padding.
 */
function throughMaxPool(x: tf.Tensor5D, y: tf.Tensor5D, dy: tf.Tensor5D, window: Window): tf.Tensor5D {
  const [, , height, width, channels] = x.shape
  const images = (value: tf.Tensor5D) =>
    tf.reshape<tf.Rank.R4>(value, [value.shape[0] * value.shape[1], value.shape[2], value.shape[3], channels])
  const { kernel, padding, stride } = window
  const [paddedHeight, paddedWidth] = [height + 2 * padding[1], width + 2 * padding[2]]
  const padded = tf.pad(images(x), padding2D(padding), LOWEST)
  const [largest, dlargest] = [images(y), images(dy)]
  let free: tf.Tensor4D = tf.onesLike(largest)
  let dpadded: tf.Tensor4D = tf.zerosLike(padded)
  for (let tap = 0; tap < kernel[1] * kernel[2]; tap++) {
    const [top, left] = [Math.floor(tap / kernel[2]), tap % kernel[2]]
    const seen = seenByTap(padded, dlargest, [top, left], stride)
    const hit = tf.mul<tf.Tensor4D>(tf.cast(tf.equal(seen, largest), 'float32'), free)
    free = tf.sub(free, hit)
    const spread = spread2D(tf.mul<tf.Tensor4D>(dlargest, hit), stride)
    const fitted = fitTo(spread, paddedHeight - top, paddedWidth - left)
    dpadded = tf.add(
      dpadded,
      tf.pad(fitted, [
        [0, 0],
        [top, 0],
        [left, 0],
        [0, 0],
      ]),
    )
  }
  const dx = tf.slice(dpadded, [0, padding[1], padding[2], 0], images(x).shape)
  return tf.reshape(dx, x.shape)
}

/** Below every value, so that padding never wins. */
const LOWEST = -3.4e38

/** Spreads each position's gradient evenly over the frames and the window that it is the mean of. */
function throughGlobalPool(x: tf.Tensor5D, dy: tf.Tensor5D, [kt, kh, kw]: Triple): tf.Tensor5D {
  const [batch, , height, width, channels] = x.shape
  const image = tf.reshape<tf.Rank.R4>(dy, [batch, dy.shape[2], dy.shape[3], channels])
  const surrounded = tf.pad(image, [
    [0, 0],
    [kh - 1, kh - 1],
    [kw - 1, kw - 1],
    [0, 0],
  ])
  const perFrame = tf.div(tf.avgPool(surrounded, [kh, kw], 1, 'valid'), kt)
  return tf.mul(tf.ones(x.shape), tf.reshape(perFrame, [batch, 1, height, width, channels]))
}

/** The transpose of adaptive average pooling. */
function throughAveraging(to: tf.Tensor5D['shape'], dy: tf.Tensor5D): tf.Tensor5D {
  const [batch, frames, height, width, channels] = to
  const [, dyFrames, dyHeight, dyWidth] = dy.shape
  let dx: tf.Tensor = dy
  const spreadBack = (shape: [number, number, number], axis: number) => {
    const matrix = tf.tile(tf.tensor3d(averagingMatrix(shape[1], axis), [1, shape[1], axis]), [
      shape[0],
      1,
      1,
    ])
    dx = tf.matMul(matrix, tf.reshape<tf.Rank.R3>(dx, shape), true, false)
  }
  if (dyWidth !== width) spreadBack([batch * dyFrames * dyHeight, dyWidth, channels], width)
  if (dyHeight !== height) spreadBack([batch * dyFrames, dyHeight, width * channels], height)
  if (dyFrames !== frames) spreadBack([batch, dyFrames, height * width * channels], frames)
  return tf.reshape(dx, to)
}
