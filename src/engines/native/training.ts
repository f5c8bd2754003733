/**
 * Writes the program of one training pass: forward with batch statistics, loss, backward, gradients added to the
 * full-size buffers. Each node writes its forward steps and leaves a function that writes its backward ones;
 * these run in reverse order, so that a node's gradient is complete before it is read.
 */
import type { ParameterSlice } from '../../network/parameters.ts'
import type { Shape, SubNetwork } from '../../network/resolve.ts'
import type { Normalisation } from '../engine.ts'
import type { Value } from '../planning/arena.ts'
import type { Executor } from './executor.ts'
import { positionsOf } from './geometry.ts'
import { opOf } from './ops/index.ts'
import type { External, ProgramBuilder } from './program.ts'
import { ProgramWriter } from './writer.ts'

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

type Machine = Pick<Executor, 'addon' | 'threads'>

export function writeTraining(
  machine: Machine,
  subNetwork: SubNetwork,
  options: TrainingOptions,
): TrainingProgram {
  return new TrainingWriter(machine, subNetwork, options).write()
}

/** Where a gradient goes, and whether others have written there before. */
export interface Gradient {
  readonly value: Value
  readonly accumulate: boolean
}

export class TrainingWriter extends ProgramWriter {
  readonly backwards: boolean
  readonly moments: { name: string; mean: Value; variance: Value; rows: number }[] = []
  readonly external: TrainingProgram['external']
  readonly #purpose: TrainingOptions['purpose']
  readonly #gradients = new Map<string, Value>()
  readonly #parameters = new Map<string, { readonly value: number; readonly gradient: number }>()
  readonly #backward: (() => void)[] = []

  constructor({ addon, threads }: Machine, subNetwork: SubNetwork, options: TrainingOptions) {
    super(subNetwork, { addon, threads, ...options })
    this.#purpose = options.purpose
    this.backwards = options.purpose !== 'statistics'
    for (const { parameters } of this.graph.nodes) {
      for (const { name, fullShape } of parameters) {
        const count = sizeOf(fullShape)
        this.#parameters.set(name, {
          value: this.builder.external(count),
          gradient: this.builder.external(this.backwards ? count : 0),
        })
      }
    }
    this.external = {
      target: this.builder.external(this.backwards ? this.batch * subNetwork.network.classes : 0),
      scale: this.builder.external(1),
      dropout: this.builder.external(2),
    }
  }

  write(): TrainingProgram {
    this.writeNodes((resolved) => opOf(resolved).train(this, resolved))
    const logits = this.read(this.subNetwork.network.classifier)
    const loss = this.backwards ? this.#loss(logits) : undefined
    for (const backward of this.#backward.reverse()) backward()
    this.builder.keep(logits)
    return {
      builder: this.builder,
      inputs: this.inputs,
      parameters: [...this.#parameters.keys()],
      external: this.external,
      logits,
      loss,
      moments: this.moments,
    }
  }

  /** Writes a node's backward steps later, if its output's gradient exists then. */
  onBackward(output: string, write: (dy: Value) => void): void {
    if (!this.backwards) return
    this.#backward.push(() => {
      const dy = this.#gradients.get(this.sourceOf(output))
      if (dy) write(dy)
    })
  }

  /** Where to write a node's gradient; undefined for inputs, which need none. */
  gradientOf(name: string): Gradient | undefined {
    const source = this.sourceOf(name)
    if (this.inputs.includes(source)) return undefined
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
    const value = this.builder.value(slice.name, sizeOf(slice.shape))
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
    const value = this.builder.value(`gradient of ${slice.name}`, sizeOf(slice.shape))
    write(value, false)
    this.scatter(slice, value)
  }

  /** A parameter's full-size array, if the sub-network uses all of it. */
  #whole(slice: ParameterSlice, which: 'value' | 'gradient'): External | undefined {
    const count = sizeOf(slice.shape)
    if (count < sizeOf(slice.fullShape)) return undefined
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
      taps: sizeOf(fullShape) / (fullIn * fullOut),
      fullIn,
      fullOut,
      inStart: inRuns.map(({ start }) => start),
      inCount: inRuns.map(({ count }) => count),
      outStart: out.map(({ start }) => start),
      outCount: out.map(({ count }) => count),
      scatter,
    })
  }

  #loss(logits: Value): Value {
    const { network, nodes } = this.subNetwork
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
      kl: this.#purpose === 'probabilities',
    })
    return loss
  }
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, axis) => product * axis, 1)
