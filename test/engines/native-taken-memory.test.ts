/** Memory that callers take away while the native engine computes: it must never read what is no longer there. */
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { nativeUnavailable, openNativeEngine } from '../../src/engines/native/engine.ts'
import type { FrameBatch } from '../../src/frames/batch.ts'
import { x3d } from '../../src/models/x3d.ts'
import { initialise } from '../../src/network/initialise.ts'
import { resolve } from '../../src/network/resolve.ts'
import { initialStatistics } from '../../src/network/store.ts'

const network = x3d({ classes: 7, frames: 4, size: 32, depthFactor: 0.4 })
const subNetwork = resolve(network, { width: 1, frames: 4, size: 32 })
const statistics = initialStatistics(subNetwork)
const normalisation = { mean: [0.45, 0.4, 0.5], std: [0.225, 0.2, 0.25] }
const BATCH = 32
const LENGTH = BATCH * 4 * 32 * 32 * 3

const clip = (data: Uint8Array | Float32Array): FrameBatch => {
  for (let i = 0; i < data.length; i++) data[i] = (i * 31) % 251
  return { data, batch: BATCH, frames: 4, height: 32, width: 32 }
}
const give = (data: Uint8Array | Float32Array) =>
  void structuredClone(data.buffer, { transfer: [data.buffer as ArrayBuffer] })
/** `ArrayBuffer` that can shrink; the types of Node.js 20 do not know it. */
const Resizable = ArrayBuffer as unknown as new (
  bytes: number,
  options: { maxByteLength: number },
) => ArrayBuffer & { resize(bytes: number): void }

/** An array and what takes its memory from under a run. */
const ways: [string, () => [Uint8Array | Float32Array, () => void]][] = [
  [
    'bytes that are transferred',
    () => {
      const data = new Uint8Array(LENGTH)
      return [data, () => give(data)]
    },
  ],
  [
    'floats that are transferred',
    () => {
      const data = new Float32Array(LENGTH)
      return [data, () => give(data)]
    },
  ],
  [
    'bytes that shrink',
    () => {
      const memory = new Resizable(LENGTH, { maxByteLength: 2 * LENGTH })
      return [new Uint8Array(memory), () => memory.resize(0)]
    },
  ],
  [
    'floats that shrink',
    () => {
      const memory = new Resizable(4 * LENGTH, { maxByteLength: 8 * LENGTH })
      return [new Float32Array(memory), () => memory.resize(16)]
    },
  ],
  [
    'shared bytes that are overwritten',
    () => {
      const data = new Uint8Array(new SharedArrayBuffer(LENGTH))
      return [data, () => data.fill(0)]
    },
  ],
]

describe.skipIf(nativeUnavailable())('inputs that are taken back', () => {
  it.each(ways)('as %s do not change what is computed', async (_, make) => {
    const engine = await openNativeEngine()
    const plan = await engine.compile(subNetwork, initialise(network, 1), { statistics, normalisation })
    const [kept] = make()
    const { logits } = await plan.run({ clip: clip(kept) })
    for (const wait of [undefined, 0, 3]) {
      const [data, take] = make()
      // The second waits in the queue when its memory goes.
      const runs = [plan.run({ clip: clip(data) }), plan.run({ clip: clip(data) })]
      if (wait !== undefined) await setTimeout(wait)
      take()
      for (const result of await Promise.all(runs)) expect(result.logits).toEqual(logits)
    }
    plan.dispose()
  })

  it.each(ways)('as %s do not change a loss', async (_, make) => {
    const engine = await openNativeEngine()
    const options = { momentum: 0, nesterov: false, weightDecay: 0, normalisation }
    const losses: number[] = []
    for (const taken of [false, true]) {
      const trainer = await engine.openTrainer(network, initialise(network, 1), options)
      const [data, take] = make()
      const probabilities = new Float32Array(BATCH * 7).fill(1 / 7)
      const running = trainer.accumulate(subNetwork, { clip: clip(data) }, { probabilities })
      if (taken) {
        take()
        give(probabilities)
      }
      losses.push((await running).loss)
      trainer.dispose()
    }
    expect(losses[1]).toBe(losses[0])
  })
})

describe.skipIf(nativeUnavailable())('what a trainer computes in', () => {
  it('cannot be transferred', async () => {
    const engine = await openNativeEngine()
    const trainer = await engine.openTrainer(network, initialise(network, 1), {
      ...{ momentum: 0.9, nesterov: true, weightDecay: 0 },
    })
    for (const arrays of [trainer.gradients(), trainer.velocities()]) {
      for (const values of arrays.values()) expect(() => give(values)).toThrow()
    }
    trainer.dispose()
  })

  it('are not the weights of the store: those may go while a step is under way', async () => {
    const engine = await openNativeEngine()
    const weights = initialise(network, 1)
    const trainer = await engine.openTrainer(network, weights, {
      ...{ momentum: 0.9, nesterov: true, weightDecay: 0, normalisation },
    })
    const running = trainer.accumulate(
      subNetwork,
      { clip: clip(new Uint8Array(LENGTH)) },
      { labels: new Int32Array(BATCH) },
    )
    const stepping = trainer.step({ learningRate: 0.1 })
    for (const values of weights.values.values()) give(values)
    expect(Number.isFinite((await running).loss)).toBe(true)
    await expect(stepping).rejects.toMatchObject({ code: 'weights' })
    trainer.dispose()
  })
})

describe.skipIf(nativeUnavailable())('plans of many weights', () => {
  it('are few when nobody holds them, and their number does not grow', async () => {
    const engine = await openNativeEngine({ threads: 1 })
    const counts = new Set<number>()
    for (let i = 0; i < 120; i++) {
      const weights = initialise(network, 1)
      const plan = await engine.compile(subNetwork, weights, { statistics, normalisation })
      plan.dispose()
      if (i >= 60) counts.add(engine.memory().plans)
    }
    expect([...counts]).toEqual([32])
  })

  it('are all there while they are held', async () => {
    const engine = await openNativeEngine({ threads: 1, cacheBytes: 0 })
    const plans = []
    for (let i = 0; i < 40; i++)
      plans.push(await engine.compile(subNetwork, initialise(network, i), { statistics }))
    expect(engine.memory().plans).toBe(40)
    for (const plan of plans) plan.dispose()
    expect(engine.memory()).toMatchObject({ plans: 0, weights: 0 })
  })
})
