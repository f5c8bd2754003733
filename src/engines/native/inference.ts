/**
 * Turns a sub-network into the fewest steps: a convolution takes along the batch norm, the residual sum and the
 * activation behind it, a gate and its activation go into the convolution that reads them, and a
 * squeeze-and-excitation's mean is summed up where its input is computed. Nodes to be observed are left whole.
 */
import { MnVideoError } from '../../errors.ts'
import type { ActivationFunction, Node, NodeKind, NodeOf } from '../../network/graph.ts'
import { isKind, type ResolvedNode, type Shape, type SubNetwork } from '../../network/resolve.ts'
import type { ParameterStore } from '../../network/store.ts'
import type { CompileOptions } from '../engine.ts'
import { type Border, bordered, ComputedGraph, type Window, windowOver } from '../planning/computed-graph.ts'
import type { Addon } from './addon.ts'
import type { Constants } from './constants.ts'
import {
  countOf,
  extentOf,
  isPointwise,
  NO_PADDING,
  normalisationFields,
  positionsOf,
  tapsOf,
  UNIT,
} from './geometry.ts'
import { type Constant, ProgramBuilder, type Value } from './program.ts'
import { winogradSizes, writeWinograd } from './winograd.ts'

export interface InferenceOptions extends CompileOptions {
  readonly addon: Addon
  readonly threads: number
  readonly batch: number
  /** Nodes whose output must exist at the end. */
  readonly keep: ReadonlySet<string>
}

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

type BatchNorm = ResolvedNode<NodeOf<'batchNorm'>>

export function writeInference(
  subNetwork: SubNetwork,
  weights: ParameterStore,
  constants: Constants,
  options: InferenceOptions,
): InferenceProgram {
  return new Writer(subNetwork, weights, constants, options).write()
}

class Writer {
  readonly #builder = new ProgramBuilder()
  readonly #values = new Map<string, Value>()
  readonly #pending = new Map<string, Pending>()
  /** Row sums of values whose mean is asked for, by node name. */
  readonly #sums = new Map<string, { readonly value: Value; readonly parts: number }>()
  readonly #borders = new Map<string, Border>()
  readonly #done = new Set<string>()
  /** Convolutions that stay in float32: those that compute gates. They cost next to nothing and scale everything. */
  readonly #exact = new Set<string>()
  readonly #inputs: string[] = []
  readonly #graph: ComputedGraph
  readonly #subNetwork: SubNetwork
  readonly #weights: ParameterStore
  readonly #constants: Constants
  readonly #options: InferenceOptions

  constructor(
    subNetwork: SubNetwork,
    weights: ParameterStore,
    constants: Constants,
    options: InferenceOptions,
  ) {
    this.#subNetwork = subNetwork
    this.#weights = weights
    this.#constants = constants
    this.#options = options
    this.#graph = new ComputedGraph(subNetwork, options.keep)
    for (const resolved of this.#graph.nodes) {
      if (isKind(resolved, 'gate')) this.#keepExact(resolved.node.gate)
    }
  }

  write(): InferenceProgram {
    for (const resolved of this.#graph.nodes) {
      if (!this.#done.has(resolved.node.name)) this.#writeNode(resolved)
    }
    const outputs = new Map([...this.#options.keep].map((name) => [name, this.#read(name)]))
    for (const value of outputs.values()) this.#builder.keep(value)
    return { builder: this.#builder, outputs, inputs: this.#inputs }
  }

  /** Follows a gate back to the mean that it is computed from. */
  #keepExact(name: string): void {
    const { node } = this.#graph.nodes.find((resolved) => resolved.node.name === name)!
    if (node.kind === 'conv') this.#exact.add(name)
    if (node.kind === 'conv' || node.kind === 'activation') this.#keepExact(node.input)
  }

  /** How the steps of each kind of node are written. */
  readonly #kinds: { readonly [K in NodeKind]: (resolved: ResolvedNode<NodeOf<K>>) => void } = {
    input: (resolved) => this.#input(resolved),
    conv: (resolved) => this.#dense(resolved),
    channelwiseConv: (resolved) => this.#channelwise(resolved),
    batchNorm: (resolved) => this.#normalise(resolved),
    activation: ({ node, shape }) =>
      this.#pointwise(node.name, shape, {
        a: this.#read(node.input),
        activation: node.activation,
      }),
    add: (resolved) => this.#add(resolved),
    concat: (resolved) => this.#concat(resolved),
    gate: (resolved) => this.#gate(resolved),
    maxPool: (resolved) => this.#maxPool(resolved),
    globalPool: (resolved) => this.#globalPool(resolved, resolved.node),
    resample: (resolved) => this.#resample(resolved),
    dropout: ({ node }) => this.#alias(node.name, node.input),
    linear: (resolved) => this.#dense(resolved),
  }

