/**
 * Damaged configurations, tables, logs, weights, lists, pictures and videos: every one is answered, or refused in one
 * to three lines.
 */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, expect, it } from 'vitest'
import { buildNetwork } from '../../src/models/index.ts'
import { initialise } from '../../src/network/initialise.ts'
import type { Random } from '../../src/network/random.ts'
import { resolve } from '../../src/network/resolve.ts'
import { initialStatistics } from '../../src/network/store.ts'
import { writeLatencies } from '../../src/runs/latency.ts'
import { statisticsFile } from '../../src/runs/run-files.ts'
import { writeStatistics } from '../../src/runs/run-tensors.ts'
import { checkpointFile, writeCheckpoint } from '../../src/training/checkpoint.ts'
import { renderClip } from '../support/render.ts'
import { makeRun, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'
import { makeSweptRun } from '../support/swept-run.ts'
import { float32, tensor, torchLegacy, torchZip } from '../support/torch-writer.ts'
import { damageBytes, damageText } from './damage.ts'
import { randomOf, rounds, SEED, tell } from './support.ts'
import { openTaker } from './takers.ts'

const folder = await temporaryFolder()
const at = (name: string) => join(folder, name)
const taker = openTaker()
afterAll(() => taker.end())

/**
 * Damages a file again and again and has it taken in. A fault is told with its round, and its input stays.
 *
 * @param place what the taker is given: the file, or the folder that it lies in
 */
async function campaign(
  what: string,
  number: number,
  {
    kind,
    file,
    place = file,
    count,
    damage,
  }: {
    readonly kind: string
    readonly file: string
    readonly place?: string
    readonly count: number
    readonly damage: (whole: Buffer, random: Random) => Buffer
  },
): Promise<void> {
  const whole = await readFile(file)
  expect(await taker.take(kind, place), `${what}, whole`).toBe('answered')
  const random = randomOf(number)
  const counts = { damaged: 0, answered: 0, refused: 0, faults: 0 }
  const faults: string[] = []
  for (let round = 0; round < rounds(count); round++) {
    await writeFile(file, damage(Buffer.from(whole), random))
    const verdict = await taker.take(kind, place)
    counts.damaged++
    if (typeof verdict === 'string') counts[verdict]++
    else {
      counts.faults++
      const kept = join('/tmp', `mn-video-hostile-${SEED}-${number}-${round}`)
      await cp(file, kept)
      faults.push(`round ${round} (${kept}): ${verdict.fault}`)
    }
  }
  await writeFile(file, whole)
  tell(what, counts)
  expect(faults.slice(0, 5)).toEqual([])
}

const textual = (whole: Buffer, random: Random) => damageText(whole.toString(), random)

it.each(['x3d', 'slowfast', 'mobilenet_v2', 'wideresnet'])('configurations: %s', async (recipe) => {
  const file = at(`${recipe}.yml`)
  await cp(new URL(`../../configs/${recipe}.yml`, import.meta.url), file)
  const number = 1 + ['x3d', 'slowfast', 'mobilenet_v2', 'wideresnet'].indexOf(recipe)
  await campaign(`configurations, ${recipe}`, number, { kind: 'config', file, count: 120, damage: textual })
})

it('query tables, results, logs and latencies', async () => {
  const run = at('swept')
  await makeSweptRun(run, SMALL_X3D)
  await writeLatencies(run, 'here', new Map([['1-4-32', { median: 2, fastest: 1, slowest: 3 }]]))
  const files = {
    table: 'query-table.json',
    results: 'sweep.jsonl',
    log: 'log.jsonl',
    latencies: 'latency.json',
  }
  for (const [i, [kind, name]] of Object.entries(files).entries()) {
    const told = { kind, file: join(run, name), place: run, count: 80, damage: textual }
    await campaign(name, 5 + i, told)
  }
})

it('weights, statistics and checkpoints', async () => {
  const run = at('weights')
  const { config, weights, table } = await makeRun(run, SMALL_X3D)
  const network = buildNetwork(config)
  const entry = table.entries[0]!
  const statistics = join(run, statisticsFile(entry))
  await mkdir(join(run, 'bn'))
  await writeStatistics(statistics, initialStatistics(resolve(network, entry)), undefined)
  const velocities = initialise(network, 2).values
  await writeCheckpoint(run, network, { progress: { step: 5, seconds: 1 }, weights, velocities })
  const bytes = { place: run, count: 80, damage: damageBytes }
  await campaign('weights of a run', 10, { kind: 'run', file: join(run, 'model.safetensors'), ...bytes })
  await campaign('checkpoints', 11, { kind: 'checkpoint', file: checkpointFile(run, 5), ...bytes })

  const state = Array.from({ length: 6 }, (_, i) => float32(`${i}`, [4, 5], Array(20).fill(i / 7)))
  const named = (legacy: boolean) =>
    new Map(state.map((spec, i) => [`layer.${i}.weight`, tensor(spec, legacy)]))
  await writeFile(at('zip.pth'), torchZip(named(false), state))
  await writeFile(at('legacy.pth'), torchLegacy(named(true), state))
  await cp(join(run, 'model.safetensors'), at('own.safetensors'))
  for (const [i, name] of ['zip.pth', 'legacy.pth', 'own.safetensors'].entries()) {
    const told = { kind: 'weights', file: at(name), count: 250, damage: damageBytes }
    await campaign(`weights, ${name}`, 12 + i, told)
  }
})

it('lists', async () => {
  const file = at('train.csv')
  const lines = Array.from({ length: 30 }, (_, i) => `videos/a clip ${i}.mp4 ${i % 7}\n`)
  await writeFile(file, lines.join(''))
  await campaign('lists', 20, { kind: 'list', file, count: 200, damage: textual })
})

it('pictures', async () => {
  const noise = Buffer.alloc(64 * 48 * 3)
  const random = randomOf(30)
  for (let i = 0; i < noise.length; i++) noise[i] = random.integer(256)
  const picture = () => sharp(noise, { raw: { width: 64, height: 48, channels: 3 } })
  for (const [i, format] of (['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif'] as const).entries()) {
    const file = at(`picture.${format}`)
    await picture().toFormat(format).toFile(file)
    await campaign(`pictures, ${format}`, 31 + i, { kind: 'picture', file, count: 100, damage: damageBytes })
  }
})

it('videos', async () => {
  const encoded = {
    h264: ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-g', '12'],
    mpeg4: ['-c:v', 'mpeg4'],
  }
  const shapes = [
    ['clip.mp4', encoded.h264],
    ['moov-first.mp4', [...encoded.h264, '-movflags', '+faststart']],
    ['clip.mkv', encoded.h264],
    ['clip.ts', encoded.h264],
    ['clip.avi', encoded.mpeg4],
  ] as const
  for (const [i, [name, output]] of shapes.entries()) {
    const file = at(name)
    await renderClip(file, { seconds: 1, size: '80x48', output: [...output, '-pix_fmt', 'yuv420p'] })
    await rm(at('none'), { force: true })
    await campaign(`videos, ${name}`, 40 + i, { kind: 'video', file, count: 30, damage: damageBytes })
  }
})
