import { describe, expect, it } from 'vitest'
import { X3D_VARIANTS, x3d } from '../../src/models/x3d.ts'
import {
  betterOnceCalibrated,
  chooseUnder,
  digestOf,
  formatMacs,
  parseQueryTable,
  type QueryTable,
  roundedUp,
  untrainedTable,
} from '../../src/runs/query-table.ts'

const trained = (...entries: [macs: number, top1: number][]): QueryTable => ({
  format: 'mn-video query table 1',
  network: 'X',
  trained: true,
  entries: entries.map(([macs, top1]) => ({ width: 1, frames: 4, size: 64, params: 1, macs, top1 })),
})

describe('query table', () => {
  it('picks the most accurate configuration under the budget, not the dearest', () => {
    const table = trained([1e9, 0.6], [2e9, 0.7], [3e9, 0.65])
    expect(chooseUnder(table, { gflops: 3.5 }).macs).toBe(2e9)
    expect(chooseUnder(table, { gflops: 2 }).macs).toBe(2e9)
    expect(chooseUnder(table, { gflops: 1.99 }).macs).toBe(1e9)
  })

  it('picks the cheaper of two that are equally accurate', () => {
    expect(chooseUnder(trained([1e9, 0.7], [2e9, 0.7]), { gflops: 5 }).macs).toBe(1e9)
  })

  it('names the cheapest configuration when the budget is below it, with a budget that suffices', () => {
    const table = trained([1.2344e9, 0.6], [2e9, 0.7])
    expect(() => chooseUnder(table, { gflops: 1 })).toThrow(
      'nothing fits gflops 1: the cheapest configuration of X costs 1.2344 (width 1, frames 4, size 64).\nGive at least gflops 1.235.',
    )
    expect(chooseUnder(table, { gflops: 1.235 }).macs).toBe(1.2344e9)
  })

  it('picks the dearest under the budget where weights came without accuracies', () => {
    const imported: QueryTable = {
      ...trained([1e9, 0], [2e9, 0], [3e9, 0]),
      entries: trained([1e9, 0], [2e9, 0], [3e9, 0]).entries.map(({ top1, ...entry }) => entry),
    }
    expect(chooseUnder(imported, { gflops: 2.5 }).macs).toBe(2e9)
    expect(chooseUnder(imported, { gflops: 9 }).macs).toBe(3e9)
    expect(() => chooseUnder(imported, { gflops: 0.1 })).toThrow('the cheapest configuration of X costs 1 (')
  })

  it('prefers what can run to what is more accurate but has no statistics', () => {
    const { entries, ...table } = trained([1e9, 0.6], [2e9, 0.7], [3e9, 0.8])
    const ready = {
      ...table,
      entries: [{ ...entries[0]!, statistics: 'bn/a.safetensors' }, ...entries.slice(1)],
    }
    expect(chooseUnder(ready, { gflops: 9 }).macs).toBe(1e9)
    expect(betterOnceCalibrated(ready, { gflops: 9 })?.macs).toBe(3e9)
    expect(betterOnceCalibrated(ready, { gflops: 2.5 })?.macs).toBe(2e9)
    expect(betterOnceCalibrated(ready, { gflops: 1 })).toBeUndefined()
    expect(() => chooseUnder(ready, { gflops: 0.1 })).toThrow('nothing fits gflops 0.1')
  })

  it('prefers a known accuracy to an unknown one, whatever their order', () => {
    const { entries, ...table } = trained([1e9, 0.6], [2e9, 0], [3e9, 0.5])
    const { top1, ...unknown } = entries[1]!
    for (const order of [
      [entries[0]!, unknown, entries[2]!],
      [unknown, entries[2]!, entries[0]!],
    ])
      expect(chooseUnder({ ...table, entries: order }, { gflops: 9 }).macs).toBe(1e9)
  })

  const network = x3d({ classes: 400, ...X3D_VARIANTS.m })
  const untrained = untrainedTable(network, { widths: [1, 0.63], frames: [16, 6], sizes: [224, 128] })

  it('has every combination from the cheapest to the dearest while untrained', () => {
    const costs = untrained.entries.map(({ macs }) => macs)
    expect(costs).toHaveLength(8)
    expect(costs).toEqual([...costs].sort((a, b) => a - b))
    expect(costs.at(-1)).toBe(4_732_468_736)
    expect(untrained.trained).toBe(false)
  })

  it('picks the dearest configuration under the budget while untrained', () => {
    const under = untrained.entries.filter(({ macs }) => macs <= 2e9)
    expect(chooseUnder(untrained, { gflops: 2 })).toEqual(under.at(-1))
    expect(chooseUnder(untrained, { gflops: 1000 })).toEqual(untrained.entries.at(-1))
  })

  it('reads back what JSON says', () => {
    const written = { ...untrained, digest: digestOf(untrained) }
    expect(parseQueryTable(JSON.stringify(written), 'q.json')).toEqual(untrained)
  })

  it('refuses numbers that somebody has changed', () => {
    const [first, ...others] = untrained.entries
    const digest = digestOf(untrained)
    for (const table of [
      { ...untrained, digest, entries: [{ ...first!, top1: 0.99 }, ...others] },
      { ...untrained, digest, trained: true },
      untrained,
    ]) {
      expect(() => parseQueryTable(JSON.stringify(table), 'q.json')).toThrow(
        'q.json: its numbers are not those',
      )
    }
  })

  it.each([
    ['{', 'q.json: is not JSON'],
    ['[]', 'q.json: the whole: '],
    ['{"format":"mn-video query table 1","network":"X","trained":true,"entries":[]}', 'q.json: entries: '],
    [
      JSON.stringify({ ...untrained, entries: [{ ...untrained.entries[0], size: 0 }] }),
      'q.json: entries.0.size: ',
    ],
    [
      JSON.stringify({
        ...untrained,
        entries: [{ ...untrained.entries[0], statistics: '../../etc/passwd' }],
      }),
      'q.json: entries.0.statistics: ',
    ],
  ])('refuses a damaged table: %s', (text, message) => {
    expect(() => parseQueryTable(text, 'q.json')).toThrow(message)
  })

  it.each([
    [4_732_468_736, '4.73 GFLOPs'],
    [36_101_963_776, '36.1 GFLOPs'],
    [568_740_352, '569 MFLOPs'],
    [13_570_048, '13.6 MFLOPs'],
    [900, '900 FLOPs'],
  ])('writes %d as %s', (macs, text) => {
    expect(formatMacs(macs)).toBe(text)
  })
})

describe('a budget in a few digits', () => {
  it.each([
    [0.001133248, 2, 0.0012],
    [4.73, 2, 4.8],
    [0.99, 2, 0.99],
    [0.3, 2, 0.3],
    [0.999, 2, 1],
    [123.4, 3, 124],
    [20, 2, 20],
  ])('buys %s in %i digits with %s', (value, digits, budget) => {
    expect(roundedUp(value, digits)).toBe(budget)
  })
})
