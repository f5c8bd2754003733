/** Images tap by tap: what 2-D convolutions, their gradients and pooling share. Values are [images, height, width, c]. */
import * as tf from '@tensorflow/tfjs-core'
import type { Triple } from '../../network/graph.ts'
import type { Window } from './kernels.ts'

type Pad2D = [[number, number], [number, number], [number, number], [number, number]]

export const spatial = (triple: Triple): [number, number] => [triple[1], triple[2]]

export const padding2D = ([, h, w]: Triple): Pad2D => [
  [0, 0],
  [h, h],
  [w, w],
  [0, 0],
]

/** Puts `stride` − 1 zeros after each value of the middle axis. */
export function spreadOut(x: tf.Tensor3D, stride: number): tf.Tensor3D {
  if (stride === 1) return x
  const [batch, count, values] = x.shape
  const spaced = tf.pad(tf.reshape<tf.Rank.R3>(x, [batch * count, 1, values]), [
    [0, 0],
    [0, stride - 1],
    [0, 0],
  ])
  return tf.reshape(spaced, [batch, count * stride, values])
}

/** Cuts or zero-pads images at the bottom and right to a size. */
export function fitTo(x: tf.Tensor4D, height: number, width: number): tf.Tensor4D {
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
export function overTaps2D(
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
export function seenByTap(
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
export function spread2D(x: tf.Tensor4D, stride: Triple): tf.Tensor4D {
  const [images, height, width, channels] = x.shape
  const wide = spreadOut(tf.reshape(x, [images * height, width, channels]), stride[2])
  const spreadWidth = width * stride[2]
  const tall = spreadOut(tf.reshape(wide, [images, height, spreadWidth * channels]), stride[1])
  return tf.reshape(tall, [images, height * stride[1], spreadWidth, channels])
}
