/** A convolution of each channel by itself. */
import * as tf from '@tensorflow/tfjs-core'
import type { FilterGradients, Window } from '../kernels.ts'
import { fitTo, overTaps2D, padding2D, spatial, spread2D } from '../space.ts'
import { overTimeTaps, type Tap, throughTime } from '../time.ts'
import type { TfjsOp } from './op.ts'

export const channelwiseConv: TfjsOp<'channelwiseConv'> = {
  forward({ node }, { kernels, read, parameter }) {
    return kernels.channelwiseConv(read(node.input), parameter(`${node.name}.weight`), node)
  },
  backward({ node }, dy, { kernels, read, parameter }) {
    const weight = `${node.name}.weight`
    const { dx, dw } = kernels.channelwiseConvGradients(read(node.input), parameter(weight), dy, node)
    return { inputs: [dx], parameters: { [weight]: dw } }
  },
}

/** Convolution of each channel by itself; `filter` is [kt, kh, kw, c]. */
export function compositeChannelwiseConv(x: tf.Tensor5D, filter: tf.Tensor4D, window: Window): tf.Tensor5D {
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

/** The gradients of a convolution of each channel by itself; `filter` is [kt, kh, kw, c]. */
export function compositeChannelwiseConvGradients(
  x: tf.Tensor5D,
  filter: tf.Tensor4D,
  dy: tf.Tensor5D,
  window: Window,
): FilterGradients<tf.Tensor4D> {
  const { dx, dw } = throughTime(x, tf.reshape(filter, [...filter.shape, 1]), dy, window, channelwiseTap)
  return { dx, dw: tf.reshape(dw, filter.shape) }
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
