/**
 * Times training steps of the native engine (forward, loss, backward, SGD) beside inference of the same batch, and
 * reports the memory a step needs; and the same steps in PyTorch, in turn, where python3 has it.
 * `npm run bench -- training [--threads 2] [--repeats 5] [--pytorch 3] [--profile] [name …]`; `--pytorch 0` goes without.
 */
import { parseArgs } from 'node:util'
import { largestDifference } from '../../src/checkpoints/onnx/runtime.ts'
import { openNativeEngine } from '../../src/engines/native/engine.ts'
import type { Inputs } from '../../src/frames/batch.ts'
import { initialise } from '../../src/network/initialise.ts'
import { isKind, resolve } from '../../src/network/resolve.ts'
import { initialStatistics } from '../../src/network/store.ts'
import { findPyTorch, startPyTorch } from './pytorch.ts'
import { WORK } from './work.ts'

const { values: options, positionals } = parseArgs({
  options: {
    threads: { type: 'string', default: '2' },
    repeats: { type: 'string', default: '5' },
    /** Steps of PyTorch, which take seconds each. */
    pytorch: { type: 'string', default: '3' },
    profile: { type: 'boolean', default: false },
  },
  allowPositionals: true,
})
const repeats = Number(options.repeats)
const threads = Number(options.threads)
const pytorchSteps = Number(options.pytorch)
const python = pytorchSteps > 0 ? findPyTorch() : undefined
const peaks: number[] = []
const engine = await openNativeEngine({ threads, timed: options.profile })
console.log(`${engine.description}; median (fastest) of ${repeats}, milliseconds`)
if (!python && pytorchSteps > 0)
  console.log('PyTorch: not installed (on Debian: apt-get install python3-torch)')

for (const { name, network, configuration } of WORK) {
  const asked = positionals.length > 0 ? positionals : ['x3d-m 1 ', 'slow-r50']
  if (!asked.some((part) => name.includes(part))) continue
  const batch = name.startsWith('x3d') ? 2 : 1
  const subNetwork = resolve(network(), configuration)
  const weights = initialise(subNetwork.network, 1)
  // Residual branches start at 0; what is compared should depend on them.
  for (const [, values] of weights.values) if (values.every((value) => value === 0)) values.fill(0.1)
  const inputs: Inputs = Object.fromEntries(
    subNetwork.nodes.flatMap((resolved) => {
      if (!isKind(resolved, 'input')) return []
      const { frames, height, width } = resolved.shape
      const data = new Float32Array(batch * frames * height * width * 3).map((_, i) => Math.sin(i))
      return [[resolved.node.name, { data, batch, frames, height, width }]]
    }),
  )
  const plan = await engine.compile(subNetwork, weights, { statistics: initialStatistics(subNetwork) })
  const trainer = await engine.openTrainer(subNetwork.network, weights, {
    momentum: 0.9,
    nesterov: true,
    weightDecay: 5e-5,
  })
  const labels = Int32Array.from({ length: batch }, (_, n) => n)
  const peer = python ? startPyTorch(python, subNetwork, weights, inputs, labels, threads) : undefined
  if (peer) {
    const ours = await trainer.accumulate(subNetwork, inputs, { labels }, { scale: 0 })
    const theirs = await peer.check()
    const difference = largestDifference(Float32Array.from(theirs.logits), ours.logits)
    if (!(difference < 1e-3 && Math.abs(theirs.loss - ours.loss) < 1e-3)) {
      throw new Error(
        `logits differ by ${difference} of the largest, losses are ${ours.loss} and ${theirs.loss}`,
      )
    }
    console.log(`${name}: PyTorch ${theirs.version}, logits differ by ${difference.toExponential(1)}`)
  }
  const inference: number[] = []
  const training: number[] = []
  const pytorch: number[] = []
  let first: ReturnType<typeof trainer.profile> = []
  for (let i = 0; i <= repeats; i++) {
    inference.push(await timed(() => plan.run(inputs)))
    training.push(
      await timed(async () => {
        await trainer.accumulate(subNetwork, inputs, { labels }, { dropoutSeed: i })
        await trainer.step({ learningRate: 1e-6 })
      }),
    )
    if (peer && i <= pytorchSteps) pytorch.push(await peer.step())
    peaks.push((await engine.measurePeak()).gflops)
    // The first step's memory is new, and what touches it first would seem slow.
    if (i === 0) first = options.profile ? trainer.profile() : []
  }
  peer?.close()
  const [forward, step, theirs] = [inference, training, pytorch].map((times) =>
    times.slice(1).sort((a, b) => a - b),
  )
  const median = (times: readonly number[]) => times[times.length >> 1]!
  // Forward, the gradient of the inputs, the gradient of the weights.
  const gflops = (3 * 2 * subNetwork.macs * batch) / median(step!) / 1e6
  console.log(
    `${name.padEnd(24)} batch ${batch}: step ${median(step!).toFixed(0)} (${step![0]!.toFixed(0)}), ` +
      `inference ${median(forward!).toFixed(0)} (${forward![0]!.toFixed(0)}), ratio ${(median(step!) / median(forward!)).toFixed(2)}; ` +
      `${gflops.toFixed(0)} GFLOP/s = ${((100 * gflops) / median(peaks.sort((a, b) => a - b))).toFixed(0)} % of the peak; ` +
      `arena ${(trainer.arenaBytes / batch / 2 ** 20).toFixed(0)} MiB per clip`,
  )
  if (peer) {
    console.log(
      `${''.padEnd(24)} PyTorch step ${median(theirs!).toFixed(0)} (${theirs![0]!.toFixed(0)}): ` +
        `ours is ${(median(theirs!) / median(step!)).toFixed(1)}× faster`,
    )
  }
  if (options.profile) {
    const byOperation = new Map<string, { milliseconds: number; flops: number }>()
    for (const [i, { op, name: step, milliseconds, flops }] of trainer.profile().entries()) {
      const key = `${op}${step.endsWith(' backward') ? ' backward' : ''}`
      const sum = byOperation.get(key) ?? { milliseconds: 0, flops: 0 }
      byOperation.set(key, {
        milliseconds: sum.milliseconds + (milliseconds - first[i]!.milliseconds) / repeats,
        flops: sum.flops + flops,
      })
    }
    for (const [op, { milliseconds, flops }] of [...byOperation].sort(
      (a, b) => b[1].milliseconds - a[1].milliseconds,
    )) {
      console.log(
        `  ${milliseconds.toFixed(1).padStart(8)} ms ${(flops / milliseconds / 1e6).toFixed(0).padStart(5)} GFLOP/s  ${op}`,
      )
    }
  }
  plan.dispose()
  trainer.dispose()
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await run()
  return performance.now() - start
}
