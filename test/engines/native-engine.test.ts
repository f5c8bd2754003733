import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { nativeUnavailable, openNativeEngine } from '../../src/engines/native/engine.ts'
import type { FrameBatch } from '../../src/frames/batch.ts'
import { x3d } from '../../src/models/x3d.ts'
import { initialise } from '../../src/network/initialise.ts'
import { resolve } from '../../src/network/resolve.ts'
import { initialStatistics } from '../../src/network/store.ts'

const unavailable = nativeUnavailable()
const network = x3d({ classes: 7, frames: 4, size: 32, depthFactor: 0.4, dropout: 0.5 })
const at = (width: number) => resolve(network, { width, frames: 4, size: 32 })
const normalisation = { mean: [0.45, 0.4, 0.5], std: [0.225, 0.2, 0.25] }

function clip(seed: number, batch = 1): FrameBatch {
  const data = new Float32Array(batch * 4 * 32 * 32 * 3).map((_, i) => Math.sin(seed + i * 0.37))
  return { data, batch, frames: 4, height: 32, width: 32 }
}

/** Weights without the zeros that residual branches start from. */
function weightsOf(seed: number) {
  const weights = initialise(network, seed)
  for (const [, values] of weights.values) if (values.every((value) => value === 0)) values.fill(0.3)
  return weights
}

