/** What writing a program of inference and one of training share: the nodes' values by name, and what is fused away. */
import type { ResolvedNode, Shape, SubNetwork } from '../../network/resolve.ts'
import { isKind } from '../../network/resolve.ts'
import type { Normalisation } from '../engine.ts'
import type { Value } from '../planning/arena.ts'
import { type Border, ComputedGraph } from '../planning/computed-graph.ts'
import { type Chain, chainBehind, type Takes } from '../planning/fusion.ts'
import type { Addon } from './addon.ts'
import { countOf } from './geometry.ts'
import { ProgramBuilder } from './program.ts'

export interface WriterOptions {
  readonly addon: Addon
  readonly threads: number
  readonly batch: number
  readonly normalisation?: Normalisation | undefined
  /** Nodes whose output must exist at the end. */
  readonly keep?: ReadonlySet<string>
}

export class ProgramWriter {
  readonly addon: Addon
  readonly threads: number
  readonly batch: number
  readonly normalisation: Normalisation | undefined
  readonly builder = new ProgramBuilder()
  readonly graph: ComputedGraph
  readonly subNetwork: SubNetwork
  /** Names of the input nodes in the order of the externals, of which they are the first. */
  readonly inputs: readonly string[]
  readonly #values = new Map<string, Value>()
  readonly #aliases = new Map<string, string>()
  readonly #borders = new Map<string, Border>()
  readonly #taken = new Set<string>()

  constructor(subNetwork: SubNetwork, { addon, threads, batch, normalisation, keep }: WriterOptions) {
    this.addon = addon
    this.threads = threads
    this.batch = batch
    this.normalisation = normalisation
    this.subNetwork = subNetwork
    this.graph = new ComputedGraph(subNetwork, keep)
    const inputs = this.graph.nodes.filter((resolved) => isKind(resolved, 'input'))
    for (const { shape } of inputs) this.builder.external(countOf(batch, shape))
    this.inputs = inputs.map(({ node }) => node.name)
  }

  /** Calls back for every node that no earlier one has taken along, in execution order. */
  writeNodes(write: (resolved: ResolvedNode) => void): void {
    for (const resolved of this.graph.nodes) if (!this.#taken.has(resolved.node.name)) write(resolved)
  }

  /** A new value for a node's output. */
  output(name: string, shape: Shape): Value {
    const value = this.builder.value(name, countOf(this.batch, shape))
    this.#values.set(name, value)
    return value
  }

  /** The value of a node that has been written. */
  read(name: string): Value {
    return this.#values.get(this.sourceOf(name))!
  }

  has(name: string): boolean {
    return this.#values.has(this.sourceOf(name))
  }

  /** Makes a node another name of its input: same value, same gradient. */
  alias(name: string, of: string): void {
    this.#aliases.set(name, of)
  }

  /** The node whose value a name stands for. */
  sourceOf(name: string): string {
    const alias = this.#aliases.get(name)
    return alias === undefined ? name : this.sourceOf(alias)
  }

  /** Takes along what can be computed together with a node. */
  chain(from: ResolvedNode, { batchNorm = false, residual = false } = {}): Chain {
    const takes: Takes = { batchNorm, residual: residual ? (name) => this.has(name) : undefined }
    const chain = chainBehind(this.graph, from, takes)
    for (const { node } of chain.taken) this.#taken.add(node.name)
    return chain
  }

  setBorder(input: string, border: Border): void {
    this.#borders.set(input, border)
  }

  /** The zeros that an input's value has around its frames. */
  borderOf(name: string): Border | undefined {
    return this.#borders.get(name)
  }
}
