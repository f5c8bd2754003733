/**
 * Turns a sub-network into the fewest steps: a convolution takes along the batch norm, the residual sum and the
 * activation behind it, a gate and its activation go into the convolution that reads them, and a
 * squeeze-and-excitation's mean is summed up where its input is computed. Nodes to be observed are left whole.
 */
import type { ActivationFunction, NodeOf } from '../../network/graph.ts'
import { isKind, type ResolvedNode, type Shape, type SubNetwork } from '../../network/resolve.ts'
import type { ParameterStore } from '../../network/store.ts'
import type { CompileOptions } from '../engine.ts'
import type { Value } from '../planning/arena.ts'
import type { Chain } from '../planning/fusion.ts'
import type { Constants } from './constants.ts'
import { foldedBias, foldedWeights } from './folding.ts'
import { positionsOf } from './geometry.ts'
import { opOf } from './ops/index.ts'
import type { Constant, ProgramBuilder } from './program.ts'
import { ProgramWriter, type WriterOptions } from './writer.ts'

export type InferenceOptions = Pick<CompileOptions, 'statistics' | 'precision'> &
  WriterOptions &
  Required<Pick<WriterOptions, 'keep'>>

export interface InferenceProgram {
  readonly builder: ProgramBuilder
  /** Outputs of the kept nodes. */
  readonly outputs: ReadonlyMap<string, Value>
  /** Names of the input nodes in the order of the externals. */
  readonly inputs: readonly string[]
}

/** A value that the reader may compute on the way: gates and an activation on top of `source`. */
interface Pending {
  readonly source: Value
  readonly gates: Value
  readonly activation: ActivationFunction | undefined
}

/** Row sums of a value whose mean is asked for. */
interface Sums {
  readonly value: Value
  readonly parts: number
}

export function writeInference(
  subNetwork: SubNetwork,
  weights: ParameterStore,
  constants: Constants,
  options: InferenceOptions,
): InferenceProgram {
  const writer = new InferenceWriter(subNetwork, weights, constants, options)
  writer.writeNodes((resolved) => opOf(resolved).infer(writer, resolved))
  const { builder, inputs } = writer
  const outputs = new Map([...options.keep].map((name) => [name, writer.read(name)]))
  for (const value of outputs.values()) builder.keep(value)
  return { builder, outputs, inputs }
}

export class InferenceWriter extends ProgramWriter {
  readonly statistics: CompileOptions['statistics']
  readonly precision: CompileOptions['precision']
  /** Gated nodes that their reader computes on the way. */
  readonly pending = new Map<string, Pending>()
  /** By node. */
  readonly sums = new Map<string, Sums>()
  readonly constants: Constants
  readonly #weights: ParameterStore
  /** Convolutions that stay in float32: those that compute gates. They cost next to nothing and scale everything. */
  readonly #exact = new Set<string>()

  constructor(
    subNetwork: SubNetwork,
    weights: ParameterStore,
    constants: Constants,
    options: InferenceOptions,
  ) {
    super(subNetwork, options)
    this.statistics = options.statistics
    this.precision = options.precision
    this.constants = constants
    this.#weights = weights
    for (const resolved of this.graph.nodes) {
      if (isKind(resolved, 'gate')) this.#keepExact(resolved.node.gate)
    }
  }

  /** Whether a node computes a gate, and so in float32 whatever the precision. */
  isExact(name: string): boolean {
    return this.#exact.has(name)
  }

  /** What a convolution takes along. */
  chainOf(resolved: ResolvedNode, { residual }: { readonly residual: boolean }): Chain {
    return this.chain(resolved, { batchNorm: this.statistics !== 'batch', residual })
  }

  /** A chain's weights, batch norm folded in, and the key that tells them from the plain ones. */
  weightsOf(resolved: ResolvedNode, { batchNorm }: Chain) {
    const key = `${resolved.node.name}${batchNorm ? ' folded' : ''}`
    const values = () =>
      batchNorm
        ? foldedWeights(this.#weights, this.knownStatistics, resolved, batchNorm)
        : this.#weights.gather(resolved.parameters[0]!)
    return { key, values }
  }

  /** What a chain adds to each channel. */
  biasOf(resolved: ResolvedNode, { batchNorm }: Chain): Constant | undefined {
    const { channels } = resolved.shape
    if (batchNorm) {
      return this.constants.plain(`${batchNorm.node.name} folded bias`, channels, () =>
        foldedBias(this.#weights, this.knownStatistics, resolved, batchNorm),
      )
    }
    const bias = resolved.parameters.find(({ role }) => role === 'bias')
    return bias && this.constants.plain(bias.name, channels, () => this.#weights.gather(bias))
  }

  /** A batch norm's own scale and shift. */
  affineOf({ parameters, shape }: ResolvedNode<NodeOf<'batchNorm'>>) {
    const [scale, shift] = parameters.map((slice) =>
      this.constants.plain(slice.name, shape.channels, () => this.#weights.gather(slice)),
    )
    return { scale: scale!, shift: shift! }
  }

  get knownStatistics() {
    if (this.statistics === 'batch') throw new Error('the statistics are those of the batch')
    return this.statistics
  }

  /** activation(a + b), or activation(a · gates). */
  pointwise(
    name: string,
    shape: Shape,
    fields: { a: Value; b?: Value; gates?: Value; activation: ActivationFunction | undefined },
  ): void {
    this.builder.step('pointwise', name, {
      ...fields,
      y: this.output(name, shape),
      batch: this.batch,
      positions: positionsOf(shape),
      channels: shape.channels,
    })
  }

  /** Follows a gate back to the mean that it is computed from. */
  #keepExact(name: string): void {
    const { node } = this.graph.nodes.find((resolved) => resolved.node.name === name)!
    if (node.kind === 'conv') this.#exact.add(name)
    if (node.kind === 'conv' || node.kind === 'activation') this.#keepExact(node.input)
  }
}