describe.skipIf(unavailable)(`native engine${unavailable ? ` (${unavailable})` : ''}`, () => {
  it('queues requests and answers each with its own result', async () => {
    const engine = await openNativeEngine()
    const weights = weightsOf(1)
    const plans = await Promise.all(
      [1, 0.63].map((width) =>
        engine.compile(at(width), weights, { statistics: initialStatistics(at(width)) }),
      ),
    )
    const alone = []
    for (let i = 0; i < 6; i++) alone.push((await plans[i % 2]!.run({ clip: clip(i, 1 + (i % 3)) })).logits)
    const together = await Promise.all(alone.map((_, i) => plans[i % 2]!.run({ clip: clip(i, 1 + (i % 3)) })))
    expect(together.map(({ logits }) => logits)).toEqual(alone)
    for (const plan of plans) plan.dispose()
  })

  it.skipIf(process.platform !== 'linux' || availableParallelism() < 2)(
    'takes one processor from its helper, and none from other threads',
    // The leader's, which by now may have moved to another.
    async () => {
      const engine = await openNativeEngine({ threads: 2 })
      const plan = await engine.compile(at(1), weightsOf(1), { statistics: initialStatistics(at(1)) })
      await plan.run({ clip: clip(1) })
      const processors = readdirSync('/proc/self/task').map((task) => {
        const status = readFileSync(`/proc/self/task/${task}/status`, 'utf8')
        const mask = /Cpus_allowed:\s*(\S+)/.exec(status)![1]!.replaceAll(',', '')
        return [...BigInt(`0x${mask}`).toString(2)].filter((bit) => bit === '1').length
      })
      const all = Math.max(...processors)
      expect(processors.filter((count) => count !== all)).toEqual([all - 1])
      plan.dispose()
    },
  )

  it('normalises bytes as the interface says', async () => {
    const engine = await openNativeEngine()
    const plan = await engine.compile(at(1), weightsOf(1), {
      statistics: initialStatistics(at(1)),
      normalisation,
    })
    const bytes = new Uint8Array(4 * 32 * 32 * 3).map((_, i) => (i * 31) % 256)
    const floats = Float32Array.from(
      bytes,
      (byte, i) => (byte / 255 - normalisation.mean[i % 3]!) / normalisation.std[i % 3]!,
    )
    const [a, b] = await Promise.all([bytes, floats].map((data) => plan.run({ clip: { ...clip(0), data } })))
    a!.logits.forEach((value, i) => {
      expect(value).toBeCloseTo(b!.logits[i]!, 4)
    })
  })

  it('keeps the weights as they were compiled, and compiles anew when they change', async () => {
    const engine = await openNativeEngine()
    const weights = weightsOf(1)
    const statistics = initialStatistics(at(1))
    const before = await engine.compile(at(1), weights, { statistics })
    const { logits } = await before.run({ clip: clip(1) })
    for (const [, values] of weights.values) for (let i = 0; i < values.length; i++) values[i]! *= 1.1
    weights.touch()
    const after = await engine.compile(at(1), weights, { statistics })
    expect((await before.run({ clip: clip(1) })).logits).toEqual(logits)
    expect((await after.run({ clip: clip(1) })).logits).not.toEqual(logits)
    expect(await engine.compile(at(1), weights, { statistics })).toBe(after)
  })

  it('drops plans that nobody holds when they exceed the cache, the longest unused first', async () => {
    const engine = await openNativeEngine({ cacheBytes: 1 })
    const weights = weightsOf(1)
    for (const width of [1, 0.8, 0.63]) {
      const plan = await engine.compile(at(width), weights, { statistics: initialStatistics(at(width)) })
      const running = plan.run({ clip: clip(1) })
      plan.dispose()
      expect((await running).logits.every(Number.isFinite)).toBe(true)
    }
    expect(engine.memory()).toMatchObject({ plans: 0, weights: 0 })
  })

  it('refuses what it cannot run with a reason', async () => {
    const engine = await openNativeEngine()
    const weights = weightsOf(1)
    await expect(engine.compile(at(1), weights, { statistics: new Map() })).rejects.toThrow(
      /has none\. Calibrate/,
    )
    await expect(openNativeEngine({ threads: 0 })).rejects.toThrow(/threads must be/)
    const trainer = await engine.openTrainer(network, weights, {
      momentum: 0,
      nesterov: false,
      weightDecay: 0,
    })
    const wrong = trainer.accumulate(at(1), { clip: clip(1) }, { labels: Int32Array.of(7) })
    await expect(wrong).rejects.toThrow(/label 7 is not below 7 classes/)
  })

  it('drops the same values for the same seed, others for another, none without', async () => {
    const engine = await openNativeEngine()
    const trainer = await engine.openTrainer(network, weightsOf(1), {
      momentum: 0,
      nesterov: false,
      weightDecay: 0,
    })
    const logits = async (options?: { dropoutSeed: number }) =>
      (await trainer.accumulate(at(1), { clip: clip(1) }, { labels: Int32Array.of(2) }, options)).logits
    const [first, again, other, none] = [
      await logits({ dropoutSeed: 5 }),
      await logits({ dropoutSeed: 5 }),
      await logits({ dropoutSeed: 6 }),
      await logits(),
    ]
    expect(again).toEqual(first)
    expect(other).not.toEqual(first)
    expect(none).not.toEqual(first)
  })

  it('clips gradients to a norm and smooths labels', async () => {
    const engine = await openNativeEngine()
    const options = { momentum: 0, nesterov: false, weightDecay: 0 }
    const weights = weightsOf(1)
    const before = new Map([...weights.values].map(([name, values]) => [name, values.slice()]))
    const trainer = await engine.openTrainer(network, weights, options)
    const target = { labels: Int32Array.of(2), labelSmoothing: 0.1 }
    await trainer.accumulate(at(1), { clip: clip(1) }, target)
    const { gradientNorm } = await trainer.step({ learningRate: 1, clipNorm: 0.01 })
    expect(gradientNorm).toBeGreaterThan(0.01)
    let moved = 0
    for (const [name, values] of weights.values) {
      values.forEach((value, i) => {
        moved += (value - before.get(name)![i]!) ** 2
      })
    }
    expect(Math.sqrt(moved)).toBeCloseTo(0.01, 3)
    for (const [, gradient] of trainer.gradients()) expect(gradient.every((value) => value === 0)).toBe(true)
  })

  it('cancels a run that waits and one under way, and goes on with the next', async () => {
    const engine = await openNativeEngine()
    const plan = await engine.compile(at(1), weightsOf(1), { statistics: initialStatistics(at(1)) })
    const { logits } = await plan.run({ clip: clip(1) })
    const controller = new AbortController()
    const { signal } = controller
    const runs = [1, 2].map((seed) => plan.run({ clip: clip(seed, 64) }, { signal }))
    const settled = Promise.allSettled(runs)
    await setTimeout(5)
    controller.abort()
    for (const result of await settled) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'cancelled' } })
    }
    await expect(plan.run({ clip: clip(1) }, { signal })).rejects.toMatchObject({ code: 'cancelled' })
    expect((await plan.run({ clip: clip(1) })).logits).toEqual(logits)
    plan.dispose()
  })

  it('survives the end of a worker whose run is under way', async () => {
    const built = fileURLToPath(new URL('../../native/build/mn_video.node', import.meta.url))
    // Sums that take seconds, were they not given up.
    const source = `
      const { parentPort, workerData } = require('node:worker_threads')
      const { Memory, Program } = require(workerData)
      const step = { op: 'pointwise', name: 'sum', batch: 1, positions: 1 << 16, channels: 8, a: 0, b: 0, y: 1 << 20 }
      const program = new Program({ steps: Array(20000).fill(step), externals: [], arena: 1 << 21 })
      for (let i = 0; i < 3; i++) program.run(new Memory(1 << 21), 2, [], new Uint8Array(1))
      parentPort.postMessage('running')`
    for (let i = 0; i < 3; i++) {
      const worker = new Worker(source, { eval: true, workerData: built })
      await once(worker, 'message')
      expect(await worker.terminate()).toBe(1)
    }
    const { Memory } = createRequire(import.meta.url)(built) as { Memory: new (floats: number) => object }
    expect(new Memory(4)).toMatchObject({ bytes: 16 })
  })
})
