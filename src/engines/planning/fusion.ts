/** What a convolution can take along of the nodes behind it: batch norm, residual sum, activation. */
import type { ActivationFunction, Node, NodeOf } from '../../network/graph.ts'
import { isKind, type ResolvedNode } from '../../network/resolve.ts'
import type { ComputedGraph } from './computed-graph.ts'

/** A node together with those behind it that are computed with it. */
export interface Chain {
  /** The name under which the result is known. */
  readonly last: string
  readonly batchNorm?: ResolvedNode<NodeOf<'batchNorm'>>
  /** The node whose output is added before the activation. */
  readonly residual?: string
  readonly activation: ActivationFunction | undefined
  /** The nodes that need no steps of their own any more. */
  readonly taken: readonly ResolvedNode[]
}

export interface Takes {
  readonly batchNorm: boolean
  /** Whether a node's output is there already, to be added. */
  readonly residual: ((name: string) => boolean) | undefined
}

/** The longest chain behind a node: [batch norm] [residual sum] [activation], each the only reader of the one before. */
export function chainBehind(graph: ComputedGraph, from: ResolvedNode, takes: Takes): Chain {
  const taken: ResolvedNode[] = []
  let last: ResolvedNode = from
  const take = <N extends Node>(next: ResolvedNode<N>): ResolvedNode<N> => {
    taken.push(next)
    last = next
    return next
  }
  const chain: { -readonly [K in 'batchNorm' | 'residual']?: Chain[K] } = {}
  const normalised = graph.onlyReader(last.node.name)
  if (takes.batchNorm && normalised && isKind(normalised, 'batchNorm')) chain.batchNorm = take(normalised)
  const sum = graph.onlyReader(last.node.name)
  if (takes.residual && sum && isKind(sum, 'add')) {
    const before = last.node.name
    const other = sum.node.inputs.find((name) => name !== before && takes.residual!(name))
    if (other !== undefined) {
      chain.residual = other
      take(sum)
    }
  }
  const next = graph.onlyReader(last.node.name)
  const activation = next && isKind(next, 'activation') ? take(next).node.activation : undefined
  return { ...chain, last: last.node.name, activation, taken }
}
