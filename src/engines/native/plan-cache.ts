/** Compiled plans, kept after their use until newer ones need the room. */
import { configurationKey, type SubNetwork } from '../../network/resolve.ts'
import type { ParameterStore } from '../../network/store.ts'
import type { CompileOptions } from '../engine.ts'
import type { CompiledPlan } from './plan.ts'

/** Plans that nobody holds and that are kept all the same, at most; each keeps the weights that it is of alive. */
const IDLE_LIMIT = 32

/**
 * Plans by what they were compiled from. A plan that is held is never dropped; of the others the longest unused go
 * first when they exceed the limit, and those of weights that have changed at once.
 */
export class PlanCache {
  readonly #limit: number
  readonly #plans = new Map<string, CompiledPlan>()
  /** Those that nobody holds, in order of release, with whether their weights are still what they were. */
  readonly #idle = new Map<string, () => boolean>()
  readonly #numbers = new WeakMap<object, number>()
  #counted = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get bytes(): number {
    return bytesOf(this.#plans.values())
  }

  get size(): number {
    return this.#plans.size
  }

  take(
    subNetwork: SubNetwork,
    weights: ParameterStore,
    options: CompileOptions,
    create: () => CompiledPlan,
  ): CompiledPlan {
    const { version } = weights
    const { statistics, precision = 'float32', normalisation } = options
    const key = [
      this.#numberOf(subNetwork.network),
      configurationKey(subNetwork.configuration),
      this.#numberOf(weights),
      version,
      statistics === 'batch' ? statistics : this.#numberOf(statistics),
      precision,
      normalisation ? [...normalisation.mean, ...normalisation.std].join() : '',
    ].join(' ')
    const plan = this.#plans.get(key) ?? create()
    this.#plans.set(key, plan)
    this.#idle.delete(key)
    plan.hold(() => {
      this.#idle.set(key, () => weights.version === version)
      this.#trim()
    })
    return plan
  }

  /** Looks at what nobody holds alone, which is little: its cost does not grow with the plans in use. */
  #trim(): void {
    let bytes = bytesOf([...this.#idle.keys()].map((key) => this.#plans.get(key)!))
    for (const [key, isCurrent] of this.#idle) {
      if (isCurrent() && bytes <= this.#limit && this.#idle.size <= IDLE_LIMIT) continue
      const plan = this.#plans.get(key)!
      bytes -= plan.bytes
      this.#idle.delete(key)
      this.#plans.delete(key)
      plan.free()
    }
  }

  /** A number for each object, so that objects can be part of a key without being kept alive by it. */
  #numberOf(object: object): number {
    const known = this.#numbers.get(object)
    if (known !== undefined) return known
    this.#numbers.set(object, ++this.#counted)
    return this.#counted
  }
}

const bytesOf = (plans: Iterable<CompiledPlan>): number =>
  [...plans].reduce((sum, { bytes }) => sum + bytes, 0)
