/**
 * SIGKILL at random moments. Training goes on to the very bits of a run that nobody touched; every other command,
 * called again, comes to what it would have come to; and nothing unfinished stays.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { parseSafetensors } from '../../src/checkpoints/safetensors.ts'
import type { Random } from '../../src/network/random.ts'
import { MAIN } from '../support/cli.ts'
import { renderClip } from '../support/render.ts'
import { writeSmallCifar } from '../support/small-cifar.ts'
import { temporaryFolder } from '../support/small-run.ts'
import { randomOf, rounds, tell } from './support.ts'

const folder = await temporaryFolder()
const at = (name: string) => join(folder, name)

interface Ended {
  readonly code: number | null
  readonly killed: boolean
  readonly output: string
  readonly milliseconds: number
}

/** Runs the program, and kills it after some milliseconds if it still runs. */
async function run(args: readonly string[], killAfter?: number): Promise<Ended> {
  const started = performance.now()
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk
    })
  }
  const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter)
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  clearTimeout(timer)
  return { code, killed: signal === 'SIGKILL', output, milliseconds: performance.now() - started }
}

/** What is in a folder, by file: hashes; of checkpoints only of their tensors, because they tell the time. */
async function contentsOf(
  place: string,
  compared: (file: string) => boolean,
): Promise<Record<string, string>> {
  const files = (await stat(place)).isDirectory() ? await readdir(place, { recursive: true }) : ['']
  const contents: Record<string, string> = {}
  for (const file of files.sort()) {
    const path = join(place, file)
    if ((await stat(path)).isDirectory()) continue
    const bytes = await readFile(path)
    const hash = createHash('sha256')
    if (/checkpoint-\d+/.test(file)) {
      for (const [name, { data }] of parseSafetensors(bytes, file).tensors) {
        hash.update(name).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
      }
    } else hash.update(bytes)
    contents[file] = compared(file) ? hash.digest('hex') : 'there'
  }
  return contents
}

/** What a process left that another must take away. */
const unfinishedIn = async (place: string): Promise<string[]> =>
  (await readdir(place, { recursive: true }).catch(() => [])).filter((file) => /(^|\/)\./.test(file))

const RECIPE = `model: wideresnet
dataset: cifar10
dataset_dir: ${at('cifar')}
depth: 10
widen_factor: 1
width_mult_range: [0.5, 1.0]
width_mult_list: [0.5, 1.0]
resolution_list: [32, 24]
num_epochs: 5
batch_size: 20
lr: 0.05
calibration_batches: 2
validate_every: 1
keep_checkpoints: 2
`

beforeAll(async () => {
  await writeSmallCifar(at('cifar'))
  await writeFile(at('small.yml'), RECIPE)
  await mkdir(at('videos/a'), { recursive: true })
  await mkdir(at('videos/b'), { recursive: true })
  for (const name of ['a/1', 'a/2', 'b/3', 'b/4']) {
    await renderClip(at(`videos/${name}.mp4`), { seconds: 2, size: '320x192' })
  }
  expect((await run(['train', 'small.yml', '--out', 'trained'])).code).toBe(0)
})

it.each([
  ['as it is', []],
  [
    'with a moving average, accumulating',
    ['--set', 'ema=0.9', '--set', 'accumulate=2', '--set', 'num_epochs=8'],
  ],
] as const)('training, %s', async (title, set) => {
  const random = randomOf(50 + set.length)
  const compared = (file: string) => file !== 'log.jsonl'
  const [whole, killed] = [`whole-${set.length}`, `killed-${set.length}`]
  const reference = await run(['train', 'small.yml', '--out', whole, ...set])
  expect(reference.code, reference.output).toBe(0)
  const counts = { runs: 0, kills: 0, differ: 0, refusals: 0, left: 0 }
  const seen: string[] = []
  for (let round = 0; round < rounds(2); round++) {
    await rm(at(killed), { recursive: true, force: true })
    const kills = 4 + random.integer(6)
    for (let done = false, sitting = 0; !done; sitting++) {
      // Of a folder without a run `train` makes one; `--resume` takes up whatever is there.
      const there = await stat(at(killed)).catch(() => undefined)
      const args = ['train', 'small.yml', '--out', killed, ...set, ...(there ? ['--resume'] : [])]
      const moment = sitting < kills ? reference.milliseconds * (0.1 + 0.35 * random.uniform()) : undefined
      const ended = await run(args, moment)
      if (ended.killed) counts.kills++
      else if (ended.code !== 0) {
        counts.refusals++
        seen.push(ended.output)
        break
      } else done = true
    }
    counts.runs++
    const left = await unfinishedIn(at(killed))
    counts.left += left.length
    const [expected, got] = [await contentsOf(at(whole), compared), await contentsOf(at(killed), compared)]
    if (JSON.stringify(expected) !== JSON.stringify(got)) {
      counts.differ++
      seen.push(JSON.stringify({ expected, got }, null, 1))
    }
  }
  tell(`kills, training ${title}`, counts)
  expect({ seen, left: counts.left }).toEqual({ seen: [], left: 0 })
})

