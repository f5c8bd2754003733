/**
 * Times the native engine against ONNX Runtime on the same sub-networks: outputs are compared first, then both
 * sides run in turn with equal threads: --repeats times, and more often where a run is short.
 * `npm run bench -- [--threads 2] [--repeats 9] [--precision bf16] [name …]`.
 */
import { cpus } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import * as ort from 'onnxruntime-node'
import { onnxOf } from '../../src/checkpoints/onnx/from-network.ts'
import { encodeModel } from '../../src/checkpoints/onnx/model.ts'
import { feedsOf, largestDifference } from '../../src/checkpoints/onnx/runtime.ts'
import { openNativeEngine } from '../../src/engines/native/engine.ts'
import { describeEngine, type Precision } from '../../src/engines/precision.ts'
import type { Inputs } from '../../src/frames/batch.ts'
import { initialise } from '../../src/network/initialise.ts'
import { createRandom } from '../../src/network/random.ts'
import { isKind, resolve, type SubNetwork } from '../../src/network/resolve.ts'
import { initialStatistics, type ParameterStore } from '../../src/network/store.ts'
import { WORK } from './work.ts'

/** Each side's threads spin for a while after a run, waiting for more work: they must not spin into the other's. */
const REST_MILLISECONDS = 50
/** Runs of both sides go on for so long, if there are not so many of them before. */
const REPEAT_MILLISECONDS = 3000
const MOST_REPEATS = 61
const PEAK_EVERY = 8

const { values: options, positionals } = parseArgs({
  options: {
    threads: { type: 'string', default: '2' },
    repeats: { type: 'string', default: '9' },
    precision: { type: 'string', default: 'float32' },
    profile: { type: 'boolean', default: false },
  },
  allowPositionals: true,
})
const threads = Number(options.threads)
const repeats = Number(options.repeats)
const precision = options.precision as Precision

const engine = await openNativeEngine({ threads, timed: options.profile })
console.log(
  `${cpus()[0]?.model.trim()}, ${cpus().length} processors; ${threads} threads on both sides; theirs in float32`,
)
console.log(`${describeEngine(engine, precision)}; ONNX Runtime ${ort.env.versions.common}`)
const { gflops, gigabytesPerSecond } = await engine.measurePeak()
console.log(
  `peak: ${gflops.toFixed(0)} GFLOP/s of multiply-adds in registers, ${gigabytesPerSecond.toFixed(1)} GB/s of memory (a + b · c over 192 MiB)`,
)
console.log('median (fastest … slowest) of so many runs in turn, milliseconds')

for (const { name, network, configuration, bar } of WORK) {
  if (positionals.length > 0 && !positionals.some((asked) => name.includes(asked))) continue
  const subNetwork = resolve(network(), configuration)
  const weights = initialise(subNetwork.network, 1)
  // Residual branches start at 0; compared outputs should depend on them.
  for (const [, values] of weights.values) if (values.every((value) => value === 0)) values.fill(0.1)
  const result = await compare(subNetwork, weights)
  const ratio = result.theirs.median / result.ours.median
  const gflops = (2 * subNetwork.macs) / result.ours.median / 1e6
  console.log(
    `${name.padEnd(26)} ${result.runs} runs  ours ${show(result.ours)}  onnxruntime ${show(result.theirs)}  ` +
      `${ratio.toFixed(2)}× (bar ${bar}×)  ${gflops.toFixed(0)} GFLOP/s = ${((100 * gflops) / result.peak).toFixed(0)} % of the peak (${result.peak.toFixed(0)})  ` +
      `outputs differ by ${result.difference.toExponential(1)}`,
  )
}

async function compare(subNetwork: SubNetwork, weights: ParameterStore) {
  const statistics = initialStatistics(subNetwork)
  const plan = await engine.compile(subNetwork, weights, { statistics, precision })
  const session = await ort.InferenceSession.create(
    Buffer.concat(encodeModel(onnxOf(subNetwork, weights, statistics))),
    {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
    },
  )
  const inputs = randomInputs(subNetwork)
  const feeds = feedsOf(ort, inputs, subNetwork.network.media)
  const ours = (await plan.run(inputs)).logits
  const theirs = (await session.run(feeds)).logits!.data as Float32Array
  const difference = largestDifference(theirs, ours)
  if (!(difference < (precision === 'bf16' ? 0.1 : 1e-3)))
    throw new Error(`outputs differ by ${difference} of the largest`)

  const times = { ours: [] as number[], theirs: [] as number[] }
  const peaks: number[] = []
  const spent = () => [...times.ours, ...times.theirs].reduce((sum, time) => sum + time, 0)
  // What is short varies more, and costs little to run more often.
  while (times.ours.length < repeats || (times.ours.length < MOST_REPEATS && spent() < REPEAT_MILLISECONDS)) {
    times.ours.push(await timed(() => plan.run(inputs)))
    times.theirs.push(await timed(() => session.run(feeds)))
    // Among the rest: on a busy machine the peak is what was left of it meanwhile. It empties the caches.
    if (times.ours.length % PEAK_EVERY === 1) peaks.push((await engine.measurePeak()).gflops)
  }
  if (options.profile) {
    const steps = plan.profile().sort((a, b) => b.milliseconds - a.milliseconds)
    for (const { op, name, milliseconds, flops } of steps.slice(0, 25)) {
      const each = milliseconds / (times.ours.length + 1)
      console.log(
        `  ${each.toFixed(2).padStart(8)} ms ${(flops / each / 1e6).toFixed(0).padStart(5)} GFLOP/s  ${op} ${name}`,
      )
    }
  }
  plan.dispose()
  await session.release()
  const { length: runs } = times.ours
  return {
    runs,
    ours: summary(times.ours),
    theirs: summary(times.theirs),
    peak: summary(peaks).median,
    difference,
  }
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  await setTimeout(REST_MILLISECONDS)
  const start = performance.now()
  await run()
  return performance.now() - start
}

interface Summary {
  readonly median: number
  readonly fastest: number
  readonly slowest: number
}

function summary(times: readonly number[]): Summary {
  const sorted = [...times].sort((a, b) => a - b)
  return { median: sorted[sorted.length >> 1]!, fastest: sorted[0]!, slowest: sorted.at(-1)! }
}

function show({ median, fastest, slowest }: Summary): string {
  return `${median.toFixed(1)} (${fastest.toFixed(1)} … ${slowest.toFixed(1)})`
}

function randomInputs(subNetwork: SubNetwork): Inputs {
  const random = createRandom(7)
  return Object.fromEntries(
    subNetwork.nodes.flatMap((resolved) => {
      if (!isKind(resolved, 'input')) return []
      const { frames, height, width } = resolved.shape
      const data = new Float32Array(frames * height * width * 3).map(() => random.normal())
      return [[resolved.node.name, { data, batch: 1, frames, height, width }]]
    }),
  )
}
