/** Batch norm, with whatever moments the environment has. */
import * as tf from '@tensorflow/tfjs-core'
import { channelMean, type Moments, sumPerChannel } from '../moments.ts'
import type { TfjsOp } from './op.ts'

export const batchNorm: TfjsOp<'batchNorm'> = {
  forward({ node }, { read, moments, parameter }) {
    const x = read(node.input)
    const [scale, shift] = [`${node.name}.weight`, `${node.name}.bias`]
    return normalise(x, moments(node, x), parameter(scale), parameter(shift), node.epsilon)
  },
  backward({ node }, dy, { read, moments, parameter }) {
    const [scale, shift] = [`${node.name}.weight`, `${node.name}.bias`]
    const { mean, variance } = moments(node.name)
    const deviation = tf.rsqrt(tf.add(variance, node.epsilon))
    const normalised = tf.mul(tf.sub(read(node.input), mean), deviation) as tf.Tensor5D
    const product = tf.mul(dy, normalised) as tf.Tensor5D
    const factor = tf.mul(parameter(scale), deviation)
    // The moments depend on x as well (Ioffe and Szegedy 2015, section 3).
    const centred = tf.sub(tf.sub(dy, channelMean(dy)), tf.mul(normalised, channelMean(product)))
    const dx = tf.mul(centred, factor) as tf.Tensor5D
    return { inputs: [dx], parameters: { [scale]: sumPerChannel(product), [shift]: sumPerChannel(dy) } }
  },
}

/** Normalises each channel: (x − mean) / √(variance + ε) · scale + shift. */
export function normalise(
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
