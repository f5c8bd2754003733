/** How long one clip or image takes on this machine: measured once per engine, kept in the run's `latency.json`. */
import { cpus } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { Engine, Plan, Precision } from '../engines/engine.ts'
import { describeEngine } from '../engines/precision.ts'
import { readText } from '../files/read.ts'
import { writeAtomically } from '../files/write.ts'
import type { FrameBatch, Inputs } from '../frames/batch.ts'
import { createRandom } from '../network/random.ts'
import { isKind, type SubNetwork } from '../network/resolve.ts'

const FILE = 'latency.json'
const milliseconds = z.number().positive()
const latencySchema = z.strictObject({ median: milliseconds, fastest: milliseconds, slowest: milliseconds })
const fileSchema = z.strictObject({
  format: z.literal('mn-video latencies 1'),
  /** By machine and engine (`machineOf`), then by configuration. */
  machines: z.record(z.string(), z.record(z.string(), latencySchema)),
})

/** Milliseconds of one run with a batch of one, decoding not counted. */
export type Latency = Readonly<z.infer<typeof latencySchema>>

/** Latencies of a run here, by `configurationKey`; none where they were not measured. */
export async function readLatencies(folder: string, machine: string): Promise<Map<string, Latency>> {
  return new Map(Object.entries((await readAll(folder))[machine] ?? {}))
}

/** Keeps latencies of a run here, beside those of other machines and engines. */
export async function writeLatencies(
  folder: string,
  machine: string,
  latencies: ReadonlyMap<string, Latency>,
): Promise<void> {
  const machines = { ...(await readAll(folder)), [machine]: Object.fromEntries(latencies) }
  const text = JSON.stringify({ format: 'mn-video latencies 1', machines }, null, 2)
  await writeAtomically(join(folder, FILE), [Buffer.from(`${text}\n`)])
}

const MAX_BYTES = 2 ** 24

/** A file that cannot be read is as good as none: it is measured again. */
async function readAll(folder: string): Promise<z.infer<typeof fileSchema>['machines']> {
  const text = await readText(join(folder, FILE), MAX_BYTES).catch(() => '')
  try {
    return fileSchema.parse(JSON.parse(text)).machines
  } catch {
    return {}
  }
}

/** What latencies belong to: another machine, engine or precision has its own. */
export const machineOf = (engine: Engine, precision: Precision): string =>
  `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${describeEngine(engine, precision)}`

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
export function noiseFor(subNetwork: SubNetwork, batch = 1): Inputs {
  const random = createRandom(1)
  return Object.fromEntries(
    subNetwork.nodes
      .filter((resolved) => isKind(resolved, 'input'))
      .map(({ node, shape: { frames, height, width } }): [string, FrameBatch] => {
        const data = Uint8Array.from({ length: batch * frames * height * width * 3 }, () =>
          random.integer(256),
        )
        return [node.name, { data, batch, frames, height, width }]
      }),
  )
}
