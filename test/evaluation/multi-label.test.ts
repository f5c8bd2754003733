/** Lists of files with any number of labels, measured as PySlowFast measures Charades. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { applyOverrides } from '../../src/config/index.ts'
import { openTestDatasets } from '../../src/data/sets/dataset.ts'
import { testRun } from '../../src/evaluation/test-run.ts'
import { decodeVideoViews } from '../../src/inference/inputs-of-file.ts'
import { loadModel } from '../../src/inference/model.ts'
import { readRunConfig } from '../../src/runs/run-folder.ts'
import { mnVideo } from '../support/cli.ts'
import { renderClip } from '../support/render.ts'
import { makeRun, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()
const at = (...names: string[]) => join(folder, ...names)
const run = at('run')
/** Two classes that no clip has, a clip that has none. */
const LABELS: Readonly<Record<string, readonly number[]>> = { a: [0, 2], b: [], c: [2], d: [4, 0, 2], e: [4] }
const set = [
  `train_list=${at('train.csv')}`,
  `val_list=${at('val.csv')}`,
  'batch_size=2',
  'calibration_batches=2',
]
const views = { temporal: 3, spatial: 1 } as const
const ONE = { widths: [1], frames: [4], sizes: [32] }

beforeAll(async () => {
  await makeRun(run, SMALL_X3D)
  for (const [i, name] of Object.keys(LABELS).entries()) {
    await renderClip(at(`${name}.mp4`), { size: '64x48', filters: `hue=b=${i - 2}` })
  }
  const lines = Object.entries(LABELS).map(([name, labels]) => `${name}.mp4 ${labels.join(';') || '-'}\n`)
  await writeFile(at('val.csv'), `# any number of labels\n${lines.join('')}`)
  await writeFile(at('train.csv'), lines.join(''))
  await writeFile(at('single.csv'), 'a.mp4 0\nc.mp4 2\ne.mp4 4\n')
}, 60_000)

/** Of each positive the share of positives among all that score as high or higher, averaged. */
function averagePrecision(scores: readonly number[], isPositive: readonly boolean[]): number {
  const positives = scores.filter((_, i) => isPositive[i])
  const precisions = positives.map(
    (score) =>
      positives.filter((other) => other >= score).length / scores.filter((other) => other >= score).length,
  )
  return precisions.reduce((sum, each) => sum + each, 0) / precisions.length
}

describe('a test on lists with any number of labels', { timeout: 120_000 }, () => {
  it('gives the mean average precision of the largest sigmoid of the views', async () => {
    const { results, table } = await testRun(run, { ...ONE, set, views: '3x1' })
    const model = await loadModel(run)
    const entry = model.choose({ width: 1, frames: 4, size: 32 })
    const scores: number[][] = []
    for (const name of Object.keys(LABELS)) {
      const inputs = await decodeVideoViews(at(`${name}.mp4`), model.network, model.config, entry, views)
      const logits: Float32Array[] = []
      for (const input of inputs) logits.push((await model.run(entry, input)).logits)
      scores.push(
        Array.from({ length: 5 }, (_, k) => Math.max(...logits.map((each) => 1 / (1 + Math.exp(-each[k]!))))),
      )
    }
    model.dispose()
    const expected = [0, 2, 4].map((k) =>
      averagePrecision(
        scores.map((each) => each[k]!),
        Object.values(LABELS).map((labels) => labels.includes(k)),
      ),
    )
    const map = expected.reduce((sum, each) => sum + each, 0) / 3
    expect(results).toMatchObject([{ metric: 'mAP', map: expect.closeTo(map, 6), samples: 5, views: '3x1' }])
    expect(results[0]).not.toHaveProperty('top1')
    expect(table).toMatchObject({ metric: 'mAP', entries: expect.arrayContaining([]) })
    expect(
      table!.entries.find(({ width, size, frames }) => width === 1 && size === 32 && frames === 4),
    ).toMatchObject({
      map: expect.closeTo(map, 6),
    })
  })

  it('says so on the command line, and lets a budget choose by it', async () => {
    const tested = await mnVideo([
      'test',
      run,
      ...set.flatMap((each) => ['--set', each]),
      '--widths',
      '1,0.63',
      '--frames',
      '4',
      '--sizes',
      '32',
    ])
    expect(tested).toMatchObject({ code: 0 })
    expect(tested.stdout).toMatch(/width +frames +size +cost +mAP +frontier +latency here/)
    expect(tested.stdout).not.toMatch(/top-1|mn-video curve/)
    const { stdout } = await mnVideo(['eval', '--clip', at('a.mp4'), '--model', run, '--gflops', '1'])
    expect(stdout).toMatch(/chosen .* % mAP on validation/)
    expect(await mnVideo(['curve', run, '--out', at('curve')])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is measured by mean average precision, and curves draw top-1'),
    })
  })

  it('leaves a table of the other metric as it is for one configuration, and does not mix results', async () => {
    const single = [...set, `val_list=${at('single.csv')}`, `train_list=${at('single.csv')}`]
    const { results, table } = await testRun(run, { ...ONE, set: single })
    expect(results).toMatchObject([{ samples: 3, top1: expect.any(Number) }])
    expect(table!.metric).toBe('mAP')
    // A validation list whose files happen to have one label each is of the kind of its training list.
    const config = applyOverrides(await readRunConfig(run), [...set, `val_list=${at('single.csv')}`])
    const { val } = await openTestDatasets(config)
    expect([val.labels?.(0), val.labels?.(2)]).toEqual([[0], [4]])
  })

  it('is what training refers to, which takes one label a file', async () => {
    await writeFile(at('c.yml'), SMALL_X3D)
    const { code, stderr } = await mnVideo([
      'train',
      at('c.yml'),
      '--out',
      at('new'),
      ...set.flatMap((each) => ['--set', each]),
    ])
    expect([code, stderr]).toEqual([1, expect.stringContaining('training learns one of each')])
    expect(await readFile(join(run, 'sweep.jsonl'), 'utf8')).toContain('"metric":"mAP"')
  })
})
