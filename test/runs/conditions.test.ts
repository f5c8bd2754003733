/** Results count only for the data, settings, calibration and machine that they were measured with. */
import { copyFile, mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/index.ts'
import { entryOf, keyNames } from '../../src/config/resolve.ts'
import { changesOf } from '../../src/config/schema.ts'
import { testRun } from '../../src/evaluation/test-run.ts'
import type { TestEvent, TestOptions } from '../../src/evaluation/test-setup.ts'
import { settingsOf } from '../../src/runs/conditions.ts'
import { readPredictions } from '../../src/runs/predictions.ts'
import type { QueryTable } from '../../src/runs/query-table.ts'
import { readRun } from '../../src/runs/run-folder.ts'
import { readSweep, type SweepResult } from '../../src/runs/sweep-results.ts'
import { renderClip } from '../support/render.ts'
import { makeRun, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()
const clips = join(folder, 'clips')
const run = join(folder, 'run')
const list = join(folder, 'val.csv')
const ONE = { widths: [0.63], frames: [3], sizes: [24] } as const
const timeout = 120_000

const CONFIG = `${SMALL_X3D.replace('num_classes: 5', 'num_classes: 2')}dataset: folder
dataset_dir: ${clips}
short_side: 36
train_short_side: [36, 40]
zero_init_final_bn: false
width_mult_list: [1.0, 0.63]
frames_list: [4]
resolution_list: [32]
batch_size: 2
calibration_batches: 1
`

beforeAll(async () => {
  for (const split of ['train', 'val']) {
    for (const [label, colour] of ['blue', 'red'].entries()) {
      await mkdir(join(clips, split, colour), { recursive: true })
      for (let i = 0; i < 2; i++) {
        const seed = 4 * label + 2 * i + (split === 'val' ? 1 : 0)
        await renderClip(join(clips, split, colour, `${i}.mp4`), {
          size: '64x48',
          seconds: 0.5,
          filters: `drawbox=w=iw/2:color=${colour}:t=fill,noise=alls=60:allf=t:all_seed=${seed}`,
        })
      }
    }
  }
}, timeout)

beforeEach(async () => {
  await rm(run, { recursive: true, force: true })
  await makeRun(run, CONFIG)
})

/** Tests the run, and gives what it was told at the start. */
async function test(options: TestOptions = ONE) {
  const events: TestEvent[] = []
  const tested = await testRun(run, { ...options, onEvent: (event) => events.push(event) })
  const start = events.find((event) => event.event === 'start')!
  const measured = events.filter((event) => event.event === 'result').length
  const results = tested.results.flatMap((result) => (result.metric ? [] : [result]))
  return { ...tested, results, start, measured, events }
}

const lines = async () => (await readFile(join(run, 'sweep.jsonl'), 'utf8')).trim().split('\n')
const tableOf = async (): Promise<QueryTable> => (await readRun(run)).table
const valList = (labels: readonly number[]) =>
  writeFile(
    list,
    ['blue/0', 'blue/1', 'red/0', 'red/1']
      .map((name, i) => `${clips}/val/${name}.mp4 ${labels[i]}\n`)
      .join(''),
  )

describe('results of a sweep', () => {
  it('are used again where nothing has changed', { timeout }, async () => {
    const first = await test()
    const second = await test()
    expect([first.measured, second.measured]).toEqual([1, 0])
    expect(second.results).toEqual(first.results)
    expect(second.start).toMatchObject({ done: 1, other: { configurations: 0, differing: [] } })
  })

  it('are measured again for another list and for an edited one; the old ones are kept, and it is said', {
    timeout,
  }, async () => {
    const before = await test()
    await valList([1, 1, 0, 0])
    const set = [`val_list=${list}`]
    const other = await test({ ...ONE, set })
    expect(other.measured).toBe(1)
    expect(other.start.other).toEqual({ configurations: 1, differing: ['validation data'] })
    // Every label is the other one.
    expect(other.results[0]!.top1).toBeCloseTo(1 - before.results[0]!.top1, 12)
    await valList([0, 1, 1, 0])
    expect((await test({ ...ONE, set })).measured).toBe(1)
    expect(await lines()).toHaveLength(3)
    // The samples are what counts, not where they are listed.
    await valList([0, 0, 1, 1])
    const same = await test({ ...ONE, set })
    expect([same.measured, same.results]).toEqual([0, before.results])
  })

  it('are measured again where a file of the list has been replaced', { timeout }, async () => {
    await valList([0, 0, 1, 1])
    const own = join(folder, 'own.mp4')
    await copyFile(join(clips, 'val/blue/0.mp4'), own)
    await writeFile(list, `${own} 0\n${clips}/val/red/0.mp4 1\n`)
    const options = { ...ONE, set: [`val_list=${list}`] }
    await test(options)
    expect((await test(options)).measured).toBe(0)
    await copyFile(join(clips, 'val/red/1.mp4'), own)
    await utimes(own, new Date(), new Date(Date.now() + 5000))
    expect((await test(options)).start.other.differing).toEqual(['validation data'])
  })

  it.each(['short_side=40', 'clip_fps=15', 'mean=[0.4, 0.4, 0.4]', 'std=[0.3, 0.3, 0.3]', 'frame_stride=3'])(
    'are measured again with %s, and the table stays, because eval goes by config.yml',
    { timeout },
    async (change) => {
      const before = await test()
      const table = await tableOf()
      const other = await test({ ...ONE, set: [change] })
      expect(other.measured).toBe(1)
      expect(other.start.other.differing).toContain('settings')
      expect(other.aside).toEqual(['settings'])
      expect(await tableOf()).toEqual(table)
      const again = await test()
      expect(again.measured).toBe(0)
      expect(again.results).toEqual(before.results)
    },
  )

  it('are measured again with statistics of other training data', { timeout }, async () => {
    const before = await test()
    const training = join(folder, 'train.csv')
    await writeFile(training, `${clips}/train/red/0.mp4 1\n${clips}/train/red/1.mp4 1\n`)
    const other = await test({ ...ONE, set: [`train_list=${training}`] })
    expect(other.start.other).toEqual({ configurations: 1, differing: ['calibration'] })
    expect(other.results[0]!.calibration).not.toBe(before.results[0]!.calibration)
    // Its statistics are the ones that the table names now.
    const { entries } = await tableOf()
    expect(entries.map(({ calibration }) => calibration)).toEqual([other.results[0]!.calibration])
    expect(await readdir(join(run, 'bn'))).toEqual([`0.63-3-24-${other.results[0]!.calibration}.safetensors`])
  })

  it('keep their accuracies on another machine or engine, and are timed again', { timeout }, async () => {
    await test()
    const [line] = await lines()
    const elsewhere: SweepResult = { ...JSON.parse(line!), machine: 'another, 64 threads', latencyMs: 1e6 }
    await writeFile(join(run, 'sweep.jsonl'), `${JSON.stringify(elsewhere)}\n`)
    const { measured, results } = await test()
    expect(measured).toBe(0)
    expect(results[0]!.machine).not.toBe(elsewhere.machine)
    expect(results[0]!.latencyMs).toBeLessThan(1e6)
    expect({ ...results[0], machine: 0, latencyMs: 0, latencyRangeMs: 0 }).toEqual({
      ...elsewhere,
      ...{ machine: 0, latencyMs: 0, latencyRangeMs: 0 },
    })
    expect((await tableOf()).entries[0]!.latencyMs).toBe(results[0]!.latencyMs)
  })

  it('keep the answers that they were counted from, each its own', { timeout }, async () => {
    const [first] = (await test()).results
    await valList([1, 1, 0, 0])
    const [other] = (await test({ ...ONE, set: [`val_list=${list}`] })).results
    const labels = async (result: SweepResult) =>
      (await readPredictions(run, result, '1x1')).map(({ label }) => label)
    expect(await labels(first!)).toEqual([0, 0, 1, 1])
    expect(await labels(other!)).toEqual([1, 1, 0, 0])
  })

  it('of before, which do not say what they belong to, are not used', { timeout }, async () => {
    await test()
    const { data, settings, calibration, machine, ...old } = JSON.parse((await lines())[0]!)
    await writeFile(join(run, 'sweep.jsonl'), `${JSON.stringify(old)}\n`)
    const { measured, start } = await test()
    expect(measured).toBe(1)
    expect(start.other.differing).toEqual(['validation data', 'settings', 'calibration'])
    expect(await readSweep(run)).toHaveLength(1)
  })
})

describe('a query table', () => {
  it('is of one validation set: a sweep of another makes a new one, a single configuration leaves it', {
    timeout,
  }, async () => {
    await test({})
    const before = await tableOf()
    expect(before.entries.every(({ samples }) => samples === 4)).toBe(true)
    await valList([1, 1, 0, 0])
    const set = [`val_list=${list}`]
    expect((await test({ ...ONE, set })).aside).toEqual(['data'])
    expect(await tableOf()).toEqual(before)
    expect((await test({ set })).aside).toEqual([])
    const now = await tableOf()
    expect(now.data).not.toBe(before.data)
    expect(now.set).toEqual(set)
    for (const entry of now.entries) {
      const old = before.entries.find((one) => one.macs === entry.macs)
      if (old) expect(entry.top1).toBeCloseTo(1 - old.top1!, 12)
    }
  })

  it('that was measured with what config.yml had before is made anew', { timeout }, async () => {
    await test({})
    const before = await tableOf()
    const config = await readFile(join(run, 'config.yml'), 'utf8')
    await writeFile(join(run, 'config.yml'), config.replace('short_side: 36', 'short_side: 44'))
    const { aside, results } = await test()
    expect(aside).toEqual([])
    expect(results).toHaveLength(1)
    const now = await tableOf()
    expect(now.settings).not.toBe(before.settings)
    expect(now.entries.filter(({ top1 }) => top1 !== undefined)).toHaveLength(1)
  })
})

describe('the settings behind an evaluation', () => {
  const base = parseConfig(CONFIG, 'config.yml')

  it('are all keys but those that say where data lie, how they are read, what is asked for, and how to train', () => {
    const of = (what: string) => keyNames.filter((name) => changesOf(name) === what).sort()
    const input = (name: string) => entryOf(name as (typeof keyNames)[number]).changes !== undefined
    expect(of('nothing').filter(input)).toEqual([
      ...['data_loader_workers', 'dataset', 'dataset_dir', 'frames_list', 'labels', 'list_root'],
      ...['max_bad_fraction', 'resolution_list', 'train_list', 'val_list', 'views', 'width_mult_list'],
    ])
    expect(of('calibration').filter(input)).toEqual([
      ...['cache_gib', 'data_transforms', 'drop_last', 'flip', 'train_short_side'],
    ])
    // Whatever else there is, also what is yet to come, counts.
    expect(of('evaluation').length).toBeGreaterThan(15)
  })

  it.each([
    ['image_size: 32', 'image_size: 36'],
    ['frames: 4', 'frames: 5'],
    ['short_side: 36', 'short_side: 37'],
    ['depth_factor: 0.4', 'depth_factor: 0.5'],
  ])('differ with %s → %s', (from, to) => {
    expect(settingsOf(parseConfig(CONFIG.replace(from, to), 'c'))).not.toBe(settingsOf(base))
  })

  it.each(['data_loader_workers: 1', 'views: 10x3', 'log_dir: elsewhere', 'lr: 0.3', 'val_list: other.csv'])(
    'do not differ with %s',
    (line) => expect(settingsOf(parseConfig(`${CONFIG}${line}\n`, 'c'))).toBe(settingsOf(base)),
  )

  it('are the same where a default is written out', () => {
    expect(settingsOf(parseConfig(`${CONFIG}clip_fps: 30\n`, 'c'))).toBe(settingsOf(base))
  })
})
