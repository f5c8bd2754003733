import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { toInputs } from '../../src/frames/inputs.ts'
import { loadModel } from '../../src/inference/model.ts'
import { chooseWithin, type QueryTable } from '../../src/runs/query-table.ts'
import { makeRun, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

const table: QueryTable = {
  format: 'mn-video query table 1',
  network: 'X',
  trained: true,
  entries: [
    { width: 0.5, frames: 1, size: 8, macs: 10, params: 1, top1: 0.5, statistics: 'bn/a.safetensors' },
    { width: 0.7, frames: 1, size: 8, macs: 20, params: 2, top1: 0.7, statistics: 'bn/b.safetensors' },
    { width: 0.9, frames: 1, size: 8, macs: 30, params: 3, top1: 0.9 },
    { width: 1, frames: 1, size: 8, macs: 40, params: 4, top1: 0.8, statistics: 'bn/d.safetensors' },
  ],
}
const times = new Map([
  [0.5, 5],
  [0.7, 2],
  [0.9, 1],
  [1, 9],
])
const choose = (latencyMs: number) => chooseWithin(table, latencyMs, ({ width }) => times.get(width)).width

it('picks the most accurate configuration that can run within a latency', () => {
  expect(choose(100)).toBe(1)
  expect(choose(8)).toBe(0.7)
  times.set(0.7, 2.000001)
  expect(() => choose(1.5)).toThrow('the fastest configuration takes 2.01 ms')
  times.set(0.7, 2)
  expect(() => choose(1.5)).toThrow(
    'nothing of X is within 1.5 ms here: the fastest configuration takes 2 ms',
  )
  expect(() => chooseWithin(table, 5, () => undefined)).toThrow('mn-video calibrate-latency')
})

it('is measured once for a machine and engine, and found again with the run', async () => {
  const folder = join(await temporaryFolder(), 'x3d')
  await makeRun(folder, SMALL_X3D)
  const model = await loadModel(folder)
  expect(() => model.choose({ latencyMs: 1000 })).toThrow('have not been measured on this machine')
  await model.measureLatencies()
  const dearest = model.table.entries.at(-1)!
  expect(model.choose({ latencyMs: 1e6 })).toEqual(dearest)
  const { median, fastest, slowest } = model.latencyOf(dearest)!
  expect(fastest).toBeLessThanOrEqual(median)
  expect(median).toBeLessThanOrEqual(slowest)
  model.dispose()

  const again = await loadModel(folder)
  expect(again.latencyOf(dearest)).toEqual({ median, fastest, slowest })
  again.dispose()
  const fallback = await loadModel(folder, { engine: 'tfjs' })
  expect(fallback.latencyOf(dearest)).toBeUndefined()
  fallback.dispose()
  expect(await readFile(join(folder, 'latency.json'), 'utf8')).toContain('mn-video latencies 1')
  await writeFile(join(folder, 'latency.json'), '{ damaged')
  const damaged = await loadModel(folder)
  expect(damaged.latencyOf(dearest)).toBeUndefined()
  damaged.dispose()
})

it('forBudget classifies batches of whole clips at what a budget buys', async () => {
  const folder = join(await temporaryFolder(), 'x3d')
  await makeRun(folder, SMALL_X3D)
  const model = await loadModel(folder)
  const entry = model.table.entries[2]!
  const cheap = await model.forBudget({ gflops: entry.macs / 1e9 })
  expect(cheap.entry).toEqual(entry)
  const { frames, size } = model.network
  const data = Uint8Array.from({ length: 3 * frames * size * size * 3 }, (_, i) => (i * 37) % 251)
  const clips = { data, batch: 3, frames, height: size, width: size }
  const scores = await cheap.classify(clips)
  expect(scores).toHaveLength(3 * model.network.classes)
  const second = { ...clips, batch: 1, data: data.subarray(data.length / 3, (2 * data.length) / 3) }
  const alone = await model.run(entry, toInputs(model.network, entry, second))
  alone.scores.forEach((score, k) => {
    expect(scores[model.network.classes + k]).toBeCloseTo(score, 6)
  })
  const full = await model.forBudget({})
  expect(full.entry.macs).toBeGreaterThan(entry.macs)
  model.dispose()
  await expect(cheap.classify(clips)).rejects.toThrow('has been disposed')
})
