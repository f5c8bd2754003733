/** A dense convolution. */
import * as tf from '@tensorflow/tfjs-core'
import type { FilterGradients, Window } from '../kernels.ts'
import { sumPerChannel } from '../moments.ts'
import { overTaps2D, padding2D, spatial } from '../space.ts'
import { overTimeTaps, type Tap, throughTime } from '../time.ts'
import type { TfjsOp } from './op.ts'

export const conv: TfjsOp<'conv'> = {
  forward({ node }, { kernels, read, parameter }) {
    const y = kernels.conv(read(node.input), parameter(`${node.name}.weight`), node)
    return node.bias ? tf.add(y, parameter<tf.Tensor1D>(`${node.name}.bias`)) : y
  },
  backward({ node }, dy, { kernels, read, parameter }) {
    const [weight, bias] = [`${node.name}.weight`, `${node.name}.bias`]
    const { dx, dw } = kernels.convGradients(read(node.input), parameter(weight), dy, node)
    const parameters = node.bias ? { [weight]: dw, [bias]: sumPerChannel(dy) } : { [weight]: dw }
    return { inputs: [dx], parameters }
  },
}

/** Dense convolution; `filter` is [kt, kh, kw, cin, cout]. */
export function compositeConv(x: tf.Tensor5D, filter: tf.Tensor5D, window: Window): tf.Tensor5D {
  const [, kh, kw, cin, cout] = filter.shape
  return overTimeTaps(x, window, (frames, tap) => {
    const taps = tf.slice(filter, [tap, 0, 0, 0, 0], [1, kh, kw, cin, cout])
    const filter2D = tf.reshape<tf.Rank.R4>(taps, [kh, kw, cin, cout])
    return tf.conv2d(frames, filter2D, spatial(window.stride), padding2D(window.padding))
  })
}

/** The gradients of a dense convolution; `filter` is [kt, kh, kw, cin, cout]. */
export const compositeConvGradients = (
  x: tf.Tensor5D,
  filter: tf.Tensor5D,
  dy: tf.Tensor5D,
  window: Window,
): FilterGradients<tf.Tensor5D> => throughTime(x, filter, dy, window, denseTap)

const denseTap: Tap = (x, filter, dy, { stride, padding }) => {
  const [kh, kw, cin, cout] = filter.shape
  const dx = tf.conv2dTranspose(dy, filter, x.shape, spatial(stride), padding2D(padding))
  const rows = tf.reshape<tf.Rank.R2>(dy, [-1, cout])
  const dw = overTaps2D(x, dy, [kh, kw], { stride, padding }, (seen) =>
    tf.matMul(tf.reshape<tf.Rank.R2>(seen, [-1, cin]), rows, true, false),
  )
  return { dx, dw: tf.reshape(tf.stack(dw), [kh, kw, cin, cout]) }
}
