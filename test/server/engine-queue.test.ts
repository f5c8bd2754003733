import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Inputs } from '../../src/frames/batch.ts'
import { loadModel, type Model } from '../../src/inference/model.ts'
import { resolve } from '../../src/network/resolve.ts'
import { noiseFor } from '../../src/runs/latency.ts'
import { EngineQueue } from '../../src/server/engine-queue.ts'
import { makeRun, SMALL_SLOWFAST, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

let models: readonly Model[]

beforeAll(async () => {
  const folder = await temporaryFolder()
  models = await Promise.all(
    [SMALL_X3D, SMALL_SLOWFAST].map(async (text, i) => {
      await makeRun(join(folder, String(i)), text)
      return loadModel(join(folder, String(i)), { threads: 2 })
    }),
  )
})

/** Clips of noise, each its own. */
function clips(model: Model, count: number): Inputs[] {
  const entry = model.table.entries.at(-1)!
  const noise = noiseFor(resolve(model.network, entry), count)
  return Array.from({ length: count }, (_, i) =>
    Object.fromEntries(
      Object.entries(noise).map(([name, batch]) => {
        const length = batch.data.length / count
        return [name, { ...batch, batch: 1, data: batch.data.slice(i * length, (i + 1) * length) }]
      }),
    ),
  )
}

/** A queue in which batches pay, whatever this machine says. */
async function batching(model: Model, onRun?: ConstructorParameters<typeof EngineQueue>[0]) {
  const queue = new EngineQueue(onRun)
  const entry = model.table.entries.at(-1)!
  queue.setBatched(entry, true)
  return { queue, entry, shared: queue.share(model) }
}

describe('the queue of the engine', () => {
  it('gives each the result that it has alone, bit for bit, whoever it ran with', async () => {
    for (const model of models) {
      const sizes: number[] = []
      const { entry, shared } = await batching(model, ({ batch }) => void sizes.push(batch))
      const inputs = clips(model, 7)
      const alone = []
      for (const each of inputs) alone.push(await model.run(entry, each))
      const together = await Promise.all(inputs.map((each) => shared.run(entry, each)))
      expect(together.map(({ scores }) => scores)).toEqual(alone.map(({ scores }) => scores))
      expect(together.map(({ logits }) => logits)).toEqual(alone.map(({ logits }) => logits))
      // The first found nobody to wait for.
      expect(sizes).toEqual([1, 4, 2])
    }
  })

  it('runs alone where batches do not pay, in the order of asking', async () => {
    const [model] = models as readonly [Model]
    const sizes: number[] = []
    const queue = new EngineQueue(({ batch }) => void sizes.push(batch))
    const shared = queue.share(model)
    const entry = model.table.entries.at(-1)!
    const order: number[] = []
    await Promise.all(clips(model, 5).map((each, i) => shared.run(entry, each).then(() => order.push(i))))
    expect(order).toEqual([0, 1, 2, 3, 4])
    expect(sizes).toEqual([1, 1, 1, 1, 1])
  })

  it('does not let one that cannot run take its neighbours along', async () => {
    const [model] = models as readonly [Model]
    const { entry, shared } = await batching(model)
    const inputs = clips(model, 4)
    const broken = Object.fromEntries(
      Object.entries(inputs[2]!).map(([name, one]) => [name, { ...one, data: one.data.slice(1) }]),
    )
    const results = await Promise.allSettled(
      [inputs[0]!, inputs[1]!, broken, inputs[3]!].map((each) => shared.run(entry, each)),
    )
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
  })

  it('lets who goes away out of the line', async () => {
    const [model] = models as readonly [Model]
    const { queue, entry, shared } = await batching(model)
    const gone = new AbortController()
    const [first, second, third] = clips(model, 3)
    const running = shared.run(entry, first!)
    const leaving = shared.run(entry, second!, { signal: gone.signal })
    const staying = shared.run(entry, third!)
    expect(queue.length).toBe(2)
    gone.abort()
    expect(queue.length).toBe(1)
    await expect(leaving).rejects.toMatchObject({ code: 'cancelled' })
    await expect(Promise.all([running, staying])).resolves.toHaveLength(2)
  })

  it('finds out by measuring whether batches pay', async () => {
    const [model] = models as readonly [Model]
    const queue = new EngineQueue()
    const entry = model.table.entries[0]!
    const { alone, batched } = await queue.measureBatches(model, entry)
    expect(queue.isBatched(entry)).toBe(batched * 1.05 <= alone)
  })
})
