/** What the tfjs engine does differently from backend to backend: convolutions and max pooling. */
import type * as tf from '@tensorflow/tfjs-core'
import type { NodeOf } from '../../network/graph.ts'
import { compositeChannelwiseConv, compositeChannelwiseConvGradients } from './ops/channelwise-conv.ts'
import { compositeConv, compositeConvGradients } from './ops/conv.ts'
import { compositeMaxPool, compositeMaxPoolGradient } from './ops/max-pool.ts'
import type { OpenParameters } from './trained-parameters.ts'

export type Window = Pick<NodeOf<'channelwiseConv'>, 'kernel' | 'stride' | 'padding'>

/** To the input and to the filter. */
export interface FilterGradients<Filter extends tf.Tensor> {
  readonly dx: tf.Tensor5D
  readonly dw: Filter
}

/**
 * Values are [batch, frames, height, width, channels], dense filters [kt, kh, kw, cin, cout], channelwise ones [kt,
 * kh, kw, c]; `dy` is the gradient with respect to the output `y`.
 */
export interface Kernels {
  conv(x: tf.Tensor5D, filter: tf.Tensor5D, window: Window): tf.Tensor5D
  convGradients(
    x: tf.Tensor5D,
    filter: tf.Tensor5D,
    dy: tf.Tensor5D,
    window: Window,
  ): FilterGradients<tf.Tensor5D>
  channelwiseConv(x: tf.Tensor5D, filter: tf.Tensor4D, window: Window): tf.Tensor5D
  channelwiseConvGradients(
    x: tf.Tensor5D,
    filter: tf.Tensor4D,
    dy: tf.Tensor5D,
    window: Window,
  ): FilterGradients<tf.Tensor4D>
  maxPool(x: tf.Tensor5D, window: Window): tf.Tensor5D
  maxPoolGradient(x: tf.Tensor5D, y: tf.Tensor5D, dy: tf.Tensor5D, window: Window): tf.Tensor5D
}

/** Composites that every backend can run: the definition that faster kernels are tested against. */
export const COMPOSITES: Kernels = {
  conv: compositeConv,
  convGradients: compositeConvGradients,
  channelwiseConv: compositeChannelwiseConv,
  channelwiseConvGradients: compositeChannelwiseConvGradients,
  maxPool: compositeMaxPool,
  maxPoolGradient: compositeMaxPoolGradient,
}

/** What plans and trainers need to know of the backend that they run on. */
export interface Backend {
  /** Makes the backend tfjs's current one; called before every synchronous stretch. */
  readonly activate: () => void
  readonly kernels: Kernels
  /** Where the parameters that a trainer changes are kept. */
  readonly openParameters: OpenParameters
  /** Bytes that it can hold for activations. */
  readonly memoryLimit: number
}
