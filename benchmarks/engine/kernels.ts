/**
 * Times the native engine's kernels alone: each operation of the conformance cases at a size that networks have, forward
 * and, with --backward, a training step of it, beside the machine's measured peaks. What comes before and after the operation
 * in its case is not counted.
 *
 *     npm run bench -- kernels [--channels 96] [--frames 8] [--size 28] [--batch 1] [--threads 2] [--backward] [name …]
 *
 * GFLOP/s are those of convolutions and products, Winograd's counted as plain ones. GB/s are of what must be read and
 * written at least, once each: the operation's input, output and weights.
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { openNativeEngine } from '../../src/engines/native/engine.ts'
import type { StepProfile } from '../../src/engines/native/profile.ts'
import { inputsOf } from '../../src/network/graph.ts'
import type { ResolvedNode, Shape } from '../../src/network/resolve.ts'
import {
  CLASSES,
  type ConformanceCase,
  conformanceCases,
  materials,
} from '../../test/support/conformance-cases.ts'

/** Nodes around the operation that every case has. */
const AROUND = new Set(['clip', 'first', 'first.norm', 'mean', 'classifier', 'output'])
const WARM_UPS = 3
const MILLISECONDS = 300
const MOST_RUNS = 200

const { values: options, positionals } = parseArgs({
  options: {
    channels: { type: 'string', default: '96' },
    frames: { type: 'string', default: '8' },
    size: { type: 'string', default: '28' },
    batch: { type: 'string', default: '1' },
    threads: { type: 'string', default: '2' },
    backward: { type: 'boolean', default: false },
  },
  allowPositionals: true,
})
const { channels, frames, size, batch } = options
const cases = conformanceCases([
  { channels: Number(channels), frames: Number(frames), size: Number(size), batch: Number(batch) },
])
const engine = await openNativeEngine({ threads: Number(options.threads), timed: true })
const peak = await engine.measurePeak()
console.log(
  `${cpus()[0]?.model.trim()}; ${engine.description}; peak ${peak.gflops.toFixed(0)} GFLOP/s, ${peak.gigabytesPerSecond.toFixed(1)} GB/s`,
)
for (const each of cases) {
  if (positionals.length > 0 && !positionals.some((part) => each.title.includes(part))) continue
  const forward = await timeForward(each)
  print(each.title, forward, bytesOf(each))
  // Backward reads the input, the weights and the output's gradient, and writes the gradients of both.
  if (options.backward) print('  a training step', await timeTraining(each), 3 * bytesOf(each))
}

/** What the operation takes of one run, by steps. */
type Taken = Pick<StepProfile, 'milliseconds' | 'flops'>

async function timeForward(each: ConformanceCase): Promise<Taken> {
  const { weights, inputs, statistics } = materials(each)
  const plan = await engine.compile(each.subNetwork, weights, { statistics })
  const taken = await time(
    () => plan.run(inputs),
    () => plan.profile(each.batch),
  )
  plan.dispose()
  return taken
}

async function timeTraining(each: ConformanceCase): Promise<Taken> {
  const { weights, inputs } = materials(each)
  const trainer = await engine.openTrainer(each.subNetwork.network, weights, {
    ...{ momentum: 0.9, nesterov: true, weightDecay: 0 },
  })
  const labels = Int32Array.from({ length: each.batch }, (_, n) => n % CLASSES)
  const taken = await time(
    () => trainer.accumulate(each.subNetwork, inputs, { labels }),
    () => trainer.profile(),
  )
  trainer.dispose()
  return taken
}

/** Runs for a while, and gives the mean of what the operation's steps took. */
async function time(run: () => Promise<unknown>, profile: () => StepProfile[]): Promise<Taken> {
  for (let i = 0; i < WARM_UPS; i++) await run()
  const before = profile().map(({ milliseconds }) => milliseconds)
  const started = performance.now()
  let runs = 0
  for (; runs < MOST_RUNS && performance.now() - started < MILLISECONDS; runs++) await run()
  let [milliseconds, flops] = [0, 0]
  for (const [i, step] of profile().entries()) {
    if (AROUND.has(step.name) || /^(?:first|classifier)\./.test(step.name)) continue
    milliseconds += (step.milliseconds - (before[i] ?? 0)) / runs
    flops += step.flops
  }
  return { milliseconds, flops }
}

/** The operation's input, output and weights. */
function bytesOf({ subNetwork, batch }: ConformanceCase): number {
  const inside = subNetwork.nodes.filter(({ node }) => !AROUND.has(node.name))
  const names = new Set(inside.map(({ node }) => node.name))
  const values = ({ frames, height, width, channels }: Shape) => frames * height * width * channels
  const read = (resolved: ResolvedNode) =>
    inputsOf(resolved.node).reduce(
      (sum, name, i) => sum + (names.has(name) ? 0 : values(resolved.inputs[i]!)),
      0,
    )
  const moved = inside.reduce((sum, resolved) => sum + read(resolved), values(inside.at(-1)!.shape))
  const weights = inside
    .flatMap(({ parameters }) => parameters)
    .reduce((sum, { shape }) => sum + shape.reduce((product, axis) => product * axis, 1), 0)
  return 4 * (batch * moved + weights)
}

function print(title: string, { milliseconds, flops }: Taken, bytes: number): void {
  const share = (value: number, most: number) => `${Math.round((100 * value) / most)} %`.padStart(5)
  const gflops = flops / milliseconds / 1e6
  const gigabytes = bytes / milliseconds / 1e6
  const products = flops > 0 ? `${gflops.toFixed(0).padStart(5)} GFLOP/s ${share(gflops, peak.gflops)}` : ''
  console.log(
    `${title.padEnd(58)} ${milliseconds.toFixed(3).padStart(8)} ms  ${products.padEnd(19)}  ${gigabytes.toFixed(1).padStart(6)} GB/s ${share(gigabytes, peak.gigabytesPerSecond)}`,
  )
}