  #writeNode(resolved: ResolvedNode): void {
    const write = this.#kinds[resolved.node.kind] as (resolved: ResolvedNode) => void
    write(resolved)
  }

  #add(resolved: ResolvedNode<NodeOf<'add'>>): void {
    const { last, activation } = this.#withActivation(resolved)
    const [a, b] = resolved.node.inputs
    this.#pointwise(last, resolved.shape, { a: this.#read(a), b: this.#read(b), activation })
  }

  #concat({ node, shape, inputs }: ResolvedNode<NodeOf<'concat'>>): void {
    const y = this.#output(node.name, shape)
    let start = 0
    node.inputs.forEach((input, i) => {
      const channels = inputs[i]!.channels
      this.#builder.step('copyChannels', node.name, {
        x: this.#read(input),
        y,
        rows: this.#options.batch * positionsOf(shape),
        xChannels: channels,
        yChannels: shape.channels,
        yStart: start,
        count: channels,
      })
      start += channels
    })
  }

  #maxPool(resolved: ResolvedNode<NodeOf<'maxPool'>>): void {
    const { node, shape } = resolved
    this.#builder.step('maxPool', node.name, {
      x: this.#read(node.input),
      y: this.#output(node.name, shape),
      ...this.#geometry(resolved),
      ...windowOf(node),
      channels: shape.channels,
    })
  }

  #resample(resolved: ResolvedNode<NodeOf<'resample'>>): void {
    const { node, shape } = resolved
    if (sameExtent(resolved.inputs[0]!, shape)) return this.#alias(node.name, node.input)
    this.#builder.step('resample', node.name, {
      x: this.#read(node.input),
      y: this.#output(node.name, shape),
      ...this.#geometry(resolved),
      channels: shape.channels,
    })
  }

  #input(resolved: ResolvedNode<NodeOf<'input'>>): void {
    const { node, shape } = resolved
    const border = this.#graph.borderOf(node)
    if (border) this.#borders.set(node.name, border)
    this.#inputs.push(node.name)
    this.#builder.step('input', node.name, {
      y: this.#output(node.name, bordered(shape, border)),
      in: extentOf(this.#options.batch, shape),
      borderHeight: border?.height ?? 0,
      borderWidth: border?.width ?? 0,
      external: this.#builder.external(countOf(this.#options.batch, shape)),
      ...normalisationFields(this.#options.normalisation),
    })
  }

  #dense(resolved: ResolvedNode<NodeOf<'conv' | 'linear'>>): void {
    const { node, inputs } = resolved
    const conv = node.kind === 'conv' ? node : undefined
    const chain = this.#chain(resolved)
    const inChannels = inputs[0]!.channels
    const outChannels = resolved.shape.channels
    const border = this.#borders.get(node.input)
    const whole: Window = conv ?? { kernel: UNIT, stride: UNIT, padding: NO_PADDING }
    const { window, depth } = windowOver(whole, inChannels, border)
    const input = bordered(inputs[0]!, border)
    const gated = isPointwise(window) ? this.#pending.get(node.input) : undefined
    const taps = tapsOf(window.kernel)
    const filter = () => this.#foldedWeights(resolved, chain.batchNorm)
    const key = `${node.name}${chain.batchNorm ? ' folded' : ''}`
    const { batch } = this.#options
    const bf16 = this.#options.precision === 'bf16' && !this.#exact.has(node.name)
    // Its transforms would round values that are larger than their differences.
    const winograd =
      !bf16 && !border && winogradSizes(window, batch, resolved.shape, inChannels, outChannels, 'constant')
    const values = {
      x: gated ? gated.source : this.#read(node.input),
      y: this.#output(chain.last, resolved.shape),
    }
    const behind = {
      bias: this.#foldedBias(resolved, chain.batchNorm),
      residual: chain.residual,
      activation: chain.activation,
    }
    if (winograd) {
      const packed = this.#constants.packedWinograd(`${key} winograd`, winograd, filter)
      const fields = { ...values, ...behind, packed }
      return writeWinograd(this.#options, this.#builder, 'winograd', chain.last, winograd, fields)
    }
    this.#builder.step(bf16 ? 'denseBf16' : 'dense', chain.last, {
      ...values,
      in: extentOf(batch, input),
      out: extentOf(batch, resolved.shape),
      inChannels,
      depth,
      outChannels,
      ...window,
      packed: this.#constants.packed(key, taps, depth, outChannels, bf16, filter),
      ...behind,
      gates: gated?.gates,
      prologue: gated?.activation,
    })
  }

  #channelwise(resolved: ResolvedNode<NodeOf<'channelwiseConv'>>): void {
    const { node, shape } = resolved
    const chain = this.#chain(resolved)
    const { batch } = this.#options
    const key = `${node.name}${chain.batchNorm ? ' folded' : ''}`
    const averaged = this.#graph
      .readersOf(chain.last)
      .some((reader) => isKind(reader, 'globalPool') && isWhole(reader))
    const parts = shape.frames * shape.height
    const sums = averaged
      ? this.#builder.value(`${chain.last} sums`, batch * parts * shape.channels)
      : undefined
    if (sums) this.#sums.set(chain.last, { value: sums, parts })
    this.#builder.step('channelwise', chain.last, {
      x: this.#read(node.input),
      y: this.#output(chain.last, shape),
      ...this.#geometry(resolved),
      ...windowOf(node),
      channels: shape.channels,
      weights: this.#constants.plain(key, tapsOf(node.kernel) * shape.channels, () =>
        this.#foldedWeights(resolved, chain.batchNorm),
      ),
      bias: this.#foldedBias(resolved, chain.batchNorm),
      activation: chain.activation,
      sums,
    })
  }

  /** The nodes behind a convolution that it can take along. */
  #chain(resolved: ResolvedNode): {
    last: string
    activation: ActivationFunction | undefined
    batchNorm?: BatchNorm
    residual?: Value
  } {
    let last = resolved
    let batchNorm: BatchNorm | undefined
    let residual: Value | undefined
    const next = this.#graph.onlyReader(last.node.name)
    if (next && isKind(next, 'batchNorm') && this.#options.statistics !== 'batch') {
      batchNorm = next
      last = this.#absorb(next)
    }
    const sum = this.#graph.onlyReader(last.node.name)
    if (resolved.node.kind === 'conv' && sum && isKind(sum, 'add')) {
      const other = sum.node.inputs.find((name) => name !== last.node.name)
      if (other && this.#values.has(other)) {
        residual = this.#read(other)
        last = this.#absorb(sum)
      }
    }
    const { last: name, activation } = this.#withActivation(last)
    return { last: name, activation, ...(batchNorm && { batchNorm }), ...(residual && { residual }) }
  }

  #withActivation(last: ResolvedNode): { last: string; activation: ActivationFunction | undefined } {
    const next = this.#graph.onlyReader(last.node.name)
    if (!next || !isKind(next, 'activation')) return { last: last.node.name, activation: undefined }
    return { last: this.#absorb(next).node.name, activation: next.node.activation }
  }

  #absorb<N extends Node>(resolved: ResolvedNode<N>): ResolvedNode<N> {
    this.#done.add(resolved.node.name)
    return resolved
  }

  #normalise(resolved: BatchNorm): void {
    const { node, shape } = resolved
    const { channels } = shape
    const rows = this.#options.batch * positionsOf(shape)
    const x = this.#read(node.input)
    let mean: Value | Constant
    let variance: Value | Constant
    if (this.#options.statistics === 'batch') {
      mean = this.#builder.value(`${node.name} mean`, channels)
      variance = this.#builder.value(`${node.name} variance`, channels)
      this.#builder.step('moments', node.name, { x, mean, variance, rows, channels })
    } else {
      const statistics = this.#statistics(resolved)
      mean = this.#constants.plain(`${node.name}.mean`, channels, () => statistics.mean)
      variance = this.#constants.plain(`${node.name}.variance`, channels, () => statistics.variance)
    }
    const { last, activation } = this.#withActivation(resolved)
    const [scale, shift] = resolved.parameters
    this.#builder.step('normalise', last, {
      x,
      y: this.#output(last, shape),
      mean,
      variance,
      scale: this.#constants.plain(scale!.name, channels, () => this.#weights.gather(scale!)),
      shift: this.#constants.plain(shift!.name, channels, () => this.#weights.gather(shift!)),
      rows,
      channels,
      epsilon: node.epsilon,
      activation,
    })
  }

  #gate(resolved: ResolvedNode<NodeOf<'gate'>>): void {
    const { node, shape } = resolved
    const { last, activation } = this.#withActivation(resolved)
    const pending = { source: this.#read(node.input), gates: this.#read(node.gate), activation }
    const reader = this.#graph.onlyReader(last)?.node
    if (reader?.kind === 'conv' && isPointwise(reader)) this.#pending.set(last, pending)
    else this.#pointwise(last, shape, { a: pending.source, gates: pending.gates, activation })
  }

  #globalPool(resolved: ResolvedNode, node: NodeOf<'globalPool'>) {
    const { shape } = resolved
    const y = this.#output(node.name, shape)
    const sums = this.#sums.get(node.input)
    if (sums && isWhole(resolved)) {
      return this.#builder.step('reduceParts', node.name, {
        x: sums.value,
        y,
        batch: this.#options.batch,
        parts: sums.parts,
        channels: shape.channels,
        factor: 1 / positionsOf(resolved.inputs[0]!),
      })
    }
    this.#builder.step('averagePool', node.name, {
      x: this.#read(node.input),
      y,
      ...this.#geometry(resolved),
      kernel: resolved.kernel!,
      stride: UNIT,
      padding: NO_PADDING,
      channels: shape.channels,
    })
  }

  #pointwise(
    name: string,
    shape: Shape,
    fields: { a: Value; b?: Value; gates?: Value; activation: ActivationFunction | undefined },
  ): void {
    this.#builder.step('pointwise', name, {
      ...fields,
      y: this.#output(name, shape),
      batch: this.#options.batch,
      positions: positionsOf(shape),
      channels: shape.channels,
    })
  }

  #geometry({ inputs, shape }: ResolvedNode) {
    return { in: extentOf(this.#options.batch, inputs[0]!), out: extentOf(this.#options.batch, shape) }
  }

  #output(name: string, shape: Shape): Value {
    const value = this.#builder.value(name, countOf(this.#options.batch, shape))
    this.#values.set(name, value)
    return value
  }

  #read(name: string): Value {
    return this.#values.get(name)!
  }

  #alias(name: string, of: string): void {
    this.#values.set(name, this.#read(of))
  }

  #statistics({ node, shape }: BatchNorm) {
    const { statistics } = this.#options
    const found = statistics === 'batch' ? undefined : statistics.get(node.name)
    if (found?.mean.length !== shape.channels || found.variance.length !== shape.channels) {
      throw new MnVideoError(
        'engine',
        `${this.#subNetwork.network.name}: ${node.name} needs statistics of ${shape.channels} channels, ${found ? `not ${found.mean.length}` : 'but has none'}. Calibrate batch norm for this configuration.`,
      )
    }
    return found
  }

  /** The factor of each output channel that a batch norm multiplies by, in double precision. */
  #factors(batchNorm: BatchNorm): Float64Array {
    const scale = this.#weights.gather(batchNorm.parameters[0]!)
    const { variance } = this.#statistics(batchNorm)
    return Float64Array.from(scale, (s, c) => s / Math.sqrt(variance[c]! + batchNorm.node.epsilon))
  }

  #foldedWeights(resolved: ResolvedNode, batchNorm: BatchNorm | undefined): Float32Array {
    const weights = this.#weights.gather(resolved.parameters[0]!)
    if (!batchNorm) return weights
    const factors = this.#factors(batchNorm)
    for (let i = 0; i < weights.length; i++) weights[i]! *= factors[i % factors.length]!
    return weights
  }

  #foldedBias(resolved: ResolvedNode, batchNorm: BatchNorm | undefined): Constant | undefined {
    const bias = resolved.parameters.find(({ role }) => role === 'bias')
    const channels = resolved.shape.channels
    if (!batchNorm) {
      return bias && this.#constants.plain(bias.name, channels, () => this.#weights.gather(bias))
    }
    return this.#constants.plain(`${batchNorm.node.name} folded bias`, channels, () => {
      const factors = this.#factors(batchNorm)
      const shift = this.#weights.gather(batchNorm.parameters[1]!)
      const { mean } = this.#statistics(batchNorm)
      const before = bias ? this.#weights.gather(bias) : new Float32Array(channels)
      return shift.map((s, c) => s + (before[c]! - mean[c]!) * factors[c]!)
    })
  }
}

const windowOf = ({ kernel, stride, padding }: Window): Window => ({ kernel, stride, padding })

const sameExtent = (a: Shape, b: Shape): boolean =>
  a.frames === b.frames && a.height === b.height && a.width === b.width

/** Whether a pool averages over everything. */
const isWhole = ({ shape }: ResolvedNode): boolean => positionsOf(shape) === 1
