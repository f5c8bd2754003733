/** Means over all frames and a window of positions. */
import * as tf from '@tensorflow/tfjs-core'
import type { Triple } from '../../../network/graph.ts'
import { spatial } from '../space.ts'
import type { TfjsOp } from './op.ts'

export const globalPool: TfjsOp<'globalPool'> = {
  forward: ({ node, kernel }, { read }) => averagePool(read(node.input), kernel!),
  backward: ({ node, kernel }, dy, { read }) => ({
    inputs: [throughAveragePool(read(node.input), dy, kernel!)],
    parameters: {},
  }),
}

/** Mean over all frames and a spatial window at stride 1 (mostly: over everything). */
export function averagePool(x: tf.Tensor5D, window: Triple): tf.Tensor5D {
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

/** Spreads each position's gradient evenly over the frames and the window that it is the mean of. */
function throughAveragePool(x: tf.Tensor5D, dy: tf.Tensor5D, [kt, kh, kw]: Triple): tf.Tensor5D {
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
