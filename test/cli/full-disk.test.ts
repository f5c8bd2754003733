/** Training where there is no room: a limit on files, and a disk of a megabyte and a half (mounted where root may). */
import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readLog } from '../../src/runs/log.ts'
import { MAIN, mnVideo } from '../support/cli.ts'
import { writeSmallCifar } from '../support/small-cifar.ts'
import { temporaryFolder } from '../support/small-run.ts'

const execute = promisify(execFile)
const folder = await temporaryFolder()
const config = join(folder, 'small.yml')
const disk = join(folder, 'disk')
const timeout = 60_000

/** A checkpoint of this network has 628 kB: the disk has room for two. */
const text = `model: wideresnet
dataset: cifar10
dataset_dir: ${join(folder, 'cifar')}
depth: 10
widen_factor: 1
width_mult_range: [0.5, 1.0]
width_mult_list: [0.5, 1.0]
resolution_list: [32]
num_epochs: 3
batch_size: 5
lr: 0.05
calibration_batches: 1
validate_every: 0
`

const isMounted = await mount('size=1500k')
afterAll(async () => {
  if (isMounted) await execute('umount', [disk])
})

async function mount(options: string): Promise<boolean> {
  await mkdir(disk, { recursive: true })
  return execute('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', disk]).then(
    () => true,
    () => false,
  )
}

beforeAll(async () => {
  await writeSmallCifar(join(folder, 'cifar'), 15)
  await writeFile(config, text)
})

const checkpointsOf = async (run: string) =>
  (await readdir(run)).filter((name) => name.startsWith('checkpoint')).sort()
const everythingIn = async (run: string) => (await readdir(run)).sort()

describe('training without room for a checkpoint', () => {
  it('names the file and the reason, and keeps the checkpoint before', { timeout }, async () => {
    const run = join(folder, 'limited')
    const longer = ['--set', 'num_epochs=50']
    const child = spawn(process.execPath, [MAIN, 'train', config, '--out', run, ...longer], {
      stdio: 'ignore',
    })
    const ended = once(child, 'exit')
    while ((await checkpointsOf(run).catch(() => [])).length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    child.kill('SIGKILL')
    await ended
    const before = await checkpointsOf(run)
    // What a process leaves that is killed while it writes.
    await writeFile(join(run, `.checkpoint-000099.safetensors.${randomUUID()}.tmp`), 'half')
    // In blocks of 512 bytes, or in some shells of 1024: enough for the log, too little for a checkpoint.
    const limited = await mnVideo(['train', config, '--out', run, '--resume', ...longer], { fileBlocks: 600 })
    expect(limited.stdout).toContain('resumed after step')
    expect(limited.code).toBe(1)
    expect(limited.stderr).toMatch(
      /^The checkpoint of step \d+ is whole; go on from it with:\n {2}mn-video train \S+ --resume\nmn-video: \S+checkpoint-\d+\.safetensors: cannot be written: it would be larger than a file may be \(ulimit -f\)\.\n$/,
    )
    expect(await everythingIn(run)).toEqual([...before, 'config.yml', 'log.jsonl'])
  })

  it.skipIf(!isMounted)('goes on once a full disk has room again', { timeout }, async () => {
    const run = join(disk, 'run')
    const full = await mnVideo(['train', config, '--out', run, '--tensorboard'])
    expect(full.code).toBe(1)
    expect(full.stderr).toBe(
      `The checkpoint of step 6 is whole; go on from it with:\n  mn-video train ${run}/config.yml --resume\n` +
        `mn-video: ${run}/checkpoint-000009.safetensors: cannot be written: the disk is full.\n`,
    )
    const left = [
      'checkpoint-000003.safetensors',
      'checkpoint-000006.safetensors',
      'config.yml',
      'log.jsonl',
      'tensorboard',
    ]
    expect(await everythingIn(run)).toEqual(left)

    // Not a byte free: not even the log can be written.
    const filler = join(disk, 'filler')
    await writeFile(filler, Buffer.alloc(2 ** 22)).catch(() => undefined)
    expect((await stat(filler)).size).toBeGreaterThan(0)
    const stuck = await mnVideo(['train', join(run, 'config.yml'), '--resume'])
    expect(stuck.code).toBe(1)
    expect(stuck.stderr).toMatch(/^mn-video: \S+: cannot be written: the disk is full\.\n$/)
    expect((await everythingIn(run)).filter((name) => name !== '.training')).toEqual(left)

    await rm(filler)
    await execute('mount', ['-o', 'remount,size=8m', disk])
    const resumed = await mnVideo(['train', join(run, 'config.yml'), '--resume'])
    expect(resumed.stdout).toContain('resumed after step 6\n')
    expect(resumed.code).toBe(0)
    const steps = (await readLog(run)).filter(({ event }) => event === 'step').map(({ step }) => step)
    expect(new Set(steps)).toEqual(new Set(Array.from({ length: 9 }, (_, i) => i + 1)))
  })
})
