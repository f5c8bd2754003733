/** A linear layer at every position. */
import * as tf from '@tensorflow/tfjs-core'
import { sumPerChannel } from '../moments.ts'
import type { TfjsOp } from './op.ts'

export const linear: TfjsOp<'linear'> = {
  forward({ node }, { read, parameter }) {
    return multiply(read(node.input), parameter(`${node.name}.weight`), parameter(`${node.name}.bias`))
  },
  backward({ node }, dy, { read, parameter }) {
    const [weight, bias] = [`${node.name}.weight`, `${node.name}.bias`]
    const x = read(node.input)
    const rows = (value: tf.Tensor5D) => tf.reshape<tf.Rank.R2>(value, [-1, value.shape[4]])
    const product = tf.matMul(rows(dy), parameter<tf.Tensor2D>(weight), false, true)
    const dx = tf.reshape<tf.Rank.R5>(product, x.shape)
    const dw = tf.matMul(rows(x), rows(dy), true, false)
    return { inputs: [dx], parameters: { [weight]: dw, [bias]: sumPerChannel(dy) } }
  },
}

/** A linear layer at every position; `weight` is [cin, cout]. */
export function multiply(x: tf.Tensor5D, weight: tf.Tensor2D, bias: tf.Tensor1D): tf.Tensor5D {
  const [batch, frames, height, width, cin] = x.shape
  const rows = tf.reshape<tf.Rank.R2>(x, [batch * frames * height * width, cin])
  return tf.reshape(tf.add(tf.matMul(rows, weight), bias), [batch, frames, height, width, weight.shape[1]])
}
