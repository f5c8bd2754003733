/**
 * Writes the program of one training pass: forward with batch statistics, loss, backward, gradients added to the
 * full-size buffers. Each layer writes its forward steps and leaves a function that writes its backward ones;
 * these run in reverse order, so that a node's gradient is complete before it is read.
 */
import type { ActivationFunction } from '../../network/graph.ts'
import type { ParameterSlice } from '../../network/parameters.ts'
import { isKind, type ResolvedNode, type Shape, type SubNetwork } from '../../network/resolve.ts'
import type { Normalisation } from '../engine.ts'
import { type Border, ComputedGraph } from '../planning/computed-graph.ts'
import type { Addon } from './addon.ts'
import type { Workshop } from './engine.ts'
import { countOf, positionsOf } from './geometry.ts'
import { writeLayer } from './layers.ts'
import { type External, ProgramBuilder, type Value } from './program.ts'

export interface TrainingOptions {
  readonly batch: number
  readonly normalisation: Normalisation | undefined
  /** `statistics`: forward alone, for the moments. */
  readonly purpose: 'labels' | 'probabilities' | 'statistics'
}

export interface TrainingProgram {
  readonly builder: ProgramBuilder
  /** Externals: inputs by node name, then parameters and gradients by parameter name, then the rest. */
  readonly inputs: readonly string[]
  readonly parameters: readonly string[]
  readonly external: Readonly<Record<'target' | 'scale' | 'dropout', number>>
  readonly logits: Value
  readonly loss: Value | undefined
  /** Mean and biased variance of each batch-norm node, and the number of values they are over. */
  readonly moments: readonly {
    readonly name: string
    readonly mean: Value
    readonly variance: Value
    readonly rows: number
  }[]
}

export function writeTraining(
  workshop: Pick<Workshop, 'addon' | 'threads'>,
  subNetwork: SubNetwork,
  options: TrainingOptions,
): TrainingProgram {
  return new TrainingWriter(workshop, subNetwork, options).write()
}

export class TrainingWriter {
  readonly builder = new ProgramBuilder()
  readonly batch: number
  readonly normalisation: Normalisation | undefined
  readonly backwards: boolean
  /** Zeros around an input that its only reader asks for. */
  readonly borders = new Map<string, Border>()
  readonly moments: { name: string; mean: Value; variance: Value; rows: number }[] = []
  readonly external: TrainingProgram['external']
  readonly #options: TrainingOptions
  readonly #subNetwork: SubNetwork
  readonly graph: ComputedGraph
  readonly #values = new Map<string, Value>()
  readonly #aliases = new Map<string, string>()
  readonly #gradients = new Map<string, Value>()
  readonly #done = new Set<string>()
  readonly #inputs: string[] = []
  readonly #parameters = new Map<string, { readonly value: number; readonly gradient: number }>()
  readonly #backward: (() => void)[] = []

  readonly addon: Addon
  readonly threads: number

