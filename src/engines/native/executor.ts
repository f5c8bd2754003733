/** What runs programs: the add-on, its threads, and one arena for all; runs queue, and one at a time uses all threads. */
import { MnVideoError, messageOf } from '../../errors.ts'
import { memoryLimit } from '../../machine.ts'
import type { Addon, NativeMemory } from './addon.ts'
import type { BuiltProgram } from './program.ts'

/** A signal that ends a run, and what throws the error that the run then fails with. */
export interface Cancellation {
  readonly signal: AbortSignal
  readonly check: () => void
}

/** What plans and trainers share: the add-on, the arena, the queue. */
export interface Executor {
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

export function openExecutor(addon: Addon, threads: number, timed: boolean): Executor {
  const arena = new addon.Memory(0)
  const limit = memoryLimit()
  let queue: Promise<unknown> = Promise.resolve()
  return {
    addon,
    threads,
    arena,
    timed,
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
