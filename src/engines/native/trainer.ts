/** Trains through the add-on: one program per configuration, batch size and kind of loss; one for the optimiser. */

import type { Inputs } from '../../frames/batch.ts'
import type { Network } from '../../network/graph.ts'
import { decays } from '../../network/parameters.ts'
import { configurationKey, type SubNetwork } from '../../network/resolve.ts'
import { type ParameterStore, parametersOf } from '../../network/store.ts'
import type { AccumulateOptions, Target, Trainer, TrainerOptions } from '../engine.ts'
import {
  checkAccumulateOptions,
  checkOpen,
  checkRates,
  checkTarget,
  checkTrainerOptions,
  takeInputs,
} from '../inputs.ts'
import { averagePositions } from '../scores.ts'
import type { External } from './addon.ts'
import type { Workshop } from './engine.ts'
import { type StepProfile, summarise } from './profile.ts'
import { type BuiltProgram, ProgramBuilder, type Value } from './program.ts'
import { type TrainingOptions, type TrainingProgram, writeTraining } from './training.ts'

interface Entry {
  readonly key: string
  readonly network: Network
  readonly written: TrainingProgram
  readonly built: BuiltProgram
}

/** Programs are small (their memory is the engine's arena); drawn widths and sizes seldom repeat. */
const PROGRAM_LIMIT = 16

const NOTHING = new Float32Array(0)

export class NativeTrainer implements Trainer {
  readonly #workshop: Workshop
  readonly #network: Network
  readonly #weights: ParameterStore
  readonly #options: TrainerOptions
  /**
   * The weights as programs read and change them, which nobody else can reach: the store's own are its owner's to
   * transfer. Copied from the store when it has another version, and back after every step.
   */
  readonly #parameters: ReadonlyMap<string, Float32Array>
  /** The version of the store that `#parameters` has. */
  #version = Number.NaN
  readonly #gradients: ReadonlyMap<string, Float32Array>
  readonly #velocities: ReadonlyMap<string, Float32Array>
  readonly #optimiser: { readonly built: BuiltProgram; readonly norm: Value }
  #programs: Entry[] = []
  #isOpen = true

  constructor(workshop: Workshop, network: Network, weights: ParameterStore, options: TrainerOptions) {
    checkTrainerOptions(weights, options)
    this.#workshop = workshop
    this.#network = network
    this.#weights = weights
    this.#options = options
    const zeros = (floats: (count: number) => Float32Array) =>
      new Map([...weights.values].map(([name, { length }]) => [name, floats(length)]))
    this.#parameters = zeros((count) => new Float32Array(count))
    this.#gradients = zeros(undetachable)
    this.#velocities = zeros(undetachable)
    this.#optimiser = this.#writeOptimiser()
  }

