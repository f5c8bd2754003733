/** How long one clip or image takes on this machine. */
import { cpus } from 'node:os'
import type { Engine, FrameBatch, Plan } from '../engines/engine.ts'
import { createRandom } from '../network/random.ts'
import { isKind, type SubNetwork } from '../network/resolve.ts'

/** Milliseconds of one run with a batch of one, decoding not counted. */
export interface Latency {
  readonly median: number
  readonly fastest: number
  readonly slowest: number
}

/** What latencies belong to: another machine or engine has its own. */
export const machineOf = ({ description }: Engine): string =>
  `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${description}`

/** Runs a plan on noise: once to warm up, then `runs` times. */
export async function measureLatency(plan: Plan, runs = 9): Promise<Latency> {
  const inputs = noiseFor(plan.subNetwork)
  await plan.run(inputs)
  const times: number[] = []
  for (let i = 0; i < runs; i++) {
    const start = performance.now()
    await plan.run(inputs)
    times.push(performance.now() - start)
  }
  times.sort((a, b) => a - b)
  return { median: times[times.length >> 1]!, fastest: times[0]!, slowest: times.at(-1)! }
}

/** Bytes, as decoded videos have them: normalising them is part of a run. */
function noiseFor(subNetwork: SubNetwork) {
  const random = createRandom(1)
  return Object.fromEntries(
    subNetwork.nodes
      .filter((resolved) => isKind(resolved, 'input'))
      .map(({ node, shape: { frames, height, width } }): [string, FrameBatch] => {
        const data = Uint8Array.from({ length: frames * height * width * 3 }, () => random.integer(256))
        return [node.name, { data, batch: 1, frames, height, width }]
      }),
  )
}
