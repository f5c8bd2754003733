/**
 * Watches the resident memory over many runs, switching between configurations, and over training steps: it must
 * stay flat once every plan has run. `npm run bench -- memory [--runs 10000]`.
 */
import { parseArgs } from 'node:util'
import { openNativeEngine } from '../../src/engines/native/engine.ts'
import type { Inputs } from '../../src/frames/batch.ts'
import { x3d } from '../../src/models/x3d.ts'
import { initialise } from '../../src/network/initialise.ts'
import { resolve, type SubNetwork } from '../../src/network/resolve.ts'
import { initialStatistics } from '../../src/network/store.ts'

const { values } = parseArgs({ options: { runs: { type: 'string', default: '10000' } } })
const runs = Number(values.runs)
const engine = await openNativeEngine()
const network = x3d({ classes: 10, frames: 4, size: 32, depthFactor: 0.4, dropout: 0.5 })
const weights = initialise(network, 1)
const work = [1, 0.83, 0.63].map((width) => {
  const subNetwork = resolve(network, { width, frames: 4, size: 32 })
  return { subNetwork, statistics: initialStatistics(subNetwork), inputs: inputsOf(subNetwork) }
})

console.log(`${engine.description}: ${runs} runs over ${work.length} configurations, compiled anew each time`)
await watch(runs, async (i) => {
  const { subNetwork, statistics, inputs } = work[i % work.length]!
  const plan = await engine.compile(subNetwork, weights, { statistics })
  await plan.run(inputs)
  plan.dispose()
})
console.log(`${runs / 10} training steps, weights changing, at drawn widths`)
const trainer = await engine.openTrainer(network, weights, {
  momentum: 0.9,
  nesterov: true,
  weightDecay: 1e-4,
})
await watch(runs / 10, async (i) => {
  const subNetwork = resolve(network, { width: 0.63 + ((i * 7) % 38) / 100, frames: 4, size: 32 })
  await trainer.accumulate(
    subNetwork,
    inputsOf(subNetwork),
    { labels: Int32Array.of(i % 10) },
    { dropoutSeed: i },
  )
  await trainer.step({ learningRate: 1e-4 })
})
trainer.dispose()

async function watch(count: number, run: (i: number) => Promise<void>): Promise<void> {
  const settled = Math.floor(count / 5)
  let before = 0
  for (let i = 0; i < count; i++) {
    await run(i)
    if (i === settled) before = resident()
    if ((i + 1) % settled === 0)
      console.log(`  after ${String(i + 1).padStart(6)}: ${resident().toFixed(1)} MiB`)
  }
  console.log(`  grew by ${(resident() - before).toFixed(1)} MiB over the last ${count - settled}`)
}

function resident(): number {
  global.gc?.()
  return process.memoryUsage().rss / 2 ** 20
}

function inputsOf({ configuration }: SubNetwork): Inputs {
  const { frames, size } = configuration
  return {
    clip: {
      data: new Float32Array(frames * size * size * 3).fill(0.2),
      batch: 1,
      frames,
      height: size,
      width: size,
    },
  }
}
