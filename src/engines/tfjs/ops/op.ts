/** What the engine needs to know of a kind of node: its output, and its gradients. */
import type * as tf from '@tensorflow/tfjs-core'
import type { NodeKind, NodeOf } from '../../../network/graph.ts'
import type { ResolvedNode } from '../../../network/resolve.ts'
import type { Kernels } from '../kernels.ts'
import type { Moments } from '../moments.ts'

/** Values are [batch, frames, height, width, channels]. */
export interface TfjsOp<K extends NodeKind> {
  forward(resolved: ResolvedNode<NodeOf<K>>, environment: Environment): tf.Tensor5D
  /**
   * Written out rather than left to tfjs, whose wasm backend lacks most gradient kernels (and whose core package registers
   * no gradients); everything but the `kernels` is a composite that every backend can run.
   *
   * @param dy the gradient of the loss with respect to the node's output
   */
  backward(resolved: ResolvedNode<NodeOf<K>>, dy: tf.Tensor5D, trace: Trace): NodeGradients
}

/** Where a node finds what it needs. */
export interface Environment {
  readonly kernels: Kernels
  /** The floats of an input. */
  input(name: string): { readonly data: Float32Array; readonly batch: number }
  /** The output of a node that ran before. */
  read(name: string): tf.Tensor5D
  /** A parameter in use, by its name in the store. */
  parameter<T extends tf.Tensor>(name: string): T
  /** What batch norm normalises with. */
  moments(node: NodeOf<'batchNorm'>, x: tf.Tensor5D): Moments
  dropout(node: NodeOf<'dropout'>, x: tf.Tensor5D): tf.Tensor5D
}

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
