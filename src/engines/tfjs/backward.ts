/**
 * The gradients of one node, kind by kind: what arrives at its output becomes what its inputs and parameters
 * receive. Written out rather than left to tfjs, whose wasm backend lacks most gradient kernels (and whose core
 * package registers no gradients); everything but the `kernels` is a composite that every backend can run.
 */
import * as tf from '@tensorflow/tfjs-core'
import type { ActivationFunction, Triple } from '../../network/graph.ts'
import type { ResolvedNode } from '../../network/resolve.ts'
import type { Kernels } from './kernels.ts'
import type { ComputedNode } from './nodes.ts'
import { averagingMatrix, channelMean, type Moments } from './ops.ts'

/** What the forward pass kept. */
export interface Trace {
  readonly kernels: Kernels
  readonly output: tf.Tensor5D
  read(name: string): tf.Tensor5D
  parameter<T extends tf.Tensor>(name: string): T
  moments(name: string): Moments
  /** Zeros and 1 / (1 − rate). */
  dropoutMask(name: string): tf.Tensor5D
}

export interface NodeGradients {
  /** In the order of `inputsOf`; undefined where none flows. */
  readonly inputs: readonly (tf.Tensor5D | undefined)[]
  /** By parameter name, in the shape of the slice in use. */
  readonly parameters: Readonly<Record<string, tf.Tensor>>
}

/** @param dy the gradient of the loss with respect to the node's output */
export function backwardNode(
  node: ComputedNode,
  { kernel }: ResolvedNode,
  dy: tf.Tensor5D,
  trace: Trace,
): NodeGradients {
  const { read } = trace
  const weight = `${node.name}.weight`
  const bias = `${node.name}.bias`
  switch (node.kind) {
    case 'conv': {
      const { dx, dw } = trace.kernels.convGradients(read(node.input), trace.parameter(weight), dy, node)
      return {
        inputs: [dx],
        parameters: node.bias ? { [weight]: dw, [bias]: sumPerChannel(dy) } : { [weight]: dw },
      }
    }
    case 'channelwiseConv': {
      const filter = trace.parameter<tf.Tensor4D>(weight)
      const { dx, dw } = trace.kernels.channelwiseConvGradients(read(node.input), filter, dy, node)
      return { inputs: [dx], parameters: { [weight]: dw } }
    }
    case 'batchNorm': {
      const { mean, variance } = trace.moments(node.name)
      const deviation = tf.rsqrt(tf.add(variance, node.epsilon))
      const normalised = tf.mul(tf.sub(read(node.input), mean), deviation) as tf.Tensor5D
      const product = tf.mul(dy, normalised) as tf.Tensor5D
      const factor = tf.mul(trace.parameter(weight), deviation)
      // The moments depend on x as well (Ioffe and Szegedy 2015, section 3).
      const centred = tf.sub(tf.sub(dy, channelMean(dy)), tf.mul(normalised, channelMean(product)))
      const dx = tf.mul(centred, factor) as tf.Tensor5D
      return { inputs: [dx], parameters: { [weight]: sumPerChannel(product), [bias]: sumPerChannel(dy) } }
    }
    case 'activation':
      return {
        inputs: [throughActivation(node.activation, read(node.input), trace.output, dy)],
        parameters: {},
      }
    case 'add':
      return { inputs: [dy, dy], parameters: {} }
    case 'concat': {
      const parts = tf.split(
        dy,
        node.inputs.map((name) => read(name).shape[4]),
        4,
      )
      return { inputs: parts as tf.Tensor5D[], parameters: {} }
    }
    case 'gate': {
      const [batch, frames, height, width, channels] = dy.shape
      const flat = (x: tf.Tensor5D) => tf.reshape(x, [batch, frames * height * width, channels])
      const gates = tf.reshape(read(node.gate), [batch, 1, channels])
      const dx = tf.reshape<tf.Rank.R5>(tf.mul(flat(dy), gates), dy.shape)
      const dgate = tf.sum(tf.mul(flat(dy), flat(read(node.input))), 1)
      return { inputs: [dx, tf.reshape(dgate, [batch, 1, 1, 1, channels])], parameters: {} }
    }
    case 'maxPool':
      return {
        inputs: [trace.kernels.maxPoolGradient(read(node.input), trace.output, dy, node)],
        parameters: {},
      }
    case 'globalPool':
      return { inputs: [throughGlobalPool(read(node.input), dy, kernel!)], parameters: {} }
    case 'resample':
      return { inputs: [throughAveraging(read(node.input).shape, dy), undefined], parameters: {} }
    case 'dropout':
      return { inputs: [tf.mul(dy, trace.dropoutMask(node.name)) as tf.Tensor5D], parameters: {} }
    case 'linear': {
      const x = read(node.input)
      const rows = (value: tf.Tensor5D) => tf.reshape<tf.Rank.R2>(value, [-1, value.shape[4]])
      const dx = tf.reshape<tf.Rank.R5>(
        tf.matMul(rows(dy), trace.parameter<tf.Tensor2D>(weight), false, true),
        x.shape,
      )
      const dw = tf.matMul(rows(x), rows(dy), true, false)
      return { inputs: [dx], parameters: { [weight]: dw, [bias]: sumPerChannel(dy) } }
    }
  }
}

/** Per image first, then over images, as the means of the forward pass. */
function sumPerChannel(x: tf.Tensor5D): tf.Tensor1D {
  const [batch, frames, height, width, channels] = x.shape
  return tf.sum(tf.sum(tf.reshape(x, [batch * frames, height * width, channels]), 1), 0)
}

function throughActivation(
  activation: ActivationFunction,
  x: tf.Tensor5D,
  y: tf.Tensor5D,
  dy: tf.Tensor5D,
): tf.Tensor5D {
  switch (activation) {
    case 'relu':
      return tf.mul(dy, tf.step(y))
    case 'relu6':
      return tf.mul(dy, tf.mul(tf.step(y), tf.step(tf.sub(6, y))))
    case 'sigmoid':
      return tf.mul(dy, tf.mul(y, tf.sub(1, y)))
    case 'swish': {
      // y = x·σ(x), so y' = σ + y·(1 − σ).
      const sigmoid = tf.sigmoid(x)
      return tf.mul(dy, tf.add(sigmoid, tf.mul(y, tf.sub(1, sigmoid))))
    }
  }
}

/** Spreads each position's gradient evenly over the frames and the window that it is the mean of. */
function throughGlobalPool(x: tf.Tensor5D, dy: tf.Tensor5D, [kt, kh, kw]: Triple): tf.Tensor5D {
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
