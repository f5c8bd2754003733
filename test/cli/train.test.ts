import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { testRun } from '../../src/evaluation/test-run.ts'
import { MAIN, mnVideo } from '../support/cli.ts'
import { renderClip } from '../support/render.ts'
import { writeSmallCifar } from '../support/small-cifar.ts'
import { temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()
const config = join(folder, 'small.yml')
const timeout = 120_000

beforeAll(async () => {
  await writeSmallCifar(join(folder, 'cifar'))
  await writeFile(
    config,
    `model: wideresnet
dataset: cifar10
dataset_dir: ${join(folder, 'cifar')}
depth: 10
widen_factor: 1
width_mult_range: [0.5, 1.0]
width_mult_list: [0.5, 1.0]
resolution_list: [32, 24]
num_epochs: 5
batch_size: 20
lr: 0.05
calibration_batches: 2
print_freq: 4
`,
  )
})

interface Step {
  readonly event: string
  readonly step: number
  readonly losses: Record<string, number>
  readonly gradientNorm: number
}

/** The steps in a run's log, the later one where a step was taken twice. */
async function stepsOf(run: string): Promise<Step[]> {
  const lines = (await readFile(join(run, 'log.jsonl'), 'utf8')).trim().split('\n')
  const steps = lines.map((line) => JSON.parse(line) as Step).filter(({ event }) => event === 'step')
  return [...new Map(steps.map((step) => [step.step, step])).values()].sort((a, b) => a.step - b.step)
}

const lossesOf = async (run: string) =>
  (await stepsOf(run)).map(({ step, losses, gradientNorm }) => ({ step, losses, gradientNorm }))

/** Starts training and sends a signal as soon as the log has so many steps. */
async function trainUntil(run: string, steps: number, signal: NodeJS.Signals, more: readonly string[] = []) {
  const child = spawn(process.execPath, [MAIN, 'train', config, '--out', run, ...more], { stdio: 'pipe' })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    output += chunk
  })
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  let isSent = false
  const watch = setInterval(async () => {
    const log = await readFile(join(run, 'log.jsonl'), 'utf8').catch(() => '')
    if (isSent || log.split('"event":"step"').length <= steps) return
    isSent = true
    clearInterval(watch)
    child.kill(signal)
  }, 20)
  const [code] = await ended
  clearInterval(watch)
  return { code, output }
}

