/** Trains through the add-on: one program per configuration, batch size and kind of loss; one for the optimiser. */
import { MnVideoError } from '../../errors.ts'
import type { Network } from '../../network/graph.ts'
import { decays } from '../../network/parameters.ts'
import { configurationKey, type SubNetwork } from '../../network/resolve.ts'
import { type ParameterStore, parametersOf } from '../../network/store.ts'
import type { AccumulateOptions, Inputs, Target, Trainer, TrainerOptions } from '../engine.ts'
import { checkInputs } from '../inputs.ts'
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
  readonly #gradients: ReadonlyMap<string, Float32Array>
  readonly #velocities: ReadonlyMap<string, Float32Array>
  readonly #optimiser: { readonly built: BuiltProgram; readonly norm: Value }
  #programs: Entry[] = []

  constructor(workshop: Workshop, network: Network, weights: ParameterStore, options: TrainerOptions) {
    this.#workshop = workshop
    this.#network = network
    this.#weights = weights
    this.#options = options
    const zeros = () =>
      new Map([...weights.values].map(([name, values]) => [name, new Float32Array(values.length)]))
    this.#gradients = zeros()
    this.#velocities = zeros()
    this.#optimiser = this.#writeOptimiser()
  }

  async accumulate(
    subNetwork: SubNetwork,
    inputs: Inputs,
    target: Target,
    { dropoutSeed, scale = 1 }: AccumulateOptions = {},
  ) {
    const batch = checkInputs(subNetwork, inputs)
    const { classes } = this.#network
    const probabilities = probabilitiesOf(target, batch, classes)
    const purpose = 'labels' in target ? 'labels' : 'probabilities'
    const { written, built } = this.#program(subNetwork, batch, purpose)
    const externals = this.#externals(written, inputs, [
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

  async step({ learningRate, clipNorm }: { readonly learningRate: number; readonly clipNorm?: number }) {
    const { built, norm } = this.#optimiser
    const { momentum, weightDecay } = this.#options
    const given = Float32Array.of(learningRate, momentum, clipNorm ?? 0, weightDecay)
    const externals: External[] = [...this.#weights.values.keys()].flatMap((name) => [
      this.#weights.values.get(name)!,
      this.#gradients.get(name)!,
      this.#velocities.get(name)!,
    ])
    const gradientNorm = await this.#workshop.run(built, [...externals, given], (arena) => {
      const value = new Float32Array(1)
      arena.read(built.offsetOf(norm), value)
      return value[0]!
    })
    this.#weights.touch()
    return { gradientNorm }
  }

  bytesFor(subNetwork: SubNetwork, batch: number): number {
    const { normalisation } = this.#options
    const options = { batch, normalisation, purpose: 'labels' } as const
    return 4 * writeTraining(this.#workshop, subNetwork, options).builder.floats
  }

  async statistics(subNetwork: SubNetwork, inputs: Inputs) {
    const batch = checkInputs(subNetwork, inputs)
    const { written, built } = this.#program(subNetwork, batch, 'statistics')
    const externals = this.#externals(written, inputs, [NOTHING, Float32Array.of(0), Float32Array.of(0, 0)])
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
    for (const { built } of [...this.#programs, this.#optimiser]) this.#workshop.retire(built.program)
    this.#programs = []
  }

  #externals(written: TrainingProgram, inputs: Inputs, rest: readonly Float32Array[]): External[] {
    const frames = written.inputs.map((name) => inputs[name]!.data)
    if (!this.#options.normalisation && frames.some((data) => data instanceof Uint8Array)) {
      throw new MnVideoError('engine', 'byte inputs need the mean and std to normalise them with.')
    }
    return [
      ...frames,
      ...written.parameters.flatMap((name) => [this.#weights.values.get(name)!, this.#gradients.get(name)!]),
      ...rest,
    ]
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

function probabilitiesOf(target: Target, batch: number, classes: number): Float32Array {
  if ('probabilities' in target) {
    if (target.probabilities.length !== batch * classes) {
      throw new MnVideoError(
        'engine',
        `target: ${batch}×${classes} probabilities are needed, not ${target.probabilities.length}.`,
      )
    }
    return target.probabilities
  }
  const { labels, labelSmoothing = 0 } = target
  const probabilities = new Float32Array(batch * classes).fill(labelSmoothing / classes)
  if (labels.length !== batch) {
    throw new MnVideoError('engine', `target: ${batch} labels are needed, not ${labels.length}.`)
  }
  labels.forEach((label, n) => {
    if (!(label >= 0 && label < classes)) {
      throw new MnVideoError('engine', `target: label ${label} is not below ${classes} classes.`)
    }
    probabilities[n * classes + label]! += 1 - labelSmoothing
  })
  return probabilities
}
