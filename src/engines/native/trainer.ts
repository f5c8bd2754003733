/** Trains through the add-on: one program per configuration, batch size and kind of loss. */
import type { Inputs } from '../../frames/batch.ts'
import type { Network } from '../../network/graph.ts'
import { configurationKey, type SubNetwork } from '../../network/resolve.ts'
import type { ParameterStore } from '../../network/store.ts'
import type { AccumulateOptions, Target, Trainer, TrainerOptions } from '../engine.ts'
import {
  checkAccumulateOptions,
  checkGradients,
  checkOpen,
  checkRates,
  checkTarget,
  checkTrainerOptions,
  takeInputs,
} from '../inputs.ts'
import type { Value } from '../planning/arena.ts'
import { averagePositions } from '../scores.ts'
import type { External } from './addon.ts'
import type { Executor } from './executor.ts'
import { type Floats, floatsOf, Optimiser } from './optimiser.ts'
import { type StepProfile, summarise } from './profile.ts'
import type { BuiltProgram } from './program.ts'
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
  readonly #executor: Executor
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
  readonly #gradients: Floats
  readonly #optimiser: Optimiser
  #programs: Entry[] = []
  #isOpen = true

  constructor(executor: Executor, network: Network, weights: ParameterStore, options: TrainerOptions) {
    checkTrainerOptions(weights, options)
    this.#executor = executor
    this.#network = network
    this.#weights = weights
    this.#options = options
    // Not shared, which nobody needs here and which copies more slowly.
    this.#parameters = new Map(
      [...weights.values].map(([name, { length }]) => [name, new Float32Array(length)]),
    )
    this.#gradients = floatsOf(weights)
    this.#optimiser = new Optimiser(executor, network, weights, options)
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
    return this.#executor.run(built, externals, (arena) => {
      const loss = new Float32Array(1)
      arena.read(built.offsetOf(written.loss!), loss)
      const outputs = new Float32Array(written.logits.count)
      arena.read(built.offsetOf(written.logits), outputs)
      return { loss: loss[0]!, logits: averagePositions(outputs, batch, classes).logits }
    })
  }

  gradients(): Floats {
    return this.#gradients
  }

  setGradients(gradients: Floats): void {
    this.#checkOpen()
    checkGradients(this.#weights, gradients)
    for (const [name, values] of this.#gradients) values.set(gradients.get(name)!)
  }

  velocities(): Floats {
    return this.#optimiser.velocities
  }

  async step(rates: { readonly learningRate: number; readonly clipNorm?: number }) {
    this.#checkOpen()
    checkRates(rates)
    this.#readWeights()
    const gradientNorm = await this.#optimiser.step(this.#parameters, this.#gradients, rates)
    for (const [name, values] of this.#parameters) this.#weights.of(name, values.length).set(values)
    this.#weights.touch()
    this.#version = this.#weights.version
    return { gradientNorm }
  }

  bytesFor(subNetwork: SubNetwork, batch: number): number {
    const { normalisation } = this.#options
    const options = { batch, normalisation, purpose: 'labels' } as const
    return 4 * writeTraining(this.#executor, subNetwork, options).builder.floats
  }

  async statistics(subNetwork: SubNetwork, inputs: Inputs) {
    this.#checkOpen()
    const { batch, inputs: taken } = takeInputs(subNetwork, inputs, this.#options.normalisation)
    const { written, built } = this.#program(subNetwork, batch, 'statistics')
    const externals = this.#externals(written, taken, [NOTHING, Float32Array.of(0), Float32Array.of(0, 0)])
    return this.#executor.run(
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
    for (const { built } of [...this.#programs, this.#optimiser]) this.#executor.retire(built.program)
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
    const { addon, timed } = this.#executor
    const { normalisation } = this.#options
    const written = writeTraining(this.#executor, subNetwork, { batch, normalisation, purpose })
    const entry = { key, network, written, built: written.builder.build(addon, undefined, timed) }
    this.#programs.push(entry)
    if (this.#programs.length > PROGRAM_LIMIT) this.#executor.retire(this.#programs.shift()!.built.program)
    return entry
  }
}

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
