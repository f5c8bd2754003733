/** Every operation that a network may have. A kind without its entry does not compile, here and in each engine. */
import { type ActivationNode, activation } from './activation.ts'
import { type AddNode, add } from './add.ts'
import { type BatchNormNode, batchNorm } from './batch-norm.ts'
import { type ChannelwiseConvNode, channelwiseConv } from './channelwise-conv.ts'
import { type ConcatNode, concat } from './concat.ts'
import { type ConvNode, conv } from './conv.ts'
import { type DropoutNode, dropout } from './dropout.ts'
import { type GateNode, gate } from './gate.ts'
import { type GlobalPoolNode, globalPool } from './global-pool.ts'
import { type InputNode, input } from './input.ts'
import { type LinearNode, linear } from './linear.ts'
import { type MaxPoolNode, maxPool } from './max-pool.ts'
import type { Op } from './op.ts'
import { type ResampleNode, resample } from './resample.ts'

export type Node =
  | InputNode
  | ConvNode
  | ChannelwiseConvNode
  | BatchNormNode
  | ActivationNode
  | AddNode
  | ConcatNode
  | GateNode
  | MaxPoolNode
  | GlobalPoolNode
  | ResampleNode
  | DropoutNode
  | LinearNode

export type NodeKind = Node['kind']

/** The node type of a kind. */
export type NodeOf<K extends NodeKind> = Extract<Node, { kind: K }>

const OPS: { readonly [K in NodeKind]: Op<NodeOf<K>> } = {
  input,
  conv,
  channelwiseConv,
  batchNorm,
  activation,
  add,
  concat,
  gate,
  maxPool,
  globalPool,
  resample,
  dropout,
  linear,
}

/** What a node's operation is. */
export const opOf = <N extends Node>(node: N): Op<N> => OPS[node.kind] as unknown as Op<N>
