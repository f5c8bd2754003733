/** What a sweep measured is what `eval` answers: same frames, same pixels, same batch-norm statistics. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { readSafetensors } from '../../src/checkpoints/safetensors.ts'
import { nativeUnavailable } from '../../src/engines/native/engine.ts'
import { type Tested, testRun } from '../../src/evaluation/test-run.ts'
import type { Configuration } from '../../src/network/graph.ts'
import { readPredictions } from '../../src/runs/predictions.ts'
import { parseQueryTable, type QueryTable, type TableEntry } from '../../src/runs/query-table.ts'
import { readSweep, type SweepResult } from '../../src/runs/sweep-results.ts'
import { MAIN, mnVideo } from '../support/cli.ts'
import { type Rendering, renderClip } from '../support/render.ts'
import { makeRun, SMALL_MOBILENET, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()
const run = join(folder, 'run')
const clip = join(folder, 'clips/val/red/0.mp4')
const timeout = 120_000

/** What tells the classes apart: a blue half or a red one. */
const CLASSES: Readonly<Record<string, string>> = {
  blue: 'drawbox=w=iw/2:color=blue:t=fill',
  red: 'drawbox=w=iw/2:color=red:t=fill',
}
/** Frame rates, shapes and lengths that data sets mix; the last is shorter than a clip. */
const SHAPES: readonly Rendering[] = [
  { size: '96x64', seconds: 1 },
  { size: '64x96', seconds: 0.8, fps: 25 },
  { size: '80x80', seconds: 1.2, fps: '30000/1001' },
  { size: '100x60', seconds: 0.2, fps: 24 },
]

/** Noise makes every clip and every frame its own. */
const noisy = (shape: Rendering, filters: string, seed: number): Rendering => ({
  ...shape,
  filters: `${filters},noise=alls=60:allf=t:all_seed=${seed}`,
})

const NARROW = { width: 0.63, frames: 3, size: 24 } as const
const WIDE = { width: 1, frames: 4, size: 32 } as const

beforeAll(async () => {
  const rendered: Promise<string>[] = []
  for (const [name, filters] of Object.entries(CLASSES)) {
    for (const split of ['train', 'val']) await mkdir(join(folder, 'clips', split, name), { recursive: true })
    for (const [i, shape] of SHAPES.entries()) {
      const split = (part: string) => join(folder, 'clips', part, name, `${i}.mp4`)
      rendered.push(renderClip(split('val'), noisy(shape, filters, i)))
      if (i < 2) rendered.push(renderClip(split('train'), noisy(shape, filters, 10 + i)))
    }
  }
  await Promise.all(rendered)
  await makeRun(
    run,
    `${SMALL_X3D.replace('num_classes: 5', 'num_classes: 2')}dataset: folder
dataset_dir: ${join(folder, 'clips')}
short_side: 36
train_short_side: [36, 40]
zero_init_final_bn: false
width_mult_list: [1.0, 0.63]
frames_list: [4, 3]
resolution_list: [32, 24]
batch_size: 4
calibration_batches: 1
`,
  )
  const tested = await mnVideo(['test', run])
  expect(tested).toMatchObject({ code: 0, stderr: '' })
}, timeout)

const exactly = ({ width, frames, size }: Configuration) => [
  ...['--width', `${width}`, '--frames', `${frames}`, '--size', `${size}`],
]

const readTable = async (): Promise<QueryTable> =>
  parseQueryTable(await readFile(join(run, 'query-table.json'), 'utf8'), 'query-table.json')

const isOf =
  ({ width, frames, size }: Configuration) =>
  (one: Configuration): boolean =>
    one.width === width && one.frames === frames && one.size === size

const entryOf = async (configuration: Configuration): Promise<TableEntry> =>
  (await readTable()).entries.find(isOf(configuration))!

interface Answer {
  readonly file: string
  readonly top: readonly { readonly index: number; readonly score: number }[]
}

const evaluated = (configuration: Configuration) =>
  mnVideo(['eval', '--model', run, ...exactly(configuration), '--clip', clip])

/** Does what `eval` says when it refuses a configuration. */
async function calibrateAsTold(configuration: Configuration): Promise<void> {
  const refused = await evaluated(configuration)
  const command = /mn-video (test \S+ .*)/.exec(refused.stderr)![1]!
  expect(await mnVideo(command.split(' '))).toMatchObject({ code: 0, stderr: '' })
}

/** Compares the sweep's answers with what `eval` says of the same files, and gives the top-1 of both. */
async function expectSameAnswers(configuration: Configuration, views = '1x1'): Promise<number> {
  const isAsked = (result: SweepResult) =>
    isOf(configuration)(result) && result.views === views && !result.precision
  const [result] = await readSweep(run, isAsked)
  const swept = await readPredictions(run, result!, views)
  expect(swept).toHaveLength(8)
  // A network that answers every clip alike would prove nothing.
  expect(new Set(swept.map(({ scores }) => scores[0])).size).toBe(8)
  const files = swept.map(({ sample }) => sample)
  const { stdout, stderr } = await mnVideo([
    ...['eval', '--model', run, '--json', ...exactly(configuration), '--views', views],
    ...['--clip', ...files],
  ])
  expect(stderr).toBe('')
  const answers = JSON.parse(stdout) as Answer[]
  expect(answers.map(({ file }) => file)).toEqual(files)
  let right = 0
  for (const [i, { top }] of answers.entries()) {
    const { label, classes, scores } = swept[i]!
    // Kept with six digits.
    for (const [place, index] of classes.entries()) {
      const score = top.find((one) => one.index === index)!.score
      expect(Math.abs(score - scores[place]!), files[i]).toBeLessThan(2e-6)
    }
    expect(top[0]!.index).toBe(classes[0])
    if (top[0]!.index === label) right++
  }
  return right / answers.length
}

