/** The output of one node from the outputs of those it reads: which composite of `ops.ts` each kind of node is. */
import * as tf from '@tensorflow/tfjs-core'
import type { Node, NodeOf } from '../../network/graph.ts'
import type { ResolvedNode } from '../../network/resolve.ts'
import type { Kernels } from './kernels.ts'
import * as ops from './ops.ts'

/** A node that computes something. */
export type ComputedNode = Exclude<Node, { kind: 'input' }>

/** Where a node finds what it needs. */
export interface Environment {
  readonly kernels: Kernels
  /** The output of a node that ran before. */
  read(name: string): tf.Tensor5D
  /** A parameter in use, by its name in the store. */
  parameter<T extends tf.Tensor>(name: string): T
  /** What batch norm normalises with. */
  moments(node: NodeOf<'batchNorm'>, x: tf.Tensor5D): ops.Moments
  dropout(node: NodeOf<'dropout'>, x: tf.Tensor5D): tf.Tensor5D
}

export function computeNode(
  node: ComputedNode,
  { shape, kernel }: ResolvedNode,
  environment: Environment,
): tf.Tensor5D {
  const { read, kernels } = environment
  const parameter = <T extends tf.Tensor>(suffix: string) =>
    environment.parameter<T>(`${node.name}.${suffix}`)
  switch (node.kind) {
    case 'conv': {
      const y = kernels.conv(read(node.input), parameter('weight'), node)
      return node.bias ? tf.add(y, parameter<tf.Tensor1D>('bias')) : y
    }
    case 'channelwiseConv':
      return kernels.channelwiseConv(read(node.input), parameter('weight'), node)
    case 'batchNorm': {
      const x = read(node.input)
      return ops.batchNorm(
        x,
        environment.moments(node, x),
        parameter('weight'),
        parameter('bias'),
        node.epsilon,
      )
    }
    case 'activation':
      return ops.activate(read(node.input), node.activation)
    case 'add':
      return tf.add(read(node.inputs[0]), read(node.inputs[1]))
    case 'concat':
      return tf.concat(node.inputs.map(read), 4)
    case 'gate':
      return ops.gate(read(node.input), read(node.gate))
    case 'maxPool':
      return kernels.maxPool(read(node.input), node)
    case 'globalPool':
      return ops.globalPool(read(node.input), kernel!)
    case 'resample':
      return ops.adaptiveAveragePool(read(node.input), shape)
    case 'dropout':
      return environment.dropout(node, read(node.input))
    case 'linear':
      return ops.linear(read(node.input), parameter('weight'), parameter('bias'))
  }
}

/** A network's input as a tensor, from values that are floats already. */
export function inputTensor(floats: Float32Array, batch: number, { shape }: ResolvedNode): tf.Tensor5D {
  return tf.tensor5d(floats, [batch, shape.frames, shape.height, shape.width, shape.channels])
}
