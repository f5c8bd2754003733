/** Stochastic gradient descent as a program for the add-on: the norm of all gradients, then every parameter's descent. */
import type { Network } from '../../network/graph.ts'
import { decays } from '../../network/parameters.ts'
import { type ParameterStore, parametersOf } from '../../network/store.ts'
import type { TrainerOptions } from '../engine.ts'
import type { Value } from '../planning/arena.ts'
import type { External } from './addon.ts'
import type { Executor } from './executor.ts'
import { type BuiltProgram, ProgramBuilder } from './program.ts'

/** Full-size floats by parameter name. */
export type Floats = ReadonlyMap<string, Float32Array>

export class Optimiser {
  readonly velocities: Floats
  readonly built: BuiltProgram
  readonly #norm: Value
  readonly #executor: Executor
  readonly #options: TrainerOptions

  constructor(executor: Executor, network: Network, weights: ParameterStore, options: TrainerOptions) {
    this.#executor = executor
    this.#options = options
    this.velocities = floatsOf(weights)
    const builder = new ProgramBuilder()
    this.#norm = builder.value('gradient norm', 2)
    builder.keep(this.#norm)
    write(builder, this.#norm, network, weights, options)
    this.built = builder.build(executor.addon, undefined, executor.timed)
  }

  /**
   * Changes the parameters in place and zeroes the gradients.
   *
   * @returns the norm of all gradients together, before clipping to `clipNorm`
   */
  step(
    parameters: Floats,
    gradients: Floats,
    { learningRate, clipNorm = 0 }: { readonly learningRate: number; readonly clipNorm?: number },
  ): Promise<number> {
    const { momentum, weightDecay } = this.#options
    const externals: External[] = [...parameters].flatMap(([name, parameter]) => [
      parameter,
      gradients.get(name)!,
      this.velocities.get(name)!,
    ])
    const given = Float32Array.of(learningRate, momentum, clipNorm, weightDecay)
    return this.#executor.run(this.built, [...externals, given], (arena) => {
      const norm = new Float32Array(1)
      arena.read(this.built.offsetOf(this.#norm), norm)
      return norm[0]!
    })
  }
}

/**
 * Zeros for every parameter that callers are given and programs change in place: memory that is shared can be neither
 * transferred nor shrunk, so that it stays where it is while a program runs.
 */
export const floatsOf = (weights: ParameterStore): Floats =>
  new Map(
    [...weights.values].map(([name, { length }]) => [
      name,
      new Float32Array(new SharedArrayBuffer(4 * length)),
    ]),
  )

function write(
  builder: ProgramBuilder,
  norm: Value,
  network: Network,
  weights: ParameterStore,
  { nesterov, decayRule = 'dense' }: TrainerOptions,
): void {
  const roles = new Map(parametersOf(network).map(({ name, role }) => [name, role]))
  const externals = [...weights.values].map(([name, { length: count }]) => ({
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
      ...{ parameter, gradient, velocity, scalars, norm, count, nesterov },
      decay: decays(roles.get(name)!, decayRule),
    })
  }
}
