/**
 * The native engine: our add-on of vector kernels. Runs queue: one at a time uses all threads, so
 * that all plans share one arena. Compiled plans are kept until newer ones need the room.
 */
import { MnVideoError, messageOf } from '../../errors.ts'
import { memoryLimit, processorLimit } from '../../machine.ts'
import type { Network } from '../../network/graph.ts'
import { configurationKey, type SubNetwork } from '../../network/resolve.ts'
import type { ParameterStore } from '../../network/store.ts'
import type { CompileOptions, Engine, TrainerOptions } from '../engine.ts'
import { checkCompileOptions } from '../inputs.ts'
import { checkPrecision } from '../precision.ts'
import { type Addon, loadAddon, type NativeMemory } from './addon.ts'
import { measurePeak, type Peak } from './peak.ts'
import { CompiledPlan } from './plan.ts'
import type { BuiltProgram } from './program.ts'
import { NativeTrainer } from './trainer.ts'

export interface NativeOptions {
  /** Threads of a run, at most 256; all processors that this process may use by default. */
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

/** A signal that ends a run, and what throws the error that the run then fails with. */
export interface Cancellation {
  readonly signal: AbortSignal
  readonly check: () => void
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
   * fails with what `check` throws.
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
  const threads = options.threads ?? processorLimit()
  if (!Number.isInteger(threads) || threads < 1) {
    throw new MnVideoError('engine', `threads must be a whole number from 1, not ${threads}.`)
  }
  const most = addon.limits.threads
  if (threads > most) throw new MnVideoError('engine', `threads may be at most ${most}, not ${threads}.`)
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
      checkCompileOptions(subNetwork, weights, compileOptions)
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
  const limit = memoryLimit()
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
        cancellation?.check()
        checkArena(4 * built.floats, limit)
        cancellation?.signal.addEventListener('abort', abort)
        try {
          arena.reserve(built.floats)
          await built.program.run(arena, threads, externals, cancel)
        } catch (error) {
          if (cancel[0]) cancellation?.check()
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

/** @throws MnVideoError `engine` when a run needs more memory than there may be: the system would end the process. */
function checkArena(bytes: number, limit: number): void {
  if (bytes <= limit) return
  const gib = (value: number) => (value / 2 ** 30).toFixed(1)
  throw new MnVideoError(
    'engine',
    `native engine: the run needs ${gib(bytes)} GiB of memory, and this process may use ${gib(limit)} GiB. ` +
      'Give a smaller batch, or fewer or smaller frames.',
  )
}

/** Plans that nobody holds and that are kept all the same, at most; each keeps the weights that it is of alive. */
const IDLE_LIMIT = 32

/**
 * Plans by what they were compiled from. A plan that is held is never dropped; of the others the longest unused go
 * first when they exceed the limit, and those of weights that have changed at once.
 */
class PlanCache {
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