  async accumulate(subNetwork: SubNetwork, inputs: Inputs, target: Target, options: AccumulateOptions = {}) {
    this.#checkOpen()
    checkAccumulateOptions(options)
    const { dropoutSeed, scale = 1 } = options
    const { batch, inputs: taken } = takeInputs(subNetwork, inputs, this.#options.normalisation)
    const { classes } = this.#network
    checkTarget(target, batch, classes)
    const probabilities = probabilitiesOf(target, batch, classes)
    const purpose = 'labels' in target ? 'labels' : 'probabilities'
    const { written, built } = this.#program(subNetwork, batch, purpose)
    const externals = this.#externals(written, taken, [
      probabilities,
      Float32Array.of(scale),
      Float32Array.of((dropoutSeed ?? 0) % 2 ** 24, dropoutSeed === undefined ? 0 : 1),
    ])
    return this.#workshop.run(built, externals, (arena) => {
      const loss = new Float32Array(1)
      arena.read(built.offsetOf(written.loss!), loss)
      const outputs = new Float32Array(written.logits.count)
      arena.read(built.offsetOf(written.logits), outputs)
      return { loss: loss[0]!, logits: averagePositions(outputs, batch, classes).logits }
    })
  }

  gradients(): ReadonlyMap<string, Float32Array> {
    return this.#gradients
  }

  velocities(): ReadonlyMap<string, Float32Array> {
    return this.#velocities
  }

  async step(rates: { readonly learningRate: number; readonly clipNorm?: number }) {
    this.#checkOpen()
    checkRates(rates)
    this.#readWeights()
    const { learningRate, clipNorm } = rates
    const { built, norm } = this.#optimiser
    const { momentum, weightDecay } = this.#options
    const given = Float32Array.of(learningRate, momentum, clipNorm ?? 0, weightDecay)
    const externals: External[] = [...this.#parameters].flatMap(([name, parameter]) => [
      parameter,
      this.#gradients.get(name)!,
      this.#velocities.get(name)!,
    ])
    const gradientNorm = await this.#workshop.run(built, [...externals, given], (arena) => {
      const value = new Float32Array(1)
      arena.read(built.offsetOf(norm), value)
      return value[0]!
    })
    for (const [name, values] of this.#parameters) this.#weights.of(name, values.length).set(values)
    this.#weights.touch()
    this.#version = this.#weights.version
    return { gradientNorm }
  }

  bytesFor(subNetwork: SubNetwork, batch: number): number {
    const { normalisation } = this.#options
    const options = { batch, normalisation, purpose: 'labels' } as const
    return 4 * writeTraining(this.#workshop, subNetwork, options).builder.floats
  }

  async statistics(subNetwork: SubNetwork, inputs: Inputs) {
    this.#checkOpen()
    const { batch, inputs: taken } = takeInputs(subNetwork, inputs, this.#options.normalisation)
    const { written, built } = this.#program(subNetwork, batch, 'statistics')
    const externals = this.#externals(written, taken, [NOTHING, Float32Array.of(0), Float32Array.of(0, 0)])
    return this.#workshop.run(
      built,
      externals,
      (arena) =>
        new Map(
          written.moments.map(({ name, mean, variance, rows }) => {
            const read = (value: Value) => {
              const values = new Float32Array(value.count)
              arena.read(built.offsetOf(value), values)
              return values
            }
            const unbiased = rows > 1 ? rows / (rows - 1) : 1
            return [name, { mean: read(mean), variance: read(variance).map((v) => v * unbiased) }]
          }),
        ),
    )
  }

  /** Time per step of the runs so far (engines opened with `timed`). */
  profile(): StepProfile[] {
    return [...this.#programs.map(({ built }) => built), this.#optimiser.built].flatMap(summarise)
  }

  /** Bytes of the arena that the largest program so far runs in. */
  get arenaBytes(): number {
    return Math.max(0, ...this.#programs.map(({ built }) => built.floats * 4))
  }

  dispose(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    for (const { built } of [...this.#programs, this.#optimiser]) this.#workshop.retire(built.program)
    this.#programs = []
  }

  #externals(written: TrainingProgram, inputs: Inputs, rest: readonly Float32Array[]): External[] {
    this.#readWeights()
    return [
      ...written.inputs.map((name) => inputs[name]!.data),
      ...written.parameters.flatMap((name) => [this.#parameters.get(name)!, this.#gradients.get(name)!]),
      ...rest,
    ]
  }

  #checkOpen(): void {
    checkOpen(this.#isOpen, `the trainer of ${this.#network.name}`)
  }

  /** Takes over the store's weights where they have changed. */
  #readWeights(): void {
    if (this.#version === this.#weights.version) return
    for (const [name, values] of this.#parameters) values.set(this.#weights.of(name, values.length))
    this.#version = this.#weights.version
  }

  #program(subNetwork: SubNetwork, batch: number, purpose: TrainingOptions['purpose']): Entry {
    const { network } = subNetwork
    const key = `${configurationKey(subNetwork.configuration)} ${batch} ${purpose}`
    const found = this.#programs.find((entry) => entry.key === key && entry.network === network)
    if (found) {
      this.#programs = [...this.#programs.filter((entry) => entry !== found), found]
      return found
    }
    const { addon, timed } = this.#workshop
    const { normalisation } = this.#options
    const written = writeTraining(this.#workshop, subNetwork, { batch, normalisation, purpose })
    const entry = { key, network, written, built: written.builder.build(addon, undefined, timed) }
    this.#programs.push(entry)
    if (this.#programs.length > PROGRAM_LIMIT) this.#workshop.retire(this.#programs.shift()!.built.program)
    return entry
  }

  #writeOptimiser() {
    const builder = new ProgramBuilder()
    const norm = builder.value('gradient norm', 2)
    builder.keep(norm)
    const { nesterov, decayRule = 'dense' } = this.#options
    const roles = new Map(parametersOf(this.#network).map(({ name, role }) => [name, role]))
    const externals = [...this.#weights.values].map(([name, { length: count }]) => ({
      name,
      count,
      parameter: builder.external(count),
      gradient: builder.external(count),
      velocity: builder.external(count),
    }))
    const scalars = builder.external(4)
    externals.forEach(({ name, count, gradient }, index) => {
      builder.step('squareSum', name, {
        ...{ external: gradient, count, norm },
        first: index === 0,
        finish: index === externals.length - 1,
      })
    })
    for (const { name, count, parameter, gradient, velocity } of externals) {
      builder.step('descend', name, {
        ...{ parameter, gradient, velocity, scalars, norm, count },
        decay: decays(roles.get(name)!, decayRule),
        nesterov,
      })
    }
    const { addon, timed } = this.#workshop
    return { built: builder.build(addon, undefined, timed), norm }
  }
}

/**
 * Floats that callers are given and programs change in place: memory that is shared can be neither transferred nor
 * shrunk, so that it stays where it is while a program runs.
 */
const undetachable = (count: number): Float32Array => new Float32Array(new SharedArrayBuffer(4 * count))

/** The rows that the softmax is compared with, in an array of our own; the target has been checked. */
function probabilitiesOf(target: Target, batch: number, classes: number): Float32Array {
  if ('probabilities' in target) return new Float32Array(target.probabilities)
  const { labels, labelSmoothing = 0 } = target
  const probabilities = new Float32Array(batch * classes).fill(labelSmoothing / classes)
  labels.forEach((label, n) => {
    probabilities[n * classes + label]! += 1 - labelSmoothing
  })
  return probabilities
}
