/** What a process leaves that was killed, and how the next one goes on from there. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, watch } from 'node:fs'
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { readSafetensors } from '../../src/checkpoints/safetensors.ts'
import { thisProcess } from '../../src/files/owner.ts'
import { MAIN, mnVideo } from '../support/cli.ts'
import { renderClip } from '../support/render.ts'
import { writeSmallCifar } from '../support/small-cifar.ts'
import { temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()
const config = join(folder, 'small.yml')
const timeout = 120_000

const { pid, place } = thisProcess()
/** As a process leaves it that ran here before. */
const unfinished = (name: string) => `.${name}.${pid}-1-${place}-0123456789ab.tmp`
const DEAD = JSON.stringify({ pid, started: '1', place, host: 'here', id: 'a-1' })

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
resolution_list: [32]
num_epochs: 3
batch_size: 40
lr: 0.05
calibration_batches: 2
keep_checkpoints: 1
validate_every: 1
`,
  )
})

/** Runs the program and kills it as soon as what it has done to a folder is enough. */
async function killWhen(args: readonly string[], folder: string, isEnough: (files: string[]) => boolean) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: 'ignore' })
  const ended = once(child, 'exit')
  const look = async () => {
    const files = await readdir(folder, { recursive: true }).catch(() => [])
    if (isEnough(files)) child.kill('SIGKILL')
  }
  const timer = setInterval(look, 5)
  const watcher = watch(folder, { recursive: false }, look)
  await ended
  clearInterval(timer)
  watcher.close()
  return child.signalCode
}

const validationsIn = async (run: string) => {
  const lines = (await readFile(join(run, 'log.jsonl'), 'utf8')).trim().split('\n')
  return lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'validation')
}
const progressOf = async (run: string, step: number) => {
  const { metadata } = await readSafetensors(
    join(run, `checkpoint-${String(step).padStart(6, '0')}.safetensors`),
  )
  return JSON.parse(metadata.progress!)
}

describe('a start that was killed', () => {
  it('before its configuration had its name is made again by train, --resume, init and import', {
    timeout,
  }, async () => {
    for (const [name, ...args] of [
      ['train', 'train', config],
      ['resume', 'train', config, '--resume'],
      ['init', 'init', config],
    ] as const) {
      const run = join(folder, `started-${name}`)
      await mkdir(run)
      await writeFile(join(run, '.training'), DEAD)
      await writeFile(join(run, unfinished('config.yml')), 'model: wide')
      const { code, stderr } = await mnVideo([...args, '--out', run, '--set', 'num_epochs=1'])
      expect(stderr).toBe('')
      expect(code, name).toBe(0)
      expect((await readdir(run)).filter((file) => file.startsWith('.'))).toEqual([])
    }
  })

  it('before the run was whole is made again, and nobody else’s files are touched', { timeout }, async () => {
    const run = join(folder, 'half')
    await mkdir(join(run, 'bn'), { recursive: true })
    await writeFile(join(run, '.training'), DEAD)
    for (const file of ['config.yml', 'model.safetensors', join('bn', unfinished('1-4-32.safetensors'))])
      await writeFile(join(run, file), 'half')
    expect((await mnVideo(['init', config, '--out', run])).code).toBe(0)
    expect((await readdir(run)).sort()).toEqual(['config.yml', 'model.safetensors', 'query-table.json'])

    for (const other of ['model.safetensors', 'notes.txt']) {
      const theirs = join(folder, `theirs-${other}`)
      await mkdir(theirs)
      await writeFile(join(theirs, other), 'theirs')
      const { code, stderr } = await mnVideo(['init', config, '--out', theirs])
      expect(code).toBe(1)
      expect(stderr).toBe(
        `mn-video: ${theirs}: already has files. Give --out a folder that is new or empty.\n`,
      )
      expect(await readdir(theirs)).toEqual([other])
    }
  })

  it('before its first checkpoint is begun again, with --resume and without', { timeout }, async () => {
    for (const more of [[], ['--resume']]) {
      const run = join(folder, `begun${more.join('')}`)
      await mkdir(run)
      const args = ['train', config, '--out', run]
      expect(await killWhen(args, run, () => hasLog(run))).toBe('SIGKILL')
      const again = await mnVideo([...args, ...more])
      const isSaved = again.stderr.includes('has a run with checkpoints. Give --resume')
      if (!isSaved) expect(again.stdout).toContain('Done after 9 steps')
      expect((await readdir(run)).includes('.training')).toBe(isSaved)
    }
  })
})

/** Whether a run has steps in its log. */
function hasLog(run: string): boolean {
  try {
    return readFileSync(join(run, 'log.jsonl'), 'utf8').includes('"step"')
  } catch {
    return false
  }
}

describe('a validation', () => {
  const whole = () => join(folder, 'whole')
  beforeAll(async () => {
    expect((await mnVideo(['train', config, '--out', whole()])).code).toBe(0)
  }, timeout)

  it('that is done is in the checkpoint of its step, and the best one is kept', async () => {
    const steps = (await readdir(whole())).flatMap((file) => /^checkpoint-0*(\d+)/.exec(file)?.[1] ?? [])
    const progress = await progressOf(whole(), 9)
    expect(progress.validated).toBe(9)
    const validations = await validationsIn(whole())
    const means = [3, 6, 9].map((step) => {
      const all = validations.filter((each) => each.step === step)
      return {
        step,
        top1: all.reduce((sum: number, { top1 }: { top1: number }) => sum + top1, 0) / all.length,
      }
    })
    const best = means.reduce((a, b) => (b.top1 > a.top1 ? b : a))
    expect(progress.best).toEqual(best)
    expect(steps.map(Number)).toEqual([...new Set([best.step, 9])].sort((a, b) => a - b))
  })

  it('that was killed is done when the run goes on, and everything is as if it had not been', {
    timeout,
  }, async () => {
    const run = join(folder, 'killed-validation')
    const hasCheckpoint = (files: string[]) => files.includes('checkpoint-000003.safetensors')
    await mkdir(run)
    expect(await killWhen(['train', config, '--out', run], run, hasCheckpoint)).toBe('SIGKILL')
    const { stdout } = await mnVideo(['train', config, '--out', run, '--resume'])
    expect(stdout).toContain('resumed after step 3')
    expect(new Set((await validationsIn(run)).map(({ step }) => step))).toEqual(new Set([3, 6, 9]))
    for (const file of ['model.safetensors', 'query-table.json'])
      expect((await readFile(join(run, file))).equals(await readFile(join(whole(), file))), file).toBe(true)
    expect((await progressOf(run, 9)).best).toEqual((await progressOf(whole(), 9)).best)
    expect((await readdir(run)).sort()).toEqual((await readdir(whole())).sort())
  })

  it('leaves no file that another was killed at', { timeout }, async () => {
    const run = join(folder, 'earlier')
    await cp(whole(), run, { recursive: true })
    for (const file of ['model.safetensors', 'query-table.json', 'bn'])
      await writeFile(join(run, unfinished(file)), 'half')
    expect((await mnVideo(['train', config, '--out', run, '--resume'])).code).toBe(0)
    expect((await readdir(run)).sort()).toEqual((await readdir(whole())).sort())
  })
})

describe('data commands that were killed', () => {
  it('resize: what was half-written goes when it runs again', { timeout }, async () => {
    const videos = join(folder, 'videos')
    const out = join(folder, 'smaller')
    await mkdir(videos)
    for (const name of ['a', 'b', 'c'])
      await renderClip(join(videos, `${name}.mp4`), { seconds: 3, size: '640x384' })
    await mkdir(out)
    const args = ['data', 'resize', videos, '--out', out, '--short-side', '128', '--jobs', '1']
    const isWriting = (files: string[]) =>
      files.some((file) => file.endsWith('.tmp')) && files.includes('a.mp4')
    expect(await killWhen(args, out, isWriting)).toBe('SIGKILL')
    expect((await readdir(out)).some((file) => file.endsWith('.tmp'))).toBe(true)
    const { code, stdout } = await mnVideo(args)
    expect(code).toBe(0)
    expect(stdout).toContain('3 of 3 videos')
    expect((await readdir(out)).sort()).toEqual(['a.mp4', 'b.mp4', 'c.mp4'])
  })

  it('make-motion: neither its workplace nor the lists of before stay', { timeout }, async () => {
    const out = join(folder, 'motion')
    await mkdir(out)
    const args = ['data', 'make-motion', '--out', out, '--clips', '160', '--validation', '8', '--frames', '8']
    await writeFile(join(out, 'train.csv'), 'of another set 0\n')
    expect(await killWhen(args, out, (files) => files.some((file) => file.endsWith('0001.mp4')))).toBe(
      'SIGKILL',
    )
    expect((await readdir(out)).some((file) => file.endsWith('.tmp'))).toBe(true)
    expect(await readdir(out)).not.toContain('train.csv')
    expect((await mnVideo(args)).code).toBe(0)
    expect((await readdir(out)).sort()).toEqual(['classes.txt', 'train', 'train.csv', 'val', 'val.csv'])
  })
})
