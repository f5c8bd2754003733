/** What `mn-video test` says and leaves behind: files that cannot be read, what can run afterwards, and how to go on. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/index.ts'
import { buildNetwork } from '../../src/models/index.ts'
import { fullConfiguration, resolve } from '../../src/network/resolve.ts'
import { initialStatistics } from '../../src/network/store.ts'
import { writeRun } from '../../src/runs/create-run.ts'
import { readStatistics } from '../../src/runs/kept-statistics.ts'
import { readLog } from '../../src/runs/log.ts'
import { parseQueryTable, type QueryTable } from '../../src/runs/query-table.ts'
import { readSweep } from '../../src/runs/sweep-results.ts'
import { mnVideo } from '../support/cli.ts'
import { renderClip } from '../support/render.ts'
import { makeRun, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()
const clips = join(folder, 'clips')
const run = join(folder, "a run's")
const timeout = 120_000

const CONFIG = `${SMALL_X3D.replace('num_classes: 5', 'num_classes: 2')}dataset: folder
zero_init_final_bn: false
width_mult_list: [1.0, 0.63]
frames_list: [4, 3]
resolution_list: [32, 24]
batch_size: 2
calibration_batches: 1
`
const WITH_DATA = `${CONFIG}dataset_dir: ${clips}\n`
const NARROW = ['--widths', '0.63', '--frames', '3', '--sizes', '24']

beforeAll(async () => {
  for (const split of ['train', 'val']) {
    for (const [label, colour] of ['blue', 'red'].entries()) {
      await mkdir(join(clips, split, colour), { recursive: true })
      for (let i = 0; i < 2; i++) {
        await renderClip(join(clips, split, colour, `${i}.mp4`), {
          size: '64x48',
          seconds: 0.5,
          filters: `drawbox=w=iw/2:color=${colour}:t=fill,noise=alls=60:allf=t:all_seed=${4 * label + 2 * i + (split === 'val' ? 1 : 0)}`,
        })
      }
    }
  }
  await renderClip(join(folder, 'video.mp4'), { size: '64x48', seconds: 0.5 })
  for (const name of ['broken-0', 'broken-1', 'broken-2'])
    await writeFile(join(folder, `${name}.mp4`), 'no video')
}, timeout)

beforeEach(async () => {
  await rm(run, { recursive: true, force: true })
})

const tableOf = async (): Promise<QueryTable> =>
  parseQueryTable(await readFile(join(run, 'query-table.json'), 'utf8'), 'query-table.json')

/** Runs a command line as a shell would split it, in the folder that has video.mp4. */
const shell = (line: string) => {
  const words = [...line.trim().matchAll(/(?:[^\s'"\\]|\\.|'[^']*'|"[^"]*")+/g)].map(([word]) =>
    word.replace(/\\(.)|'([^']*)'/g, (_, escaped, quoted) => escaped ?? quoted),
  )
  expect(words[0]).toBe('mn-video')
  return mnVideo(words.slice(1), { cwd: folder })
}

/** Runs every command that a text ends with, behind `Next:`; drawing takes seconds, so where it has been tried it is left out. */
async function runNext(text: string, { drawing = false } = {}): Promise<string[]> {
  const commands = text
    .slice(text.indexOf('Next:') + 5)
    .split('\n')
    .map((line) => line.trim())
  const given = commands.filter(
    (line) => line.startsWith('mn-video') && (drawing || !line.startsWith('mn-video curve')),
  )
  expect(given).not.toEqual([])
  const outputs: string[] = []
  for (const command of given) {
    const { code, stdout, stderr } = await shell(command)
    expect({ command, code, stderr }).toEqual({
      command,
      code: 0,
      stderr: expect.not.stringContaining('mn-video:'),
    })
    outputs.push(stdout)
  }
  return outputs
}

async function listOf(name: string, files: readonly string[]): Promise<string> {
  const list = join(folder, name)
  await writeFile(list, files.map((file, i) => `${file} ${i % 2}\n`).join(''))
  return list
}
const good = (count: number) =>
  Array.from({ length: count }, (_, i) => join(clips, `val/${['blue', 'red'][i % 2]}/${(i >> 1) % 2}.mp4`))
const bad = (count: number) => Array.from({ length: count }, (_, i) => join(folder, `broken-${i}.mp4`))

describe('validation files that cannot be read', () => {
  it('are refused where they are all there is, each with its reason', { timeout }, async () => {
    await makeRun(run, WITH_DATA)
    const list = await listOf('bad.csv', bad(3))
    const { code, stdout, stderr } = await mnVideo([
      'test',
      run,
      ...NARROW,
      '--set',
      `val_list=${list}`,
      '--set',
      'max_bad_fraction=1',
    ])
    expect(code).toBe(1)
    expect(stderr).toContain(
      `${list}: none of its 3 samples can be read.\n${bad(1)[0]}: FFmpeg finds no video`,
    )
    expect(stdout).toContain(`cannot be read, left out: ${bad(3)[2]} (`)
    expect(await readSweep(run)).toEqual([])
  })

  it('are refused where they are more than max_bad_fraction, with one that suffices', {
    timeout,
  }, async () => {
    await makeRun(run, WITH_DATA)
    const list = await listOf('mixed.csv', [...bad(1), ...good(4), ...bad(2).slice(1)])
    const args = ['test', run, ...NARROW, '--set', `val_list=${list}`]
    const { code, stderr } = await mnVideo(args)
    expect(code).toBe(1)
    expect(stderr).toContain(`${list}: 2 of 6 samples cannot be read, more than max_bad_fraction (0.05).`)
    const [, way] = /\((--set max_bad_fraction=\S+)\)/.exec(stderr)!
    const again = await mnVideo([...args, ...way!.split(' ')])
    expect(again).toMatchObject({ code: 0, stderr: '' })
    for (const file of bad(2)) expect(again.stdout).toContain(`cannot be read, left out: ${file} (`)
    expect(again.stdout).toContain('4 samples, 2 more cannot be read')
    expect(await readSweep(run)).toMatchObject([{ samples: 4, unreadable: 2 }])
  })

  it('are named when training validates, with what the figures are of', { timeout }, async () => {
    const config = join(folder, 'train.yml')
    await writeFile(config, `${WITH_DATA}num_epochs: 1\nmax_bad_fraction: 0.5\n`)
    const list = await listOf('train-val.csv', [...good(3), ...bad(1)])
    const { code, stdout } = await mnVideo(['train', config, '--set', `val_list=${list}`, '--out', run])
    expect(code).toBe(0)
    expect(stdout).toContain(`cannot be read, left out: ${bad(1)[0]} (`)
    expect(stdout).toMatch(/validation after epoch 1: .* 3 samples, 1 more cannot be read/)
    expect(await readLog(run)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ event: 'bad-file', split: 'val', file: bad(1)[0] }),
        expect.objectContaining({ event: 'validation', samples: 3, unreadable: 1 }),
      ]),
    )
    expect((await tableOf()).entries.every(({ samples }) => samples === 3)).toBe(true)
  })

  it('of training are named in calibration', { timeout }, async () => {
    await makeRun(run, `${WITH_DATA}max_bad_fraction: 0.9\n`)
    const list = await listOf('training.csv', [join(clips, 'train/blue/0.mp4'), ...bad(1)])
    const { code, stdout } = await mnVideo(['test', run, ...NARROW, '--set', `train_list=${list}`])
    expect(code).toBe(0)
    expect(stdout).toContain(`cannot be read, another of its class taken: ${bad(1)[0]} (`)
  })
})

