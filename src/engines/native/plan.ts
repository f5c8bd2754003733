/** A compiled sub-network: packed weights, and one program for each batch size and set of observed nodes in use. */
import type { Inputs } from '../../frames/batch.ts'
import type { SubNetwork } from '../../network/resolve.ts'
import type { ParameterStore } from '../../network/store.ts'
import type { CompileOptions, Observed, Plan, RunOptions, RunResult } from '../engine.ts'
import { checkObserved, checkOpen, checkSignal, takeInputs } from '../inputs.ts'
import { averagePositions } from '../scores.ts'
import type { NativeMemory } from './addon.ts'
import { Constants } from './constants.ts'
import type { Executor } from './executor.ts'
import { type InferenceProgram, writeInference } from './inference.ts'
import { type StepProfile, summarise } from './profile.ts'
import type { BuiltProgram } from './program.ts'

interface Variant {
  /** Batch size and observed nodes. */
  readonly key: string
  readonly written: InferenceProgram
  readonly built: BuiltProgram
}

/** Programs that a plan keeps; they are small, the weights are shared. */
const VARIANT_LIMIT = 4

export class CompiledPlan implements Plan {
  readonly subNetwork: SubNetwork
  readonly #executor: Executor
  readonly #weights: ParameterStore
  readonly #options: CompileOptions
  readonly #constants = new Map<string, Constants>()
  #variants: Variant[] = []
  #holders = 0
  #released: () => void = () => {}

  constructor(executor: Executor, subNetwork: SubNetwork, weights: ParameterStore, options: CompileOptions) {
    this.#executor = executor
    this.subNetwork = subNetwork
    this.#weights = weights
    this.#options = options
    // Packs the weights now: later changes of the store must not show.
    this.#variant(1, [])
  }

  async run(inputs: Inputs, { observe = [], signal }: RunOptions = {}): Promise<RunResult> {
    const { network } = this.subNetwork
    checkOpen(this.held, `the plan of ${network.name}`)
    checkSignal(this.subNetwork, signal)
    checkObserved(this.subNetwork, observe)
    const { batch, inputs: taken } = takeInputs(this.subNetwork, inputs, this.#options.normalisation)
    const { written, built } = this.#variant(batch, observe)
    const externals = written.inputs.map((name) => taken[name]!.data)
    const read = (arena: NativeMemory): RunResult => {
      const observed = new Map<string, Observed>()
      for (const [name, value] of written.outputs) {
        const data = new Float32Array(value.count)
        arena.read(built.offsetOf(value), data)
        const { shape } = this.subNetwork.nodes.findLast(({ node }) => node.name === name)!
        observed.set(name, { batch, shape, data })
      }
      const outputs = observed.get(network.classifier)!.data
      if (!observe.includes(network.classifier)) observed.delete(network.classifier)
      return { ...averagePositions(outputs, batch, network.classes), observed }
    }
    return this.#executor.run(
      built,
      externals,
      read,
      signal && { signal, check: () => checkSignal(this.subNetwork, signal) },
    )
  }

  /** Time per step of the runs so far at a batch size (engines opened with `timed`). */
  profile(batch = 1): StepProfile[] {
    return summarise(this.#variant(batch, []).built)
  }

  /** Bytes of packed weights. */
  get bytes(): number {
    return [...this.#constants.values()].reduce((sum, constants) => sum + constants.bytes, 0)
  }

  /** One more user; `released` is called when the last one is done. */
  hold(released: () => void): void {
    this.#holders++
    this.#released = released
  }

  get held(): boolean {
    return this.#holders > 0
  }

  /** The user is done. The weights stay packed until the engine needs the room. */
  dispose(): void {
    if (this.#holders === 0) return
    this.#holders--
    if (this.#holders === 0) this.#released()
  }

  /** Frees the weights; runs under way finish first. */
  free(): void {
    for (const { built } of this.#variants) this.#executor.retire(built.program)
    for (const constants of this.#constants.values()) this.#executor.retire(constants)
    this.#variants = []
    this.#constants.clear()
  }

  #variant(batch: number, observe: readonly string[]): Variant {
    const { classifier, output } = this.subNetwork.network
    const keep = new Set([classifier, ...observe.filter((name) => name !== output)])
    // What is observed decides what is folded, and so the constants; the batch size does not.
    const folding = [...keep].sort().join(' ')
    const key = `${batch} ${folding}`
    const found = this.#variants.find((variant) => variant.key === key)
    if (found) {
      this.#variants = [...this.#variants.filter((variant) => variant !== found), found]
      return found
    }
    const constants = this.#constants.get(folding) ?? new Constants(this.#executor.addon)
    const written = writeInference(this.subNetwork, this.#weights, constants, {
      ...this.#options,
      addon: this.#executor.addon,
      threads: this.#executor.threads,
      batch,
      keep,
    })
    this.#constants.set(folding, constants)
    const built = written.builder.build(this.#executor.addon, constants.memory(), this.#executor.timed)
    const variant = { key, written, built }
    this.#variants.push(variant)
    if (this.#variants.length > VARIANT_LIMIT) this.#drop(this.#variants[0]!)
    return variant
  }

  #drop(variant: Variant): void {
    this.#executor.retire(variant.built.program)
    this.#variants = this.#variants.filter((other) => other !== variant)
    const folding = variant.key.slice(variant.key.indexOf(' ') + 1)
    if (this.#variants.some(({ key }) => key.slice(key.indexOf(' ') + 1) === folding)) return
    this.#executor.retire(this.#constants.get(folding)!)
    this.#constants.delete(folding)
  }
}
