/**
 * Convolutions and max pooling by TensorFlow's own kernels: dense convolutions whole, in three dimensions; channelwise
 * ones as depthwise 2-D convolutions. Gradient kernels are run by name because tfjs-core has no functions for them.
 */
import * as tf from '@tensorflow/tfjs-core'
import type { Kernels, Window } from './kernels.ts'
import { compositeChannelwiseConvGradients } from './ops/channelwise-conv.ts'
import { LOWEST } from './ops/max-pool.ts'
import { everyFrame, overTimeTaps, throughTime } from './time.ts'

export const TENSORFLOW_KERNELS: Kernels = {
  conv(x, filter, window) {
    const { padded, pad } = prepare(x, window)
    return tf.conv3d(padded, filter, [...window.stride], pad)
  },

  convGradients(x, filter, dy, window) {
    const { padded, pad, cut } = prepare(x, window)
    const attributes = { strides: [...window.stride], pad, inputShape: padded.shape }
    const dx = cut(run(tf.Conv3DBackpropInputV2, { dy, filter }, attributes))
    return { dx, dw: filterGradient(x, filter.shape, dy, window) }
  },

  channelwiseConv(x, filter, window) {
    if (!spansTimeAlone(window)) return depthwise(x, filter, window)
    const [batch, , height, width, channels] = x.shape
    const y = depthwise(framesAsRows(x), filterAsRows(filter), windowAsRows(window))
    return tf.reshape(y, [batch, y.shape[2], height, width, channels])
  },

  channelwiseConvGradients(x, filter, dy, window) {
    // TensorFlow's kernels know one stride for both sides. No network here has two.
    if (window.stride[1] !== window.stride[2]) {
      return compositeChannelwiseConvGradients(x, filter, dy, window)
    }
    const { dx, dw } = spansTimeAlone(window)
      ? depthwiseGradients(framesAsRows(x), filterAsRows(filter), framesAsRows(dy), windowAsRows(window))
      : depthwiseGradients(x, filter, dy, window)
    return { dx: tf.reshape(dx, x.shape), dw: tf.reshape(dw, filter.shape) }
  },

  maxPool(x, window) {
    if (window.kernel[0] !== 1 || window.stride[0] !== 1)
      throw new Error('max pooling over frames is not supported')
    const { padded, pad } = prepare(asImages(x), overSpace(window), LOWEST)
    const [, kh, kw] = window.kernel
    return asClips(tf.maxPool(padded, [kh, kw], overSpace(window).stride, pad), x.shape[0])
  },

  maxPoolGradient(x, y, dy, window) {
    const { kernel, stride } = overSpace(window)
    const { padded, pad, cut } = prepare(asImages(x), overSpace(window), LOWEST)
    const inputs = { dy: asImages(dy), input: padded, output: asImages(y) }
    const dx = run<tf.Tensor4D>(tf.MaxPoolGrad, inputs, { filterSize: kernel, strides: stride, pad })
    return tf.reshape(cut(dx), x.shape)
  },
}

/** Per output axis, time first where there is one. */
interface Axes {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly padding: readonly number[]
}

/**
 * Most of the binding's kernels take no explicit padding, only `valid` and `same`, and the latter is even on both sides
 * at stride 1 alone. Elsewhere the values are padded first; `cut` removes the border from their gradient.
 */
function prepare<T extends tf.Tensor>(x: T, { kernel, stride, padding }: Axes, border = 0) {
  if (kernel.every((extent, axis) => stride[axis] === 1 && 2 * padding[axis]! === extent - 1)) {
    return { padded: x, pad: 'same', cut: (dx: T) => dx } as const
  }
  if (padding.every((extent) => extent === 0)) {
    return { padded: x, pad: 'valid', cut: (dx: T) => dx } as const
  }
  const both = padding.map((extent): [number, number] => [extent, extent])
  const padded = tf.pad(x, [[0, 0], ...both, [0, 0]], border)
  return { padded, pad: 'valid', cut: (dx: T): T => tf.slice(dx, [0, ...padding, 0], x.shape) } as const
}

const run = <T extends tf.Tensor>(name: string, inputs: Record<string, tf.Tensor>, attributes: object): T =>
  tf.engine().runKernel(name, inputs, attributes as tf.NamedAttrMap) as T

/** Of a dense convolution. */
function filterGradient(
  x: tf.Tensor5D,
  filterShape: tf.Tensor5D['shape'],
  dy: tf.Tensor5D,
  window: Window,
): tf.Tensor5D {
  const [kt, kh, kw] = filterShape
  const { stride, padding } = window
  if (kh * kw * stride[1] * stride[2] === 1 && padding[1] + padding[2] === 0) {
    return pointwiseFilterGradient(x, filterShape, dy, window)
  }
  if (kt * stride[0] === 1 && padding[0] === 0) {
    // On a CPU the 2-D kernel takes a quarter to three quarters of the time of the 3-D one.
    const { padded, pad } = prepare(asImages(x), overSpace(window))
    const attributes = { strides: overSpace(window).stride, pad, filterShape: filterShape.slice(1) }
    const inputs = { x: padded, dy: asImages(dy) }
    const dw = run(tf.Conv2DBackpropFilter, inputs, { ...attributes, dataFormat: 'NHWC' })
    return tf.reshape(dw, filterShape)
  }
  const { padded, pad } = prepare(x, window)
  const attributes = { strides: [...stride], pad, filterShape }
  return run(tf.Conv3DBackpropFilterV2, { x: padded, dy }, attributes)
}