describe('what a sweep measured', () => {
  it.each([NARROW, WIDE])('is what eval answers, clip by clip, at %j', { timeout }, async (configuration) => {
    // Off the frontier `eval` refuses it, and names the command that makes it usable, for good.
    if (!(await entryOf(configuration)).statistics) {
      await calibrateAsTold(configuration)
      await mnVideo(['test', run])
    }
    expect((await entryOf(configuration)).top1).toBe(await expectSameAnswers(configuration))
  })

  it('is what eval answers with several views of a video', { timeout }, async () => {
    const { width, frames, size } = NARROW
    const before = await readTable()
    const { stdout } = await mnVideo([
      ...['test', run, '--json', '--views', '2x3', '--widths', `${width}`],
      ...['--frames', `${frames}`, '--sizes', `${size}`],
    ])
    const { results } = JSON.parse(stdout) as Tested
    expect(results.find(isOf(NARROW))).toMatchObject({ top1: await expectSameAnswers(NARROW, '2x3') })
    // Accuracies of several numbers of views do not compare, so one such result has no place in the table.
    expect(before.views).toBe('1x1')
    expect(await readTable()).toEqual(before)
    const { stdout: again } = await mnVideo([
      ...['test', run, '--views', '2x3', '--widths', `${width}`],
      ...['--frames', `${frames}`, '--sizes', `${size}`],
    ])
    expect(again).toContain(
      'The query table stays the one of 1x1 views. To use this configuration, test it with --views 1x1; to make a table of 2x3 views, test several.\n',
    )
  })

  it.skipIf(nativeUnavailable())('is kept apart for each precision', { timeout }, async () => {
    const before = await readTable()
    const args = [
      ...['test', run, '--precision', 'bf16', '--widths', `${NARROW.width}`],
      ...['--frames', `${NARROW.frames}`, '--sizes', `${NARROW.size}`],
    ]
    const { stdout, stderr } = await mnVideo([...args, '--json'])
    expect(stderr).toBe('')
    const { results } = JSON.parse(stdout) as Tested
    expect(results.map(({ precision, samples }) => ({ precision, samples }))).toEqual([
      { precision: 'bf16', samples: 8 },
    ])
    expect(await readTable()).toEqual(before)
    expect((await mnVideo(args)).stdout).toContain(
      'The query table stays the one of 1x1 views. To use this configuration, test it with --precision float32; to make a table of 1x1 views in bf16, test several.\n',
    )
    const evaluated = await mnVideo([
      ...['eval', '--model', run, ...exactly(NARROW), '--clip', clip, '--precision', 'bf16', '--json'],
    ])
    expect(JSON.parse(evaluated.stdout)).toMatchObject([{ engine: expect.stringContaining(', bf16') }])
  })

  it('makes a table of its own number of views', { timeout }, async () => {
    await mnVideo(['test', run, '--views', '2', '--widths', '1', '--frames', '4,3', '--sizes', '24'])
    const { views, entries } = await readTable()
    expect(views).toBe('2x1')
    expect(entries.map(({ width, frames, size }) => ({ width, frames, size }))).toEqual([
      { width: 1, frames: 3, size: 24 },
      { width: 1, frames: 4, size: 24 },
      // The full network stays, though its accuracy with other views does not.
      WIDE,
    ])
    expect(entries.map(({ top1, statistics }) => [top1 !== undefined, statistics !== undefined])).toEqual([
      [true, expect.any(Boolean)],
      [true, expect.any(Boolean)],
      [false, true],
    ])
  })

  it('is kept of a configuration that eval says how to calibrate, in a table of other views', {
    timeout,
  }, async () => {
    const configuration = { width: 0.7, frames: 2, size: 24 }
    await calibrateAsTold(configuration)
    const { code, stdout, stderr } = await evaluated(configuration)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^chosen .* % top-1 \([\d.]+–[\d.]+\) on validation with 2x1 views$/m)
  })

  it('is kept when the test is interrupted, and the same command goes on', { timeout }, async () => {
    const args = ['test', run, '--views', '3x1', '--sizes', '32']
    const child = spawn(process.execPath, [MAIN, ...args])
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
      // Once: a second one ends the program where it is.
      if (!child.killed && output.includes(' validation samples')) child.kill('SIGINT')
    })
    expect(await once(child, 'exit')).toEqual([130, null])
    expect(output).toContain(`go on with:\n  mn-video ${args.join(' ')}\n`)
  })

  it.each(['start', 'progress'] as const)(
    'is left to its signal at its %s: `cancelled`',
    { timeout },
    async (event) => {
      const controller = new AbortController()
      const testing = testRun(run, {
        ...{ views: '2x3', widths: [0.7], sizes: [24], signal: controller.signal },
        onEvent: (happened) => {
          if (happened.event === event) controller.abort()
        },
      })
      await expect(testing).rejects.toMatchObject({ name: 'MnVideoError', code: 'cancelled' })
    },
  )

  it('has one view where it is of images', async () => {
    const images = join(folder, 'images')
    await makeRun(images, SMALL_MOBILENET)
    await expect(testRun(images, { views: '10x3' })).rejects.toThrow('--views is for videos')
  })

  it('keeps statistics in half precision, as they were evaluated', async () => {
    const file = join(run, (await readTable()).entries.find(({ statistics }) => statistics)!.statistics!)
    const { tensors } = await readSafetensors(file)
    expect(new Set([...tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(['F16']))
  })
})