  constructor(
    { addon, threads }: Pick<Workshop, 'addon' | 'threads'>,
    subNetwork: SubNetwork,
    options: TrainingOptions,
  ) {
    this.addon = addon
    this.threads = threads
    this.batch = options.batch
    this.normalisation = options.normalisation
    this.backwards = options.purpose !== 'statistics'
    this.#options = options
    this.#subNetwork = subNetwork
    const { network } = subNetwork
    this.graph = new ComputedGraph(subNetwork)
    for (const resolved of this.graph.nodes) {
      if (!isKind(resolved, 'input')) continue
      this.#inputs.push(resolved.node.name)
      this.builder.external(countOf(this.batch, resolved.shape))
    }
    for (const { parameters } of this.graph.nodes) {
      for (const { name, fullShape } of parameters) {
        const count = fullShape.reduce((product, axis) => product * axis, 1)
        this.#parameters.set(name, {
          value: this.builder.external(count),
          gradient: this.builder.external(this.backwards ? count : 0),
        })
      }
    }
    this.external = {
      target: this.builder.external(this.backwards ? this.batch * network.classes : 0),
      scale: this.builder.external(1),
      dropout: this.builder.external(2),
    }
  }

  write(): TrainingProgram {
    for (const resolved of this.graph.nodes) {
      if (!this.#done.has(resolved.node.name)) writeLayer(this, resolved)
    }
    const { classifier } = this.#subNetwork.network
    const logits = this.read(classifier)
    const loss = this.backwards ? this.#loss(logits) : undefined
    for (const backward of this.#backward.reverse()) backward()
    this.builder.keep(logits)
    return {
      builder: this.builder,
      inputs: this.#inputs,
      parameters: [...this.#parameters.keys()],
      external: this.external,
      logits,
      loss,
      moments: this.moments,
    }
  }

  /** The external that holds an input's frames. */
  inputIndex(name: string): number {
    return this.#inputs.indexOf(name)
  }

  /** Writes a layer's backward steps later, if its output's gradient exists then. */
  onBackward(output: string, write: (dy: Value) => void): void {
    if (!this.backwards) return
    this.#backward.push(() => {
      const dy = this.#gradients.get(this.#source(output))
      if (dy) write(dy)
    })
  }

  output(name: string, count: number): Value {
    const value = this.builder.value(name, count)
    this.#values.set(name, value)
    return value
  }

  read(name: string): Value {
    return this.#values.get(this.#source(name))!
  }

  has(name: string): boolean {
    return this.#values.has(this.#source(name))
  }

  /** Makes a node another name of its input: same value, same gradient. */
  alias(name: string, of: string): void {
    this.#aliases.set(name, of)
  }

  /** Where to write a node's gradient, and whether others wrote there before; undefined for inputs. */
  gradientOf(name: string): { readonly value: Value; readonly accumulate: boolean } | undefined {
    const source = this.#source(name)
    if (this.#inputs.includes(source)) return undefined
    const known = this.#gradients.get(source)
    if (known) return { value: known, accumulate: true }
    const value = this.builder.value(`gradient of ${source}`, this.read(source).count)
    this.#gradients.set(source, value)
    return { value, accumulate: false }
  }

  /** The values in use of a parameter: where they lie, if all are. */
  gather(slice: ParameterSlice): Value | External {
    const whole = this.#whole(slice, 'value')
    if (whole) return whole
    const value = this.builder.value(slice.name, sizeOf(slice))
    this.#slice(slice, this.#parameters.get(slice.name)!.value, value, false)
    return value
  }

  /** Adds a gradient to the full-size one. */
  scatter(slice: ParameterSlice, gradient: Value): void {
    this.#slice(slice, this.#parameters.get(slice.name)!.gradient, gradient, true)
  }

  /** Adds a gradient to the full-size one: in place, if `write` can accumulate and all of the parameter is in use. */
  addGradient(slice: ParameterSlice, write: (dw: Value | External, accumulate: boolean) => void): void {
    const whole = this.#whole(slice, 'gradient')
    if (whole) return write(whole, true)
    const value = this.builder.value(`gradient of ${slice.name}`, sizeOf(slice))
    write(value, false)
    this.scatter(slice, value)
  }

  /** A parameter's full-size array, if the sub-network uses all of it. */
  #whole(slice: ParameterSlice, which: 'value' | 'gradient'): External | undefined {
    const count = sizeOf(slice)
    if (count < slice.fullShape.reduce((product, axis) => product * axis, 1)) return undefined
    return { kind: 'external', index: this.#parameters.get(slice.name)![which], count }
  }

  #slice(slice: ParameterSlice, external: number, value: Value, scatter: boolean): void {
    const { fullShape, out } = slice
    const inRuns = slice.in ?? [{ start: 0, count: 1 }]
    const fullOut = fullShape.at(-1)!
    const fullIn = slice.in ? fullShape.at(-2)! : 1
    this.builder.step('slice', slice.name, {
      external,
      value,
      taps: fullShape.reduce((product, axis) => product * axis, 1) / (fullIn * fullOut),
      fullIn,
      fullOut,
      inStart: inRuns.map(({ start }) => start),
      inCount: inRuns.map(({ count }) => count),
      outStart: out.map(({ start }) => start),
      outCount: out.map(({ count }) => count),
      scatter,
    })
  }

  /** The activation behind a node, if it has no other reader, as part of the node. */
  takeActivation(name: string): {
    readonly last: string
    readonly activation: ActivationFunction | undefined
  } {
    const next = this.graph.onlyReader(name)
    if (!next || !isKind(next, 'activation')) return { last: name, activation: undefined }
    return { last: this.take(next), activation: next.node.activation }
  }

  /** Marks a node as written by an earlier one. */
  take({ node }: ResolvedNode): string {
    this.#done.add(node.name)
    return node.name
  }

  #source(name: string): string {
    const alias = this.#aliases.get(name)
    return alias === undefined ? name : this.#source(alias)
  }

  #loss(logits: Value): Value {
    const { network, nodes } = this.#subNetwork
    const shape: Shape = nodes.find(({ node }) => node.name === network.classifier)!.shape
    const loss = this.builder.value('loss', 1)
    this.builder.keep(loss)
    this.builder.step('loss', 'loss', {
      logits,
      loss,
      dlogits: this.gradientOf(network.classifier)!.value,
      target: this.external.target,
      scale: this.external.scale,
      batch: this.batch,
      positions: positionsOf(shape),
      classes: network.classes,
      kl: this.#options.purpose === 'probabilities',
    })
    return loss
  }
}

const sizeOf = ({ shape }: ParameterSlice): number => shape.reduce((product, axis) => product * axis, 1)