describe('what can run after a test', () => {
  it('has the full network, whatever is on the frontier, for eval, export and as a library', {
    timeout,
  }, async () => {
    await makeRun(run, WITH_DATA)
    expect((await mnVideo(['test', run])).code).toBe(0)
    // Other views make a new table, in which the full network has not been tested.
    await mnVideo(['test', run, '--views', '2x1', '--widths', '0.63'])
    const { entries } = await tableOf()
    const full = entries.find(({ width, frames, size }) => width === 1 && frames === 4 && size === 32)!
    expect([full.statistics !== undefined, full.top1]).toEqual([true, undefined])
    const evaluated = await mnVideo(['eval', '--clip', join(folder, 'video.mp4'), '--model', run])
    expect(evaluated).toMatchObject({ code: 0, stderr: '' })
    expect(evaluated.stdout).toContain('chosen  width 1, frames 4, size 32: ')
    const exported = await mnVideo(['export', run, '--torch-names', join(folder, 'full.safetensors')])
    expect(exported).toMatchObject({ code: 0, stderr: '' })
  })

  it('is the best that there is where the full network was never calibrated, and it is said', {
    timeout,
  }, async () => {
    await makeRun(run, WITH_DATA)
    await mnVideo(['test', run, ...NARROW])
    const evaluated = await mnVideo(['eval', '--clip', join(folder, 'video.mp4'), '--model', run])
    expect(evaluated).toMatchObject({ code: 0, stderr: '' })
    expect(evaluated.stdout).toContain('chosen  width 0.63, frames 3, size 24: ')
    const [, command] = /^note .*width 1, frames 4, size 32: .* once it is calibrated: (mn-video .*)$/m.exec(
      evaluated.stdout,
    )!
    expect((await shell(command!)).code).toBe(0)
    const again = await mnVideo(['eval', '--clip', join(folder, 'video.mp4'), '--model', run])
    expect(again.stdout).toContain('chosen  width 1, frames 4, size 32: ')
  })

  it('is named under a budget that nothing calibrated fits, with the command that makes something fit', {
    timeout,
  }, async () => {
    await makeRun(run, WITH_DATA)
    await mnVideo(['test', run, '--widths', '1', '--frames', '4', '--sizes', '32'])
    const budget = ['eval', '--clip', join(folder, 'video.mp4'), '--model', run, '--mflops', '1']
    const { code, stderr } = await mnVideo(budget)
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^mn-video: nothing that is calibrated fits mflops 1: .*\nGive at least mflops [\d.]+, or calibrate a cheaper one: /,
    )
    const [, least, command] = /at least mflops ([\d.]+), .*: (mn-video .*)$/m.exec(stderr)!
    expect((await mnVideo([...budget.slice(0, -1), least!])).code).toBe(0)
    expect((await shell(command!)).code).toBe(0)
    expect((await mnVideo(budget)).code).toBe(0)
  })

  it('tests with the same data again where the advice is followed', { timeout }, async () => {
    await makeRun(run, CONFIG)
    const list = await listOf('elsewhere.csv', good(4))
    const training = await listOf('training.csv', [
      join(clips, 'train/blue/0.mp4'),
      join(clips, 'train/red/0.mp4'),
    ])
    await mnVideo(['test', run, ...NARROW, '--set', `val_list=${list}`, '--set', `train_list=${training}`])
    const asked = [
      'eval',
      '--clip',
      join(folder, 'video.mp4'),
      '--model',
      run,
      '--width',
      '1',
      '--frames',
      '3',
      '--size',
      '24',
    ]
    const { stderr } = await mnVideo(asked)
    const [, command] = /^Calibrate it on its training data: (mn-video .*)$/m.exec(stderr)!
    expect((await shell(command!)).code).toBe(0)
    expect((await mnVideo(asked)).code).toBe(0)
  })
})