interface Writer {
  readonly args: readonly string[]
  /** What it writes to: compared with what an undisturbed run writes there. */
  readonly place: string
  /** Made anew for every round. */
  readonly prepare?: () => Promise<unknown>
  /** Files whose content tells the time are compared by name alone. */
  readonly compared?: (file: string) => boolean
  readonly kills?: number
}

const copyOfTrained = (place: string) => () => cp(at('trained'), at(place), { recursive: true })

const WRITERS: Readonly<Record<string, Writer>> = {
  init: { args: ['init', 'small.yml', '--out', 'out/init'], place: 'out/init' },
  import: {
    args: ['import', 'exported.safetensors', '--config', 'small.yml', '--out', 'out/import'],
    place: 'out/import',
    prepare: () => run(['export', 'trained', '--torch-names', 'exported.safetensors']),
  },
  export: {
    args: ['export', 'trained', '--onnx', 'out/export/a.onnx'],
    place: 'out/export',
    prepare: () => mkdir(at('out/export'), { recursive: true }),
  },
  test: {
    args: ['test', 'out/test', '--widths', '1,0.75,0.5'],
    place: 'out/test',
    prepare: copyOfTrained('out/test'),
    compared: (file) => !['sweep.jsonl', 'query-table.json', 'log.jsonl'].includes(file),
    kills: 5,
  },
  'calibrate-latency': {
    args: ['calibrate-latency', 'out/latency'],
    place: 'out/latency',
    prepare: copyOfTrained('out/latency'),
    compared: (file) => file !== 'latency.json',
  },
  curve: { args: ['curve', 'trained', '--out', 'out/curve'], place: 'out/curve' },
  'data split': {
    args: ['data', 'split', 'videos', '--out', 'out/split', '--val', '0.5'],
    place: 'out/split',
  },
  'data resize': {
    args: ['data', 'resize', 'videos', '--out', 'out/resize', '--short-side', '96'],
    place: 'out/resize',
    kills: 5,
  },
  'data make-motion': {
    args: [
      'data',
      'make-motion',
      '--out',
      'out/motion',
      '--clips',
      '80',
      '--validation',
      '8',
      '--frames',
      '8',
    ],
    place: 'out/motion',
    kills: 5,
  },
  'data check': {
    args: [
      'data',
      'check',
      'videos',
      '--decode',
      '--write-clean',
      'out/check/clean.csv',
      '--cache',
      'out/check/cache',
    ],
    place: 'out/check',
    prepare: () => mkdir(at('out/check'), { recursive: true }),
    compared: (file) => !file.includes('cache'),
  },
}

it.each(Object.keys(WRITERS))('%s', async (name) => {
  const { args, place, prepare, compared = () => true, kills = 4 } = WRITERS[name]!
  const random: Random = randomOf(60 + Object.keys(WRITERS).indexOf(name))
  const anew = async () => {
    await rm(at(place), { recursive: true, force: true })
    await mkdir(dirname(at(place)), { recursive: true })
    await prepare?.()
  }
  await anew()
  const reference = await run(args)
  expect(reference.code, reference.output).toBe(0)
  const expected = await contentsOf(at(place), compared)
  const counts = { rounds: 0, kills: 0, differ: 0, refusals: 0, left: 0 }
  const seen: string[] = []
  for (let round = 0; round < rounds(2); round++) {
    await anew()
    for (let kill = 0; kill < kills; kill++) {
      const { killed, code, output } = await run(
        args,
        reference.milliseconds * (0.3 + 0.7 * random.uniform()),
      )
      if (killed) counts.kills++
      // Done before it was killed; a run that is whole is not made over.
      else if (code !== 0 && !(await isWhole(output))) seen.push(output)
    }
    const last = await run(args)
    counts.rounds++
    if (last.code !== 0 && !(await isWhole(last.output))) {
      counts.refusals++
      seen.push(last.output)
    }
    const left = await unfinishedIn(at(place))
    counts.left += left.length
    seen.push(...left)
    const got = await contentsOf(at(place), compared)
    if (JSON.stringify(got) !== JSON.stringify(expected)) {
      counts.differ++
      seen.push(JSON.stringify({ expected, got }, null, 1))
    }
  }
  tell(`kills, ${name}`, counts)
  expect(seen).toEqual([])
})

/** `init` and `import` refuse a folder that has a run, which is right once it is whole. */
const isWhole = async (output: string): Promise<boolean> => {
  const folder = /mn-video: (\S+): already has files/.exec(output)?.[1]
  return folder !== undefined && (await readdir(at(folder))).includes('query-table.json')
}
