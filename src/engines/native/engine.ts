/**
 * The native engine: our add-on of vector kernels. Runs queue: one at a time uses all threads, so
 * that all plans share one arena. Compiled plans are kept until newer ones need the room.
 */
import { availableParallelism } from 'node:os'
import { MnVideoError, messageOf } from '../../errors.ts'
import type { Network } from '../../network/graph.ts'
import { configurationKey, type SubNetwork } from '../../network/resolve.ts'
import type { ParameterStore } from '../../network/store.ts'
import type { CompileOptions, Engine, TrainerOptions } from '../engine.ts'
import { checkPrecision } from '../precision.ts'
import { type Addon, loadAddon, type NativeMemory } from './addon.ts'
import { measurePeak, type Peak } from './peak.ts'
import { CompiledPlan } from './plan.ts'
import type { BuiltProgram } from './program.ts'
import { NativeTrainer } from './trainer.ts'

export interface NativeOptions {
  /** Threads of a run; all processors by default. */
  readonly threads?: number
  /** Measures every step; see `CompiledPlan.profile`. */
  readonly timed?: boolean
  /** Bytes of packed weights that plans nobody holds may keep. */
  readonly cacheBytes?: number
}

export interface NativeEngine extends Engine {
  readonly name: 'native'
  readonly threads: number
  readonly instructionSet: string
  /** What this engine's threads reach at most, now. */
  measurePeak(): Promise<Peak>
  /** Bytes in use outside the JS heap. */
  memory(): { readonly arena: number; readonly weights: number; readonly plans: number }
  compile(subNetwork: SubNetwork, weights: ParameterStore, options: CompileOptions): Promise<CompiledPlan>
  openTrainer(network: Network, weights: ParameterStore, options: TrainerOptions): Promise<NativeTrainer>
}

/** A signal that ends a run, and the error that the run then fails with. */
export interface Cancellation {
  readonly signal: AbortSignal
  readonly error: () => MnVideoError
}

/** What plans and trainers share: the add-on, the arena, the queue. */
export interface Workshop {
  readonly addon: Addon
  readonly threads: number
  readonly timed: boolean
  readonly arena: NativeMemory
  /** Frees something after the runs that wait now. */
  retire(resource: { dispose(): void }): void
  /**
   * Runs a program alone, then `read` before the arena changes. A signal ends it before its next step; it then
   * fails with what `cancelled` gives.
   */
  run<T>(
    program: BuiltProgram,
    externals: readonly (Float32Array | Uint8Array)[],
    read: (arena: NativeMemory) => T,
    cancellation?: Cancellation,
  ): Promise<T>
}

const DEFAULT_CACHE_BYTES = 512 * 2 ** 20

/** Why the engine cannot be used here, or undefined when it can. */
export function nativeUnavailable(): string | undefined {
  const addon = loadAddon()
  return 'reason' in addon ? addon.reason : undefined
}

/** @throws MnVideoError `engine` when the add-on is not built or does not load. */
export async function openNativeEngine(options: NativeOptions = {}): Promise<NativeEngine> {
  const addon = loadAddon()
  if ('reason' in addon)
    throw new MnVideoError('engine', `the native engine cannot be used: ${addon.reason}.`)
  const threads = options.threads ?? availableParallelism()
  if (!Number.isInteger(threads) || threads < 1) {
    throw new MnVideoError('engine', `threads must be a whole number from 1, not ${threads}.`)
  }
  const workshop = createWorkshop(addon, threads, options)
  const cache = new PlanCache(options.cacheBytes ?? DEFAULT_CACHE_BYTES)
  const engine: NativeEngine = {
    name: 'native',
    threads,
    instructionSet: addon.instructionSet,
    bf16: addon.hasBf16 ? 'native' : 'emulated',
    description: `native, ${addon.instructionSet} kernels, ${threads} thread${threads === 1 ? '' : 's'}`,
    measurePeak: () => measurePeak(addon, threads),
    memory: () => ({ arena: workshop.arena.bytes, weights: cache.bytes, plans: cache.size }),
    async compile(subNetwork, weights, compileOptions) {
      checkPrecision(engine, compileOptions.precision)
      return cache.take(
        subNetwork,
        weights,
        compileOptions,
        () => new CompiledPlan(workshop, subNetwork, weights, compileOptions),
      )
    },
    async openTrainer(network, weights, trainerOptions) {
      return new NativeTrainer(workshop, network, weights, trainerOptions)
    },
  }
  return engine
}

function createWorkshop(addon: Addon, threads: number, options: NativeOptions): Workshop {
  const arena = new addon.Memory(0)
  let queue: Promise<unknown> = Promise.resolve()
  return {
    addon,
    threads,
    arena,
    timed: options.timed ?? false,
    retire(resource) {
      queue = queue.then(() => resource.dispose())
    },
    run(built, externals, read, cancellation) {
      const result = queue.then(async () => {
        const cancel = new Uint8Array(1)
        const abort = () => {
          cancel[0] = 1
        }
        if (cancellation?.signal.aborted) throw cancellation.error()
        cancellation?.signal.addEventListener('abort', abort)
        try {
          arena.reserve(built.floats)
          await built.program.run(arena, threads, externals, cancel)
        } catch (error) {
          if (cancel[0] && cancellation) throw cancellation.error()
          throw new MnVideoError('engine', `native engine: ${messageOf(error)}`, { cause: error })
        } finally {
          cancellation?.signal.removeEventListener('abort', abort)
        }
        return read(arena)
      })
      queue = result.catch(() => undefined)
      return result
    },
  }
}

interface CacheEntry {
  readonly plan: CompiledPlan
  readonly network: unknown
  readonly weights: ParameterStore
  readonly version: number
  readonly options: CompileOptions
  readonly key: string
}

/** Plans in order of last use. A plan that is held is never dropped, a stale one is dropped when released. */
class PlanCache {
  readonly #limit: number
  #entries: CacheEntry[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  get bytes(): number {
    return this.#entries.reduce((sum, { plan }) => sum + plan.bytes, 0)
  }

  get size(): number {
    return this.#entries.length
  }

  take(
    subNetwork: SubNetwork,
    weights: ParameterStore,
    options: CompileOptions,
    create: () => CompiledPlan,
  ): CompiledPlan {
    const key = configurationKey(subNetwork.configuration)
    const found = this.#entries.find(
      (entry) =>
        entry.key === key &&
        entry.network === subNetwork.network &&
        entry.weights === weights &&
        entry.version === weights.version &&
        entry.options.statistics === options.statistics &&
        precisionOf(entry.options) === precisionOf(options) &&
        sameNormalisation(entry.options, options),
    )
    const entry = found ?? {
      plan: create(),
      network: subNetwork.network,
      weights,
      version: weights.version,
      options,
      key,
    }
    this.#entries = [...this.#entries.filter((other) => other !== entry), entry]
    entry.plan.hold(() => this.#trim())
    this.#trim()
    return entry.plan
  }

  #trim(): void {
    for (const entry of [...this.#entries]) {
      const stale = entry.version !== entry.weights.version
      if (entry.plan.held || (!stale && this.bytes <= this.#limit)) continue
      this.#entries = this.#entries.filter((other) => other !== entry)
      entry.plan.free()
    }
  }
}

const precisionOf = ({ precision = 'float32' }: CompileOptions) => precision

function sameNormalisation(a: CompileOptions, b: CompileOptions): boolean {
  return JSON.stringify(a.normalisation) === JSON.stringify(b.normalisation)
}