/** Where each time tap of the filter is a matrix: one product per tap. */
function pointwiseFilterGradient(
  x: tf.Tensor5D,
  filterShape: tf.Tensor5D['shape'],
  dy: tf.Tensor5D,
  { stride, padding }: Window,
): tf.Tensor5D {
  const [batch, frames, height, width, cin] = x.shape
  const [kt, , , , cout] = filterShape
  const rows = tf.reshape<tf.Rank.R3>(x, [batch, frames, height * width * cin])
  const { padded } = prepare(rows, { kernel: [kt], stride: [2], padding: [padding[0]] })
  const dyRows = tf.reshape<tf.Rank.R2>(dy, [-1, cout])
  const taps = Array.from({ length: kt }, (_, tap) => {
    const seen = everyFrame(padded, tap, stride[0], dy.shape[1])
    return tf.matMul(tf.reshape<tf.Rank.R2>(seen, [-1, cin]), dyRows, true, false)
  })
  return tf.reshape(tf.concat(taps, 0), filterShape)
}

/** One depthwise 2-D convolution of all frames per time tap. */
function depthwise(x: tf.Tensor5D, filter: tf.Tensor4D, window: Window): tf.Tensor5D {
  const [, kh, kw, c] = filter.shape
  const { kernel, stride, padding } = overSpace(window)
  const [down, right] = stride
  return overTimeTaps(x, window, (frames, tap) => {
    const taps = tf.reshape<tf.Rank.R4>(tf.slice(filter, [tap, 0, 0, 0], [1, kh, kw, c]), [kh, kw, c, 1])
    if (down === right) {
      const { padded, pad } = prepare(frames, { kernel, stride, padding })
      return tf.depthwiseConv2d(padded, taps, down, pad)
    }
    const { padded, pad } = prepare(frames, { kernel, stride: [1, 1], padding })
    const everywhere = tf.depthwiseConv2d(padded, taps, 1, pad)
    return tf.stridedSlice(everywhere, [0, 0, 0, 0], everywhere.shape, [1, down, right, 1]) as tf.Tensor4D
  })
}

function depthwiseGradients(x: tf.Tensor5D, filter: tf.Tensor4D, dy: tf.Tensor5D, window: Window) {
  const perTap = tf.reshape<tf.Rank.R5>(filter, [...filter.shape, 1])
  return throughTime(x, perTap, dy, window, (images, taps, dyImages) => {
    const { padded, pad, cut } = prepare(images, overSpace(window))
    const attributes = { strides: overSpace(window).stride, pad, dilations: [1, 1] }
    const dx = run<tf.Tensor4D>(
      tf.DepthwiseConv2dNativeBackpropInput,
      { dy: dyImages, filter: taps },
      { ...attributes, inputShape: padded.shape },
    )
    const dw = run<tf.Tensor4D>(
      tf.DepthwiseConv2dNativeBackpropFilter,
      { x: padded, dy: dyImages },
      { ...attributes, filterShape: taps.shape },
    )
    return { dx: cut(dx), dw }
  })
}

const overSpace = ({ kernel, stride, padding }: Window) => ({
  kernel: [kernel[1], kernel[2]] as [number, number],
  stride: [stride[1], stride[2]] as [number, number],
  padding: [padding[1], padding[2]] as [number, number],
})

/**
 * Where a kernel spans time alone, frames may as well be the rows of one image, and their pixels its columns: one
 * operation in place of one per time tap.
 */
const spansTimeAlone = ({ kernel, stride, padding }: Window): boolean =>
  kernel[0] > 1 &&
  [kernel[1], kernel[2], ...stride].every((one) => one === 1) &&
  padding[1] + padding[2] === 0

const framesAsRows = (x: tf.Tensor5D): tf.Tensor5D => {
  const [batch, frames, height, width, channels] = x.shape
  return tf.reshape(x, [batch, 1, frames, height * width, channels])
}

const filterAsRows = (filter: tf.Tensor4D): tf.Tensor4D =>
  tf.reshape(filter, [1, filter.shape[0], 1, filter.shape[3]])

const windowAsRows = ({ kernel, padding }: Window): Window => ({
  kernel: [1, kernel[0], 1],
  stride: [1, 1, 1],
  padding: [0, padding[0], 0],
})

const asImages = (x: tf.Tensor5D): tf.Tensor4D => {
  const [batch, frames, height, width, channels] = x.shape
  return tf.reshape(x, [batch * frames, height, width, channels])
}

const asClips = (x: tf.Tensor4D, batch: number): tf.Tensor5D => {
  const [images, height, width, channels] = x.shape
  return tf.reshape(x, [batch, images / batch, height, width, channels])
}