describe('imported weights with statistics', () => {
  it('are tested on a validation list alone, and keep their statistics', { timeout }, async () => {
    const { table, config, weights } = await imported()
    const list = await listOf('val.csv', good(4))
    const { code, stdout, stderr } = await mnVideo(['test', run, '--set', `val_list=${list}`])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('1 configurations, 4 validation samples')
    expect(stdout).toContain(
      '7 more have no batch-norm statistics, and there is no training data to estimate them from',
    )
    const now = await tableOf()
    expect(now.entries).toMatchObject([
      { width: 1, frames: 4, size: 32, samples: 4, statistics: 'bn/1-4-32.safetensors' },
    ])
    const kept = await readStatistics(
      { folder: run, config, network: buildNetwork(config), weights, table: now },
      now.entries[0]!,
    )
    expect([...kept.keys()].length).toBeGreaterThan(0)
    expect(table.entries).toHaveLength(1)
    await runNext(stdout)
  })

  it('name what is missing where more is asked for', { timeout }, async () => {
    await imported()
    const list = await listOf('val.csv', good(4))
    const { code, stderr } = await mnVideo(['test', run, ...NARROW, '--set', `val_list=${list}`])
    expect(code).toBe(1)
    expect(stderr).toContain(
      'width 0.63, frames 3, size 24 has no batch-norm statistics, and there is no training data to estimate them from.\n' +
        'Give --set train_list=FILE or --set dataset_dir=FOLDER, or test what has statistics (width × frames × size: 1 × 4 × 32).',
    )
  })

  it('name a training list that is given and not there', { timeout }, async () => {
    await imported()
    const list = await listOf('val.csv', good(4))
    const set = ['--set', `val_list=${list}`, '--set', `train_list=${join(folder, 'none.csv')}`]
    expect((await mnVideo(['test', run, ...set])).stderr).toContain('none.csv')
  })

  async function imported() {
    const config = parseConfig(CONFIG, 'small.yml')
    const network = buildNetwork(config)
    const { weights } = await makeRun(join(folder, `weights-${Math.random()}`), CONFIG)
    const full = fullConfiguration(network)
    const subNetwork = resolve(network, full)
    const { macs, params } = subNetwork
    const table: QueryTable = {
      format: 'mn-video query table 1',
      network: network.name,
      trained: true,
      entries: [{ ...full, macs, params, statistics: 'bn/1-4-32.safetensors' }],
    }
    const statistics = new Map([['bn/1-4-32.safetensors', initialStatistics(subNetwork)]])
    await writeRun(run, { config, weights, table, statistics })
    return { table, config, weights }
  }
})

