/**
 * Runs that earlier versions trained and tested, kept in `test/reference/runs` with what they answered: whoever has weights,
 * query tables and checkpoints goes on using them.
 */
import { cpSync, mkdirSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { ENGINES, openEngine } from '../../src/engines/index.ts'
import { resolve } from '../../src/network/resolve.ts'
import { readStatistics } from '../../src/runs/kept-statistics.ts'
import { readRun } from '../../src/runs/run-folder.ts'
import { mnVideo } from '../support/cli.ts'
import { renderClip } from '../support/render.ts'
import { temporaryFolder } from '../support/small-run.ts'

const RUNS = fileURLToPath(new URL('../reference/runs', import.meta.url))

/** The logits that the version which wrote the run gave for `noise`, on the CPU by tfjs's wasm backend. */
const ANSWERS: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>> = {
  first: { '0.63-2-32': [-0.029119156301021576, 0.018044091761112213] },
  '0.1.0': {
    '0.63-2-32': [-0.014589192345738411, 0.0037476029247045517],
    '1-4-32': [-0.07076852768659592, -0.0024514140095561743],
  },
}

const noise = (count: number) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * 0.37) + Math.cos(i * 0.011))

/** Two classes of three videos to train and to validate on. */
let data: string
beforeAll(async () => {
  const folder = await temporaryFolder()
  data = join(folder, 'data')
  const [first, ...others] = ['train', 'val'].flatMap((split) =>
    ['a', 'b'].flatMap((label) => [1, 2, 3].map((number) => join(data, split, label, `${number}.mp4`))),
  )
  mkdirSync(join(first!, '..'), { recursive: true })
  await renderClip(first!, { size: '48x48', seconds: 0.6 })
  for (const file of others) cpSync(first!, file)
})

it('are all looked at', () => {
  expect(readdirSync(RUNS).sort()).toEqual(Object.keys(ANSWERS).sort())
})

describe.each(Object.entries(ANSWERS))('a run of version %s', (version, answers) => {
  const kept = join(RUNS, version)

  it.each(ENGINES)('answers on %s as it did then', async (name) => {
    const run = await readRun(kept)
    const engine = await openEngine(name)
    const given = run.table.entries.filter(({ statistics }) => statistics)
    expect(given).toHaveLength(Object.keys(answers).length)
    for (const entry of given) {
      const { width, frames, size } = entry
      const statistics = await readStatistics(run, entry)
      const plan = await engine.compile(resolve(run.network, entry), run.weights, { statistics })
      const clip = { data: noise(frames * size ** 2 * 3), batch: 1, frames, height: size, width: size }
      const { logits } = await plan.run({ clip })
      answers[`${width}-${frames}-${size}`]!.forEach((answer, k) => {
        expect(logits[k]).toBeCloseTo(answer, 5)
      })
      plan.dispose()
    }
  })

  it('is configured as it was then', async () => {
    const { config } = await readRun(kept)
    expect(config).toMatchObject(
      version === 'first'
        ? {
            weight_decay_on: 'dense',
            channelwise_init: 'taps',
            scaling: 'antialiased',
            zero_init_final_bn: true,
          }
        : { weight_decay_on: 'no_norms', channelwise_init: 'fan_out', ema: 0.9 },
    )
  })

  it('is chosen from, classified with, drawn and gone on with', async () => {
    const folder = join(await temporaryFolder(), 'run')
    cpSync(kept, folder, { recursive: true })
    const clip = join(data, 'val', 'a', '1.mp4')
    const answered = await mnVideo([
      'eval',
      '--clip',
      clip,
      '--model',
      folder,
      '--gflops',
      '0.0004',
      '--json',
    ])
    expect(answered.stderr).toBe('')
    expect(JSON.parse(answered.stdout)).toMatchObject([
      { configuration: { width: 0.63, frames: 2, size: 32 } },
    ])
    const drawn = await mnVideo(['curve', folder])
    expect(drawn).toMatchObject({ code: 0 })

    const config = join(folder, 'config.yml')
    const resumed = await mnVideo([
      ...['train', config, '--out', folder, '--resume', '--set', `dataset_dir=${data}`, '--threads', '1'],
    ])
    expect(resumed).toMatchObject({ code: 0 })
    const log = (await readFile(join(folder, 'log.jsonl'), 'utf8')).trimEnd().split('\n')
    const events = log.map((line) => JSON.parse(line) as { event: string; step?: number })
    const start = events.findLastIndex(({ event }) => event === 'start')
    expect(events[start]).toMatchObject({ step: 2 })
    expect(events.slice(start).filter(({ event }) => event === 'step')).toMatchObject([
      { step: 3 },
      { step: 4 },
    ])
    expect((await readRun(folder)).table.trained).toBe(true)
  })
})
