/** The largest value of each window of a frame; no network here takes maxima over frames. */
import * as tf from '@tensorflow/tfjs-core'
import type { Window } from '../kernels.ts'
import { fitTo, padding2D, seenByTap, spatial, spread2D } from '../space.ts'
import type { TfjsOp } from './op.ts'

export const maxPool: TfjsOp<'maxPool'> = {
  forward: ({ node }, { kernels, read }) => kernels.maxPool(read(node.input), node),
  backward({ node }, dy, { kernels, read, output }) {
    return { inputs: [kernels.maxPoolGradient(read(node.input), output, dy, node)], parameters: {} }
  },
}

export function compositeMaxPool(x: tf.Tensor5D, { kernel, stride, padding }: Window): tf.Tensor5D {
  if (kernel[0] !== 1 || stride[0] !== 1) throw new Error('max pooling over frames is not supported')
  const [batch, frames, height, width, channels] = x.shape
  const folded = tf.reshape<tf.Rank.R4>(x, [batch * frames, height, width, channels])
  const pooled = tf.maxPool(folded, spatial(kernel), spatial(stride), padding2D(padding))
  const [, outHeight, outWidth] = pooled.shape
  return tf.reshape(pooled, [batch, frames, outHeight, outWidth, channels])
}

/**
 * To the first of the largest values in each window, as PyTorch does. Tap by tap: the wasm backend's own kernel is
 * wrong where windows reach into the padding.
 */
export function compositeMaxPoolGradient(
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