describe('what is said to do next', () => {
  it('works after test, of all and of a single configuration', { timeout }, async () => {
    await makeRun(run, WITH_DATA)
    const all = await mnVideo(['test', run])
    const [curve, evaluated] = await runNext(all.stdout, { drawing: true })
    expect(curve).toContain('curve.csv')
    expect(evaluated).toMatch(/^chosen {2}width/m)
    const single = await mnVideo(['test', run, ...NARROW, '--views', '2x1'])
    expect(single.stdout).toContain('The query table stays the one of 1x1 views.')
    await runNext(single.stdout)
  })

  it('works after a first test of a single configuration at other views', { timeout }, async () => {
    await makeRun(run, WITH_DATA)
    await runNext((await mnVideo(['test', run, ...NARROW, '--views', '2x1'])).stdout)
  })

  it('works after init, also where there is one configuration alone', { timeout }, async () => {
    const file = join(folder, 'init.yml')
    await writeFile(file, CONFIG)
    await runNext((await mnVideo(['init', file, '--out', run])).stdout)
    await rm(run, { recursive: true })
    const one = ['width_mult_list=[1]', 'frames_list=[4]', 'resolution_list=[32]'].flatMap((key) => [
      '--set',
      key,
    ])
    await runNext((await mnVideo(['init', file, '--out', run, ...one])).stdout)
  })

  it('works after calibrate-latency, which names what to do where nothing can run', { timeout }, async () => {
    await makeRun(run, WITH_DATA)
    await mnVideo(['test', run, ...NARROW])
    const { code, stdout } = await mnVideo(['calibrate-latency', run, '--threads', '1'])
    expect(code).toBe(0)
    const [evaluated] = await runNext(stdout)
    expect(evaluated).toContain('chosen  width 0.63, frames 3, size 24')
  })

  it('measures the latencies that are missing, of what came after they were measured', {
    timeout,
  }, async () => {
    await makeRun(run, WITH_DATA)
    await mnVideo(['test', run, ...NARROW])
    await mnVideo(['calibrate-latency', run])
    await mnVideo(['test', run])
    const evaluated = await mnVideo([
      'eval',
      '--clip',
      join(folder, 'video.mp4'),
      '--model',
      run,
      '--latency',
      '10000',
    ])
    expect(evaluated.code).toBe(0)
    const { machines } = JSON.parse(await readFile(join(run, 'latency.json'), 'utf8'))
    const [timed] = Object.values<Record<string, unknown>>(machines)
    const ready = (await tableOf()).entries.filter(({ statistics }) => statistics)
    expect(Object.keys(timed!)).toHaveLength(ready.length)
  })
})
