/**
 * The gradients of convolutions and of max pooling as composites that every backend can run: tfjs's wasm backend
 * lacks most gradient kernels.
 */
import * as tf from '@tensorflow/tfjs-core'
import type { Triple } from '../../network/graph.ts'
import type { FilterGradients, Window } from './kernels.ts'
import { everyFrame, padding2D, spatial } from './ops.ts'

/** Of a dense convolution; `filter` is [kt, kh, kw, cin, cout]. */
export const convGradients = (
  x: tf.Tensor5D,
  filter: tf.Tensor5D,
  dy: tf.Tensor5D,
  window: Window,
): FilterGradients<tf.Tensor5D> => throughTime(x, filter, dy, window, denseTap)

/** Of a convolution of each channel by itself; `filter` is [kt, kh, kw, c]. */
export function channelwiseConvGradients(
  x: tf.Tensor5D,
  filter: tf.Tensor4D,
  dy: tf.Tensor5D,
  window: Window,
): FilterGradients<tf.Tensor4D> {
  const { dx, dw } = throughTime(x, tf.reshape(filter, [...filter.shape, 1]), dy, window, channelwiseTap)
  return { dx, dw: tf.reshape(dw, filter.shape) }
}

/**
 * To the first of the largest values in each window, as PyTorch does. Tap by tap: the wasm backend's own kernel is
 * wrong where windows reach into the padding.
 */
export function maxPoolGradient(
  x: tf.Tensor5D,
  y: tf.Tensor5D,
  dy: tf.Tensor5D,
  window: Window,
): tf.Tensor5D {
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
export const LOWEST = -3.4e38

/** The gradients of a 2-D convolution of images: to the padded images, and to the filter. */
export type Tap = (
  x: tf.Tensor4D,
  filter: tf.Tensor4D,
  dy: tf.Tensor4D,
  window: Window,
) => { dx: tf.Tensor4D; dw: tf.Tensor4D }

/**
 * A convolution's gradients tap by tap over time, as the forward pass sums its taps. `filter` is [kt, kh, kw,
 * cin, cout] or, channelwise, [kt, kh, kw, c, 1].
 */
export function throughTime(
  x: tf.Tensor5D,
  filter: tf.Tensor5D,
  dy: tf.Tensor5D,
  window: Window,
  through: Tap,
) {
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
