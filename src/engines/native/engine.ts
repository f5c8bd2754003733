/**
 * The native engine: our add-on of vector kernels. Runs queue: one at a time uses all threads, so
 * that all plans share one arena. Compiled plans are kept until newer ones need the room.
 */
import { MnVideoError } from '../../errors.ts'
import { processorLimit } from '../../machine.ts'
import type { Network } from '../../network/graph.ts'
import type { SubNetwork } from '../../network/resolve.ts'
import type { ParameterStore } from '../../network/store.ts'
import type { CompileOptions, Engine, TrainerOptions } from '../engine.ts'
import { checkCompileOptions } from '../inputs.ts'
import { checkPrecision } from '../precision.ts'
import { loadAddon } from './addon.ts'
import { openExecutor } from './executor.ts'
import { measurePeak, type Peak } from './peak.ts'
import { CompiledPlan } from './plan.ts'
import { PlanCache } from './plan-cache.ts'
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
  const executor = openExecutor(addon, threads, options.timed ?? false)
  const cache = new PlanCache(options.cacheBytes ?? DEFAULT_CACHE_BYTES)
  const engine: NativeEngine = {
    name: 'native',
    threads,
    instructionSet: addon.instructionSet,
    bf16: addon.hasBf16 ? 'native' : 'emulated',
    description: `native, ${addon.instructionSet} kernels, ${threads} thread${threads === 1 ? '' : 's'}`,
    measurePeak: () => measurePeak(addon, threads),
    memory: () => ({ arena: executor.arena.bytes, weights: cache.bytes, plans: cache.size }),
    async compile(subNetwork, weights, compileOptions) {
      checkCompileOptions(subNetwork, weights, compileOptions)
      checkPrecision(engine, compileOptions.precision)
      return cache.take(
        subNetwork,
        weights,
        compileOptions,
        () => new CompiledPlan(executor, subNetwork, weights, compileOptions),
      )
    },
    async openTrainer(network, weights, trainerOptions) {
      return new NativeTrainer(executor, network, weights, trainerOptions)
    },
  }
  return engine
}
