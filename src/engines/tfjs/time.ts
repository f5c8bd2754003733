/**
 * Convolutions tap by tap over time: 2-D ones of frames folded into the batch, summed. tfjs has no channelwise 3-D
 * convolution and a slow generic one.
 */
import * as tf from '@tensorflow/tfjs-core'
import type { FilterGradients, Window } from './kernels.ts'
import { spreadOut } from './space.ts'

/**
 * The sum over the kernel's time taps of a 2-D operation on the frames that the tap sees, folded into the
 * batch.
 */
export function overTimeTaps(
  x: tf.Tensor5D,
  { kernel, stride, padding }: Window,
  apply: (frames: tf.Tensor4D, tap: number) => tf.Tensor4D,
): tf.Tensor5D {
  const [batch, frames, height, width, channels] = x.shape
  const outFrames = Math.floor((frames + 2 * padding[0] - kernel[0]) / stride[0]) + 1
  const rows = tf.reshape<tf.Rank.R3>(x, [batch, frames, height * width * channels])
  const padded: tf.Tensor3D =
    padding[0] === 0
      ? rows
      : tf.pad(rows, [
          [0, 0],
          [padding[0], padding[0]],
          [0, 0],
        ])
  let sum: tf.Tensor4D | undefined
  for (let tap = 0; tap < kernel[0]; tap++) {
    const seen = everyFrame(padded, tap, stride[0], outFrames)
    const term = apply(tf.reshape(seen, [batch * outFrames, height, width, channels]), tap)
    sum = sum ? tf.add<tf.Tensor4D>(sum, term) : term
  }
  const [, outHeight, outWidth, outChannels] = sum!.shape
  return tf.reshape(sum!, [batch, outFrames, outHeight, outWidth, outChannels])
}

/** Frames `start`, `start + stride`, … of [batch, frames, values]. */
export function everyFrame(x: tf.Tensor3D, start: number, stride: number, count: number): tf.Tensor3D {
  const [batch, frames, values] = x.shape
  if (count === frames && stride === 1) return x
  if (stride > 1) {
    const end = start + (count - 1) * stride + 1
    return tf.stridedSlice(x, [0, start, 0], [batch, end, values], [1, stride, 1]) as tf.Tensor3D
  }
  // Sample by sample the slices are contiguous, which the plain-JS backend copies some fifty times faster.
  const samples = Array.from({ length: batch }, (_, n) => tf.slice(x, [n, start, 0], [1, count, values]))
  return samples.length === 1 ? samples[0]! : tf.concat(samples, 0)
}

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
): FilterGradients<tf.Tensor5D> {
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
