/** Adaptive average pooling. */
import * as tf from '@tensorflow/tfjs-core'
import type { Shape } from '../../../network/resolve.ts'
import type { TfjsOp } from './op.ts'

export const resample: TfjsOp<'resample'> = {
  forward: ({ node, shape }, { read }) => adaptiveAveragePool(read(node.input), shape),
  backward: ({ node }, dy, { read }) => ({
    inputs: [throughAveraging(read(node.input).shape, dy), undefined],
    parameters: {},
  }),
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
function averagingMatrix(to: number, from: number): Float32Array {
  const matrix = new Float32Array(to * from)
  for (let row = 0; row < to; row++) {
    const start = Math.floor((row * from) / to)
    const end = Math.ceil(((row + 1) * from) / to)
    matrix.fill(1 / (end - start), row * from + start, row * from + end)
  }
  return matrix
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
