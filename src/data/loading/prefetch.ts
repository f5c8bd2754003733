/** Runs jobs ahead of whoever takes their results. It knows nothing of what the jobs do. */
import { setMaxListeners } from 'node:events'
import { throwIfCancelled } from '../../errors.ts'

export interface PrefetchOptions {
  /** Jobs that run at the same time, at least one. */
  readonly atOnce: number
  /** Results, finished or not, that may wait behind the one asked for: what bounds the memory. */
  readonly ahead: number
  /** Ends everything: the generator then fails with `cancelled`. */
  readonly signal?: AbortSignal
}

/**
 * The results of jobs 0 to count − 1, in that order whatever order they finish in. Jobs start in order too. When the
 * generator ends, by itself, by `return` or by an error, the jobs' signal is aborted and all have come to rest.
 * The first job of the order that fails ends the generator with its error.
 */
export async function* inOrder<T>(
  count: number,
  job: (index: number, signal: AbortSignal) => Promise<T>,
  { atOnce, ahead, signal: outer }: PrefetchOptions,
): AsyncGenerator<T, void, undefined> {
  throwIfCancelled(outer)
  const end = new AbortController()
  const { signal } = end
  setMaxListeners(0, signal)
  const abort = () => end.abort(outer?.reason)
  outer?.addEventListener('abort', abort, { once: true })

  const waiting: Promise<T>[] = []
  const running = new Set<Promise<T>>()
  let started = 0
  let hasFailed = false
  const start = () => {
    while (started < count && running.size < atOnce && waiting.length < ahead && !hasFailed) {
      if (signal.aborted) return
      const result = job(started++, signal)
      waiting.push(result)
      running.add(result)
      const settle = (failed: boolean) => {
        running.delete(result)
        hasFailed ||= failed
        start()
      }
      result.then(
        () => settle(false),
        () => settle(true),
      )
    }
  }
  try {
    for (let index = 0; index < count; index++) {
      start()
      const next = waiting.shift()!
      start()
      const result = await next
      throwIfCancelled(signal)
      yield result
      throwIfCancelled(signal)
    }
  } finally {
    end.abort()
    outer?.removeEventListener('abort', abort)
    await Promise.allSettled(running)
  }
}
