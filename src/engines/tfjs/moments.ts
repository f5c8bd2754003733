/** Means and sums per channel. Per image first, then over images: sums of many floats lose fewer digits in two steps. */
import * as tf from '@tensorflow/tfjs-core'

/** Mean and variance of each channel. */
export interface Moments {
  readonly mean: tf.Tensor1D
  readonly variance: tf.Tensor1D
}

/** Mean and biased variance of each channel over batch, frames and positions. */
export function channelMoments(x: tf.Tensor5D): Moments {
  const mean = channelMean(x)
  return { mean, variance: channelMean(tf.square(tf.sub(x, mean))) }
}

export function channelMean(x: tf.Tensor5D): tf.Tensor1D {
  const [batch, frames, height, width, channels] = x.shape
  return tf.mean(tf.mean(tf.reshape(x, [batch * frames, height * width, channels]), 1), 0)
}

export function sumPerChannel(x: tf.Tensor5D): tf.Tensor1D {
  const [batch, frames, height, width, channels] = x.shape
  return tf.sum(tf.sum(tf.reshape(x, [batch * frames, height * width, channels]), 1), 0)
}