describe('mn-video train', () => {
  const whole = join(folder, 'whole')

  it('trains one network for every budget, into a run that can be tested and used', { timeout }, async () => {
    const { code, stdout, stderr } = await mnVideo(['train', config, '--out', whole, '--tensorboard'])
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(stdout).toContain('WRN-10-1, method mutualnet')
    expect(stdout).toMatch(/step 30\/30 {2}epoch 5\.00 {2}loss full [\d.]+, narrowest [\d.]+, random_1/)
    expect(stdout).toContain(`mn-video test ${whole}`)
    const table = JSON.parse(await readFile(join(whole, 'query-table.json'), 'utf8'))
    expect(table.entries.map(({ width, size }: { width: number; size: number }) => [width, size])).toEqual([
      [0.5, 24],
      [0.5, 32],
      [1, 32],
    ])
    // Ten classes: guessing is right in one of ten. Thirty steps are too few for the narrowest.
    expect(table.entries[2].top1).toBeGreaterThan(0.5)
    expect((await readdir(whole)).sort()).toEqual([
      'bn',
      'checkpoint-000018.safetensors',
      'checkpoint-000024.safetensors',
      'checkpoint-000030.safetensors',
      'config.yml',
      'log.jsonl',
      'model.safetensors',
      'query-table.json',
      'tensorboard',
    ])
  })

  it('goes on after SIGINT and after kill -9 exactly as if nothing had happened', { timeout }, async () => {
    const run = join(folder, 'interrupted')
    const stopped = await trainUntil(run, 8, 'SIGINT')
    expect(stopped.output).toContain(`mn-video train ${run}/config.yml --resume`)
    expect(stopped.code).toBe(130)
    const killed = await trainUntil(run, 15, 'SIGKILL', ['--resume'])
    expect(killed.code).toBeNull()
    const { code, stdout } = await mnVideo(['train', join(run, 'config.yml'), '--resume'])
    expect(stdout).toMatch(/resumed after step 1\d/)
    expect(code).toBe(0)
    expect(await lossesOf(run)).toEqual(await lossesOf(whole))
    const model = (path: string) => readFile(join(path, 'model.safetensors'))
    expect((await model(run)).equals(await model(whole))).toBe(true)
  })

  it('refuses to train over another run, or to resume under another configuration', { timeout }, async () => {
    const over = await mnVideo(['train', config, '--out', whole])
    expect(over.code).toBe(1)
    expect(over.stderr).toContain('has a run with checkpoints. Give --resume')
    const other = await mnVideo(['train', config, '--out', whole, '--resume', '--set', 'lr=0.2'])
    expect(other.code).toBe(1)
    expect(other.stderr).toContain('was started with another configuration: lr (0.05 there, 0.2 now)')
  })

  it('logs what data it had, and warns where a resumed run is given other data', { timeout }, async () => {
    const eventsOf = async (run: string, kind: string) => {
      const lines = (await readFile(join(run, 'log.jsonl'), 'utf8')).trim().split('\n')
      return lines.map((line) => JSON.parse(line)).filter(({ event }) => event === kind)
    }
    const [{ data }] = await eventsOf(whole, 'start')
    expect(data.train).toEqual({
      origin: join(folder, 'cifar'),
      files: 120,
      classes: 10,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      sizes: { '32x32': 120 },
    })
    expect(data.val.sha256).not.toBe(data.train.sha256)
    const run = join(folder, 'other-data')
    await cp(whole, run, { recursive: true })
    const resume = (path: string) =>
      mnVideo(['train', join(run, 'config.yml'), '--resume', '--set', `dataset_dir=${path}`])
    // The same bytes elsewhere are the same data.
    await cp(join(folder, 'cifar'), join(folder, 'moved'), { recursive: true })
    expect((await resume(join(folder, 'moved'))).stdout).not.toContain('warning')
    const other = await writeSmallCifar(join(folder, 'other'), 100)
    const { code, stdout } = await resume(other)
    expect(code).toBe(0)
    expect(stdout).toContain(
      `warning: ${other}: these are not the training data that the run had before (120 samples, sha256 ${data.train.sha256.slice(0, 16)}…; now 100 samples, sha256 `,
    )
    expect(await eventsOf(run, 'data-changed')).toMatchObject([
      { split: 'train', before: { files: 120 }, now: { files: 100, origin: other } },
      { split: 'val' },
    ])
  })

  it('does what is left when all steps are done and only the last validation was interrupted', {
    timeout,
  }, async () => {
    const run = join(folder, 'unvalidated')
    await cp(whole, run, { recursive: true })
    for (const file of ['model.safetensors', 'query-table.json']) await rm(join(run, file))
    const { stdout } = await mnVideo(['train', join(run, 'config.yml'), '--resume'])
    expect(stdout).toContain('Done after 30 steps')
    for (const file of ['model.safetensors', 'query-table.json']) {
      expect((await readFile(join(run, file))).equals(await readFile(join(whole, file))), file).toBe(true)
    }
  })

  it('stops at a loss that is no number, naming step, rate and sub-network', { timeout }, async () => {
    const run = join(folder, 'diverged')
    const { code, stderr } = await mnVideo(['train', config, '--out', run, '--set', 'lr=1e30'])
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /step \d+: the (gradient|loss of sub-network \w+ \([\d.-]+: width-frames-size\)) is not a finite number, at learning rate [\d.]+e\+\d+/,
    )
    expect(stderr).toContain('clip_gradient')
  })

  it('tells time and memory in a dry run, and writes nothing', { timeout }, async () => {
    const run = join(folder, 'dry')
    const { code, stdout } = await mnVideo(['train', config, '--out', run, '--dry-run'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/memory +[\d.]+ GiB for a step's values/)
    expect(stdout).toContain('30 steps (6 an epoch)')
    await expect(readdir(run)).rejects.toThrow('ENOENT')
  })

  it('refuses a batch that this machine cannot hold, with one that fits', { timeout }, async () => {
    const args = ['train', 'x3d', '--dry-run', '--set', 'dataset_dir=.', '--set', 'batch_size=1024']
    const list = join(folder, 'list.csv')
    await writeFile(list, `${config} 0\n`)
    const { code, stderr } = await mnVideo([
      ...args,
      '--set',
      `train_list=${list}`,
      '--set',
      `val_list=${list}`,
    ])
    expect(code).toBe(1)
    expect(stderr).toMatch(/batch_size 1024 of X3D-M needs about [\d.]+ GiB; this machine has [\d.]+\./)
    expect(stderr).toMatch(/Give batch_size: \d+ and accumulate: \d+/)
  })

  it('says what happened when the data set goes away, and keeps the checkpoint', { timeout }, async () => {
    const data = join(folder, 'pictures')
    for (const split of ['train', 'val']) {
      for (const name of ['a', 'b']) {
        await mkdir(join(data, split, name), { recursive: true })
        for (let i = 0; i < 20; i++) {
          const background = name === 'a' ? '#a00' : '#0a0'
          const picture = sharp({ create: { width: 40, height: 40, channels: 3, background } })
          await picture.png().toFile(join(data, split, name, `${i}.png`))
        }
      }
    }
    const broken = join(data, 'train', 'a', 'broken.png')
    await writeFile(broken, 'no picture')
    const pictures = join(folder, 'pictures.yml')
    await writeFile(
      pictures,
      `model: mobilenet_v1\ndataset: folder\ndataset_dir: ${data}\nnum_classes: 2\nimage_size: 32\n` +
        'num_epochs: 200\nbatch_size: 8\nvalidate_every: 0\nprint_freq: 1\n',
    )
    const run = join(folder, 'gone')
    const training = mnVideo(['train', pictures, '--out', run])
    const moved = (async () => {
      for (;;) {
        const files = await readdir(run).catch(() => [])
        if (files.some((file) => file.startsWith('checkpoint'))) return rm(data, { recursive: true })
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    })()
    const { code, stderr } = await training
    await moved
    expect(code).toBe(1)
    expect(stderr).toContain(data)
    expect(stderr).toContain('--resume')
    expect((await readdir(run)).filter((file) => file.endsWith('.tmp'))).toEqual([])
    const log = (await readFile(join(run, 'log.jsonl'), 'utf8')).trim().split('\n')
    const bad = log.map((line) => JSON.parse(line)).find(({ event }) => event === 'bad-file')
    expect(bad).toMatchObject({ file: broken, reason: expect.stringContaining('is not an image') })
  })

  it('trains the baselines alike', { timeout }, async () => {
    for (const [method, networks] of [
      ['us_net', 'full, narrowest, random_1, random_2'],
      ['independent', 'full'],
    ] as const) {
      const run = join(folder, method)
      const set = [
        '--set',
        `method=${method}`,
        '--set',
        'num_epochs=1',
        '--set',
        'ema=0.9',
        '--set',
        'accumulate=2',
      ]
      const { code } = await mnVideo(['train', config, '--out', run, ...set])
      expect(code).toBe(0)
      const steps = await stepsOf(run)
      expect(steps).toHaveLength(3)
      expect(Object.keys(steps[0]!.losses).join(', ')).toBe(networks)
    }
  })

  it('trains on the fallback engine with the same losses', { timeout }, async () => {
    const run = join(folder, 'tfjs')
    const data = await writeSmallCifar(join(folder, 'tiny'), 20)
    const set = ['--set', 'num_epochs=1', '--set', 'batch_size=10', '--set', `dataset_dir=${data}`]
    const small = [...set, '--set', 'lr=0.05', '--set', 'resolution_list=[32, 16]']
    const wasm = await mnVideo(['train', config, '--out', run, '--engine', 'tfjs', ...small])
    expect(wasm.stderr).toBe('')
    expect(wasm.code).toBe(0)
    const native = await mnVideo(['train', config, '--out', `${run}-native`, ...small])
    expect(native.code).toBe(0)
    const [a, b] = [await stepsOf(run), await stepsOf(`${run}-native`)]
    for (const [i, { losses }] of a.entries()) {
      for (const [name, loss] of Object.entries(losses)) expect(loss).toBeCloseTo(b[i]!.losses[name]!, 3)
    }
  })
})

describe('mn-video test', () => {
  const run = join(folder, 'tested')

  beforeAll(async () => {
    await cp(join(folder, 'whole'), run, { recursive: true })
  })

  it('evaluates every configuration, and goes on where it stopped', { timeout }, async () => {
    const part = await mnVideo(['test', run, '--sizes', '32', '--json'])
    expect(part.code).toBe(0)
    expect(JSON.parse(part.stdout).results).toHaveLength(2)
    const rest = await mnVideo(['test', run])
    expect(rest.stdout).toContain('4 configurations, 120 validation samples; 2 are done already')
    expect(rest.code).toBe(0)
    const sweep = (await readFile(join(run, 'sweep.jsonl'), 'utf8')).trim().split('\n')
    expect(sweep).toHaveLength(4)
    const table = JSON.parse(await readFile(join(run, 'query-table.json'), 'utf8'))
    expect(table.entries).toHaveLength(4)
    const withStatistics = table.entries.filter(({ statistics }: { statistics?: string }) => statistics)
    expect((await readdir(join(run, 'bn'))).map((file) => `bn/${file}`).sort()).toEqual(
      withStatistics.map(({ statistics }: { statistics: string }) => statistics).sort(),
    )
    expect(await readdir(join(run, 'predictions'))).toHaveLength(4)
  })

  it('names a run that is not there', { timeout }, async () => {
    const { code, stderr } = await mnVideo(['test', 'runs/none'])
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr:
        'mn-video: runs/none: there is no such run. Give the folder of one, or the configuration that it was trained with.\n',
    })
  })

  it('refuses widths that the run was not trained in, and more frames than it has', {
    timeout,
  }, async () => {
    const { code, stderr } = await mnVideo(['test', run, '--widths', '0.3'])
    expect(code).toBe(2)
    expect(stderr).toContain('width 0.3 is outside the range')
    await expect(testRun(run, { frames: [1, 99] })).rejects.toThrow('frames 99 is more than a clip of')
  })
})

describe('training a video network of one frame', () => {
  it('ends with the command for videos', { timeout }, async () => {
    await mkdir(join(folder, 'one'), { recursive: true })
    for (const name of ['a', 'b']) await renderClip(join(folder, 'one', `${name}.mp4`), { size: '64x48' })
    for (const list of ['train', 'val']) {
      await writeFile(join(folder, 'one', `${list}.csv`), 'a.mp4 0\nb.mp4 1\n')
    }
    const file = join(folder, 'one.yml')
    await writeFile(
      file,
      `model: x3d\ndepth_factor: 0.1\nwidth_factor: 1\nhead_features: 16\nframes: 1\nimage_size: 32\nnum_classes: 2\ndataset_dir: ${join(folder, 'one')}\nnum_epochs: 1\nbatch_size: 2\nwidth_mult_list: [1]\ncalibration_batches: 1\n`,
    )
    const { code, stdout } = await mnVideo(['train', file, '--out', join(folder, 'one-run')])
    expect([code, stdout]).toEqual([0, expect.stringContaining('mn-video eval --clip video.mp4')])
  })
})
