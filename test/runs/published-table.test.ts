/** Published accuracies for imported weights: on a state dict that looks like the original's, of small numbers. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Config, loadConfig } from '../../src/config/index.ts'
import { chooseEntry } from '../../src/inference/model.ts'
import { buildNetwork } from '../../src/models/index.ts'
import { configurationKey, resolve } from '../../src/network/resolve.ts'
import { initialStatistics } from '../../src/network/store.ts'
import { importRun } from '../../src/runs/import-run.ts'
import { readStatistics } from '../../src/runs/kept-statistics.ts'
import { betterOnceCalibrated, chooseUnder, isReady } from '../../src/runs/query-table.ts'
import { checkpointOf, hashed, type State, torchState } from '../support/torch-state.ts'

/** What MutualNet saves: weights once, and running statistics in a set for each width of its list. */
function mutualNetState(config: Config): Map<string, State> {
  const network = buildNetwork(config)
  const state = new Map([...torchState(network)].filter(([name]) => !name.includes('.running_')))
  for (const [index, width] of config.width_mult_list.entries()) {
    const statistics = initialStatistics(resolve(network, { width, frames: 1, size: network.size }))
    for (const [node, { mean }] of statistics)
      for (const part of ['running_mean', 'running_var']) {
        const name = `${node}.bn.${index}.${part}`
        state.set(name, hashed(name, [mean.length]))
      }
  }
  return state
}

async function imported(config: Config, state: ReadonlyMap<string, State>) {
  const folder = await mkdtemp(join(tmpdir(), 'mn-video-'))
  try {
    const file = join(folder, 'weights.pt')
    await writeFile(file, checkpointOf(state, 'model'))
    return await importRun(file, config)
  } finally {
    await rm(folder, { recursive: true })
  }
}

describe('imported MobileNet v1 weights of MutualNet', async () => {
  const config = await loadConfig('mobilenet_v1')
  const run = { ...(await imported(config, mutualNetState(config))), folder: 'runs/v1' }
  const { table } = run

  it('have the published query table, marked as published', () => {
    const published = table.entries.filter(({ source }) => source === 'published')
    expect(published).toHaveLength(21)
    expect(published.at(-1)).toMatchObject({
      width: 1,
      size: 224,
      top1: 0.724,
      statistics: 'bn/1-1-224.safetensors',
    })
    const costs = table.entries.map(({ macs }) => macs)
    expect(costs).toEqual([...costs].sort((a, b) => a - b))
    expect(new Set(table.entries.map(configurationKey)).size).toBe(table.entries.length)
  })

  it('answer a budget of 150 MFLOPs without a sweep, and know which configuration calibration would buy', () => {
    const chosen = chooseUnder(table, { mflops: 150 })
    expect(chosen).toMatchObject({ width: 0.5, size: 224, statistics: 'bn/0.5-1-224.safetensors' })
    const better = betterOnceCalibrated(table, { mflops: 150 })
    expect(better).toMatchObject({ width: 0.7, size: 160, top1: 0.656, source: 'published' })
    expect(chooseUnder(table, { gflops: 1 })).toMatchObject({ width: 1, size: 224, top1: 0.724 })
    expect(betterOnceCalibrated(table, { gflops: 1 })).toBeUndefined()
  })

  it('answer by the published table once a configuration has statistics of its own', () => {
    const entries = table.entries.map((entry) =>
      entry.width === 0.7 && entry.size === 160
        ? { ...entry, statistics: 'bn/0.7-1-160.safetensors' }
        : entry,
    )
    expect(chooseUnder({ ...table, entries }, { mflops: 150 })).toMatchObject({
      width: 0.7,
      size: 160,
      top1: 0.656,
    })
  })

  it('refuse a configuration without statistics of its own, and say how to calibrate it', async () => {
    const entry = chooseEntry(run, { width: 0.7, size: 160 })
    expect(isReady(table, entry)).toBe(false)
    await expect(readStatistics(run, entry)).rejects.toThrow(
      'runs/v1: width 0.7, frames 1, size 160 has no batch-norm statistics of its own, and without them it only guesses.\n' +
        'Calibrate it on its training data: mn-video test runs/v1 --widths 0.7 --sizes 160\n',
    )
    // Where none under the budget can run, the refusal names what could.
    expect(chooseUnder(table, { mflops: 14 })).toMatchObject({ width: 0.25, size: 128 })
  })
})

describe('imported weights of something else', async () => {
  const config = await loadConfig('mobilenet_v2')

  it('that have one set of statistics are a static network’s, and get no published accuracies', async () => {
    const { table } = await imported(config, torchState(buildNetwork(config)))
    expect(table.entries).toHaveLength(1)
    expect(table.entries[0]).not.toHaveProperty('top1')
  })

  it('of other classes or another data set get none', async () => {
    for (const other of [
      { ...config, num_classes: 10 },
      { ...config, dataset: 'folder' as const },
    ]) {
      const { table } = await imported(other, mutualNetState(other))
      expect(table.entries).toHaveLength(config.width_mult_list.length)
      expect(table.entries.every(({ top1 }) => top1 === undefined)).toBe(true)
    }
  })
})
