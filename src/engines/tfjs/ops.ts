/**
 * The network's operations as composites of stock tfjs ops on 5-D values [batch, frames, height, width,
 * channels]. tfjs has no channelwise 3-D convolution and a slow generic one, so convolutions go tap by tap
 * over time: 2-D convolutions of frames folded into the batch, summed. Written to be read: this is the
 * definition that faster engines are tested against.
 */
import * as tf from '@tensorflow/tfjs-core'
import type { ActivationFunction, Triple } from '../../network/graph.ts'
import type { Shape } from '../../network/resolve.ts'
import type { Window } from './kernels.ts'

type Pad2D = [[number, number], [number, number], [number, number], [number, number]]

/** Dense convolution; `filter` is [kt, kh, kw, cin, cout]. */
export function conv(x: tf.Tensor5D, filter: tf.Tensor5D, window: Window): tf.Tensor5D {
  const [, kh, kw, cin, cout] = filter.shape
  return overTimeTaps(x, window, (frames, tap) => {
    const taps = tf.slice(filter, [tap, 0, 0, 0, 0], [1, kh, kw, cin, cout])
    const filter2D = tf.reshape<tf.Rank.R4>(taps, [kh, kw, cin, cout])
    return tf.conv2d(frames, filter2D, spatial(window.stride), padding2D(window.padding))
  })
}

/** Convolution of each channel by itself; `filter` is [kt, kh, kw, c]. */
export function channelwiseConv(x: tf.Tensor5D, filter: tf.Tensor4D, window: Window): tf.Tensor5D {
  const [, kh, kw, c] = filter.shape
  return overTimeTaps(x, window, (frames, tap) => {
    const taps = tf.slice(filter, [tap, 0, 0, 0], [1, kh, kw, c])
    if (kh * kw * window.stride[1] * window.stride[2] === 1) {
      return tf.mul<tf.Tensor4D>(frames, tf.reshape(taps, [c]))
    }
    const filter2D = tf.reshape<tf.Rank.R4>(taps, [kh, kw, c, 1])
    return tf.depthwiseConv2d(frames, filter2D, spatial(window.stride), padding2D(window.padding))
  })
}

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

export const spatial = (triple: Triple): [number, number] => [triple[1], triple[2]]

export const padding2D = ([, h, w]: Triple): Pad2D => [
  [0, 0],
  [h, h],
  [w, w],
  [0, 0],
]

/** Mean and variance of each channel. */
export interface Moments {
  readonly mean: tf.Tensor1D
  readonly variance: tf.Tensor1D
}

/** Normalises each channel: (x − mean) / √(variance + ε) · scale + shift. */
export function batchNorm(
  x: tf.Tensor5D,
  moments: Moments,
  scale: tf.Tensor1D,
  shift: tf.Tensor1D,
  epsilon: number,
): tf.Tensor5D {
  const factor = tf.div(scale, tf.sqrt(tf.add(moments.variance, epsilon)))
  const offset = tf.sub(shift, tf.mul(moments.mean, factor))
  return tf.add(tf.mul(x, factor), offset)
}

/** Mean and biased variance of each channel over batch, frames and positions. */
export function channelMoments(x: tf.Tensor5D): Moments {
  const mean = channelMean(x)
  return { mean, variance: channelMean(tf.square(tf.sub(x, mean))) }
}

/** Per image first, then over images: sums of many floats lose fewer digits in two steps. */
export function channelMean(x: tf.Tensor5D): tf.Tensor1D {
  const [batch, frames, height, width, channels] = x.shape
  return tf.mean(tf.mean(tf.reshape(x, [batch * frames, height * width, channels]), 1), 0)
}

export function activate(x: tf.Tensor5D, activation: ActivationFunction): tf.Tensor5D {
  switch (activation) {
    case 'relu':
      return tf.relu(x)
    case 'relu6':
      return tf.relu6(x)
    case 'sigmoid':
      return tf.sigmoid(x)
    case 'swish':
      return tf.mul(x, tf.sigmoid(x))
  }
}

