/** What an engine's threads reach at most at this moment, for benchmarks to say what share of it a network gets. */
import type { Addon } from './addon.ts'

export interface Peak {
  /** Of multiply-adds in registers, two operations each. */
  readonly gflops: number
  /** GB/s of `y = a + factor · b` over arrays larger than the caches: two read and one written, as STREAM counts its triad. */
  readonly gigabytesPerSecond: number
}

const ITEMS = 512
/** Of each of the three arrays: 64 MiB. */
const STREAM_FLOATS = 2 ** 24
/** The fastest counts: what disturbs a run only makes it slower. */
const REPEATS = 3

/** Takes about 0.2 s and, meanwhile, 192 MiB. */
export async function measurePeak(addon: Addon, threads: number): Promise<Peak> {
  const arena = new addon.Memory(3 * STREAM_FLOATS)
  const seconds = async (step: Readonly<Record<string, unknown>>) => {
    const program = new addon.Program({
      steps: [{ name: 'peak', factor: 0.5, ...step }],
      externals: [],
      arena: 3 * STREAM_FLOATS,
      timed: true,
    })
    const times: number[] = []
    // The first run touches memory that is new.
    for (let repeat = 0; repeat <= REPEATS; repeat++) {
      const before = program.timings()[0]!
      await program.run(arena, threads, [], new Uint8Array(1))
      times.push((program.timings()[0]! - before) / 1e9)
    }
    program.dispose()
    return Math.min(...times.slice(1))
  }
  try {
    const streaming = { op: 'stream', y: 0, a: STREAM_FLOATS, b: 2 * STREAM_FLOATS, count: STREAM_FLOATS }
    const gigabytesPerSecond = (3 * 4 * STREAM_FLOATS) / (await seconds(streaming)) / 1e9
    const multiplying = { op: 'multiplyAdds', y: 0, items: ITEMS }
    const gflops = (2 * ITEMS * addon.limits.multiplyAddsPerItem) / (await seconds(multiplying)) / 1e9
    return { gflops, gigabytesPerSecond }
  } finally {
    arena.dispose()
  }
}
