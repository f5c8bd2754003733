/**
 * Times the tfjs engine on TensorFlow's native backend beside the native engine and ONNX Runtime: the same sub-networks
 * and inputs, outputs compared first, then all sides in turn. `--training` times training steps; `--steps 1000` trains a
 * small network that long and prints what stays in memory.
 *
 * npm run bench -- tensorflow [--repeats 5] [--training] [name …]
 */
import { cpus } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import * as tf from '@tensorflow/tfjs-core'
import * as ort from 'onnxruntime-node'
import { onnxOf } from '../../src/checkpoints/onnx/from-network.ts'
import { encodeModel } from '../../src/checkpoints/onnx/model.ts'
import { feedsOf, largestDifference } from '../../src/checkpoints/onnx/runtime.ts'
import type { Engine } from '../../src/engines/engine.ts'
import { openNativeEngine } from '../../src/engines/native/engine.ts'
import { openTfjsEngine } from '../../src/engines/tfjs/engine.ts'
import type { Inputs } from '../../src/frames/batch.ts'
import { initialise } from '../../src/network/initialise.ts'
import { createRandom } from '../../src/network/random.ts'
import { fullConfiguration, isKind, resolve, type SubNetwork } from '../../src/network/resolve.ts'
import { initialStatistics } from '../../src/network/store.ts'
import { everyKind } from '../../test/support/every-kind.ts'
import { WORK } from './work.ts'

const SGD = { momentum: 0.9, nesterov: true, weightDecay: 5e-5 }

const { values: options, positionals } = parseArgs({
  options: {
    repeats: { type: 'string', default: '5' },
    training: { type: 'boolean', default: false },
    steps: { type: 'string' },
  },
  allowPositionals: true,
})
const repeats = Number(options.repeats)
// Compiled, this file is not where the program looks from.
process.env.MN_VIDEO_TFJS_NODE ??= 'build/tensorflow'
const tensorflow = await openTfjsEngine('tensorflow')

if (options.steps !== undefined) await watchMemory(Number(options.steps))
else {
  const native = await openNativeEngine()
  console.log(`${cpus()[0]?.model.trim()}, ${cpus().length} processors, float32`)
  console.log(`${native.description}; ${tensorflow.description}; ONNX Runtime ${ort.env.versions.common}`)
  console.log(`median (fastest … slowest) of ${repeats} runs in turn, milliseconds`)
  for (const { name, network, configuration } of WORK) {
    if (positionals.length > 0 && !positionals.some((asked) => name.includes(asked))) continue
    const subNetwork = resolve(network(), configuration)
    const sides = options.training
      ? await trainingSides([native, tensorflow], subNetwork, name.startsWith('x3d') ? 2 : 1)
      : await inferenceSides([native, tensorflow], subNetwork)
    const times = sides.map(() => [] as number[])
    for (let i = 0; i <= repeats; i++) {
      for (const [s, { run }] of sides.entries()) times[s]!.push(await timed(run))
    }
    const columns = sides.map(({ side, dispose }, s) => {
      dispose()
      return `${side} ${show(times[s]!.slice(1))}`
    })
    console.log(`${name.padEnd(26)} ${columns.join('  ')}`)
  }
}

interface Side {
  readonly side: string
  run(): Promise<unknown>
  dispose(): void
}

async function inferenceSides(engines: readonly Engine[], subNetwork: SubNetwork): Promise<Side[]> {
  const weights = initialise(subNetwork.network, 1)
  // Residual branches start at 0; compared outputs should depend on them.
  for (const [, values] of weights.values) if (values.every((value) => value === 0)) values.fill(0.1)
  const statistics = initialStatistics(subNetwork)
  const inputs = randomInputs(subNetwork, 1)
  const model = Buffer.concat(encodeModel(onnxOf(subNetwork, weights, statistics)))
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: cpus().length,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
  })
  const feeds = feedsOf(ort, inputs, subNetwork.network.media)
  const expected = (await session.run(feeds)).logits!.data as Float32Array
  const sides: Side[] = []
  for (const engine of engines) {
    const plan = await engine.compile(subNetwork, weights, { statistics })
    const difference = largestDifference(expected, (await plan.run(inputs)).logits)
    if (!(difference < 1e-3))
      throw new Error(`outputs of ${engine.name} differ by ${difference} of the largest`)
    sides.push({ side: engine.name, run: () => plan.run(inputs), dispose: () => plan.dispose() })
  }
  return [...sides, { side: 'onnxruntime', run: () => session.run(feeds), dispose: () => session.release() }]
}

async function trainingSides(
  engines: readonly Engine[],
  subNetwork: SubNetwork,
  batch: number,
): Promise<Side[]> {
  const inputs = randomInputs(subNetwork, batch)
  const labels = Int32Array.from({ length: batch }, (_, n) => n)
  const sides: Side[] = []
  for (const engine of engines) {
    const weights = initialise(subNetwork.network, 1)
    const trainer = await engine.openTrainer(subNetwork.network, weights, SGD)
    const run = async () => {
      await trainer.accumulate(subNetwork, inputs, { labels })
      await trainer.step({ learningRate: 1e-6 })
    }
    sides.push({ side: engine.name, run, dispose: () => trainer.dispose() })
  }
  return sides
}

/** Steps of a small network with every kind of node: the full width and a drawn one, as mutual learning takes them. */
async function watchMemory(steps: number): Promise<void> {
  const network = everyKind()
  const trainer = await tensorflow.openTrainer(network, initialise(network, 1), SGD)
  const random = createRandom(1)
  for (let step = 0; step <= steps; step++) {
    for (const width of [1, 0.63 + 0.37 * random.uniform()]) {
      const subNetwork = resolve(network, { ...fullConfiguration(network), width })
      await trainer.accumulate(subNetwork, randomInputs(subNetwork, 2), { labels: Int32Array.of(1, 2) })
    }
    await trainer.step({ learningRate: 1e-3 })
    if (step % (steps / 10) !== 0) continue
    // With --expose-gc, garbage does not count.
    globalThis.gc?.()
    const { rss, heapUsed } = process.memoryUsage()
    const [resident, heap] = [rss, heapUsed].map((bytes) => (bytes / 2 ** 20).toFixed(1))
    console.log(`step ${step}: ${tf.memory().numTensors} tensors, ${resident} MiB resident, heap ${heap} MiB`)
  }
  trainer.dispose()
  console.log(`disposed: ${tf.memory().numTensors} tensors`)
}

/** Threads of one side spin for a while after a run: they must not spin into the next one's. */
async function timed(run: () => Promise<unknown>): Promise<number> {
  await setTimeout(50)
  const start = performance.now()
  await run()
  return performance.now() - start
}

function show(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b)
  return `${sorted[sorted.length >> 1]!.toFixed(1)} (${sorted[0]!.toFixed(1)} … ${sorted.at(-1)!.toFixed(1)})`
}

function randomInputs(subNetwork: SubNetwork, batch: number): Inputs {
  const random = createRandom(7)
  return Object.fromEntries(
    subNetwork.nodes.flatMap((resolved) => {
      if (!isKind(resolved, 'input')) return []
      const { frames, height, width } = resolved.shape
      const data = new Float32Array(batch * frames * height * width * 3).map(() => random.normal())
      return [[resolved.node.name, { data, batch, frames, height, width }]]
    }),
  )
}