/** Max pooling of each frame; no network here takes maxima over frames. */
export function maxPool(x: tf.Tensor5D, { kernel, stride, padding }: Window): tf.Tensor5D {
  if (kernel[0] !== 1 || stride[0] !== 1) throw new Error('max pooling over frames is not supported')
  const [batch, frames, height, width, channels] = x.shape
  const folded = tf.reshape<tf.Rank.R4>(x, [batch * frames, height, width, channels])
  const pooled = tf.maxPool(folded, spatial(kernel), spatial(stride), padding2D(padding))
  const [, outHeight, outWidth] = pooled.shape
  return tf.reshape(pooled, [batch, frames, outHeight, outWidth, channels])
}

/** Mean over all frames and a spatial window at stride 1 (mostly: over everything). */
export function globalPool(x: tf.Tensor5D, window: Triple): tf.Tensor5D {
  const [batch, frames, height, width, channels] = x.shape
  if (window[1] === height && window[2] === width) {
    const perFrame = tf.mean(tf.reshape(x, [batch, frames, height * width, channels]), 2)
    return tf.reshape(tf.mean(perFrame, 1), [batch, 1, 1, 1, channels])
  }
  const overFrames = tf.mean(tf.reshape(x, [batch, frames, height * width * channels]), 1)
  const image = tf.reshape<tf.Rank.R4>(overFrames, [batch, height, width, channels])
  const pooled = tf.avgPool(image, spatial(window), 1, 'valid')
  return tf.reshape(pooled, [batch, 1, pooled.shape[1], pooled.shape[2], channels])
}

/** Multiplies each channel of each sample by its gate [batch, 1, 1, 1, channels]. */
export function gate(x: tf.Tensor5D, gates: tf.Tensor5D): tf.Tensor5D {
  const [batch, frames, height, width, channels] = x.shape
  const flat = tf.reshape(x, [batch, frames * height * width, channels])
  return tf.reshape(tf.mul(flat, tf.reshape(gates, [batch, 1, channels])), x.shape)
}

/** A linear layer at every position; `weight` is [cin, cout]. */
export function linear(x: tf.Tensor5D, weight: tf.Tensor2D, bias: tf.Tensor1D): tf.Tensor5D {
  const [batch, frames, height, width, cin] = x.shape
  const rows = tf.reshape<tf.Rank.R2>(x, [batch * frames * height * width, cin])
  return tf.reshape(tf.add(tf.matMul(rows, weight), bias), [batch, frames, height, width, weight.shape[1]])
}

/** PyTorch's adaptive average pooling to given extents; axes are separable, so one matrix per axis. */
export function adaptiveAveragePool(x: tf.Tensor5D, to: Omit<Shape, 'channels'>): tf.Tensor5D {
  const [batch, frames, height, width, channels] = x.shape
  const images = batch * to.frames
  const lines = images * to.height
  let y: tf.Tensor = x
  if (to.frames !== frames) y = average(y, [batch, frames, height * width * channels], to.frames)
  if (to.height !== height) y = average(y, [images, height, width * channels], to.height)
  if (to.width !== width) y = average(y, [lines, width, channels], to.width)
  return tf.reshape(y, [batch, to.frames, to.height, to.width, channels])
}

/** Averages the middle axis of `shape` down (or up) to `to` values. */
function average(x: tf.Tensor, shape: [number, number, number], to: number): tf.Tensor3D {
  const [copies, from] = shape
  const matrix = tf.tile(tf.tensor3d(averagingMatrix(to, from), [1, to, from]), [copies, 1, 1])
  return tf.matMul(matrix, tf.reshape<tf.Rank.R3>(x, shape))
}

/** [to, from]: row i averages the inputs from ⌊i·from/to⌋ to ⌈(i+1)·from/to⌉ (exclusive). */
export function averagingMatrix(to: number, from: number): Float32Array {
  const matrix = new Float32Array(to * from)
  for (let row = 0; row < to; row++) {
    const start = Math.floor((row * from) / to)
    const end = Math.ceil(((row + 1) * from) / to)
    matrix.fill(1 / (end - start), row * from + start, row * from + end)
  }
  return matrix
}
