/** Writes the motion data set: clips of `scene.ts` as H.264 files, in class folders and in lists. */
import { mkdir, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { MnVideoError } from '../../errors.ts'
import { temporaryBeside } from '../../files/temporary.ts'
import { writeTogether } from '../../files/write.ts'
import type { Size } from '../../frames/geometry.ts'
import { inOrder } from '../loading/prefetch.ts'
import { randomAt } from '../loading/streams.ts'
import { CLASSES_FILE } from '../sets/folders.ts'
import { formatList } from '../sets/lists.ts'
import { encodeClips, fileName, RATE } from './encode.ts'
import { noiseTable, renderScene } from './render.ts'
import { drawScene, MOTION_CLASSES } from './scene.ts'

export interface MotionOptions {
  /** The folder to write; what is in it under the same names is replaced. */
  readonly out: string
  /** Clips to train on, as many of each class; 640 by default. */
  readonly clips?: number
  /** Clips to validate on; a quarter of `clips` by default. */
  readonly validation?: number
  /** Pixels, even; 96×72 by default. */
  readonly size?: Size
  /** Frames of a clip, at 30 a second; 30 by default. */
  readonly frames?: number
  /** What everything random follows from; 1 by default. */
  readonly seed?: number
  readonly signal?: AbortSignal
  /** Told of clips painted so far. */
  readonly onProgress?: (done: number, total: number) => void
}

export interface MotionDataset {
  readonly out: string
  readonly classes: readonly string[]
  readonly training: number
  readonly validation: number
}

const LISTS = ['train.csv', 'val.csv']
/** Encoders at a time, beside the painting. */
const ENCODERS = 2
/** Clips that one encoder writes: its start takes longer than a clip does. */
const PART = 64

/**
 * Renders the data set: `train/CLASS/0001.mp4` …, `val/…`, the lists `train.csv` and `val.csv` of them and
 * `classes.txt`, all of which `dataset: folder` and `dataset: kinetics400` read. The same options give the same
 * pixels; with one build of FFmpeg, the same files.
 *
 * @throws MnVideoError 'usage' for options that cannot be, 'missing' without FFmpeg, 'data' where it cannot encode
 */
export async function makeMotion(options: MotionOptions): Promise<MotionDataset> {
  const { clips = 640, size = { width: 96, height: 72 }, frames = 30, seed = 1, signal, onProgress } = options
  const { validation = Math.ceil(clips / 4) } = options
  checkMotion({ clips, validation, frames, width: size.width, height: size.height })
  const out = resolve(options.out)
  const splits = [
    { name: 'train', perClass: Math.ceil(clips / MOTION_CLASSES.length) },
    { name: 'val', perClass: Math.ceil(validation / MOTION_CLASSES.length) },
  ]
  const all = splits.flatMap(({ name, perClass }, split) =>
    MOTION_CLASSES.flatMap((motion, label) =>
      Array.from({ length: perClass }, (_, number) => ({
        motion,
        label,
        place: [split, label, number],
        split: name,
        file: `${name}/${motion}/${fileName(number)}`,
      })),
    ),
  )
  const noise = noiseTable(randomAt(seed))
  const times = Array.from({ length: frames }, (_, i) => i / RATE)
  let done = 0
  const paint = function* (part: typeof all) {
    for (const { motion, place } of part) {
      const random = randomAt(seed, ...place)
      const scene = drawScene(random, motion, size.width / size.height, frames / RATE)
      yield renderScene(scene, size, times, { table: noise, random })
      onProgress?.(++done, all.length)
    }
  }

  const staging = await temporaryBeside(join(out, 'making'))
  const write = async (number: number, ending: AbortSignal) => {
    const part = all.slice(number * PART, (number + 1) * PART)
    const folder = join(staging, `${number}`)
    await mkdir(folder, { recursive: true })
    await encodeClips(folder, paint(part), { ...size, frames, clips: part.length }, ending)
    for (const [i, { file }] of part.entries()) await rename(join(folder, fileName(i)), join(out, file))
  }
  try {
    // Those of an earlier data set: its clips are about to be replaced.
    for (const list of LISTS) await rm(join(out, list), { force: true })
    for (const { name } of splits) {
      for (const motion of MOTION_CLASSES) await mkdir(join(out, name, motion), { recursive: true })
    }
    const parts = Math.ceil(all.length / PART)
    const written = inOrder(parts, write, { atOnce: ENCODERS, ahead: parts, ...(signal && { signal }) })
    for await (const _ of written);
  } finally {
    await rm(staging, { recursive: true, force: true })
  }

  // Last, so that lists that are there are of a data set that is whole.
  const listOf = (name: string) => all.filter(({ split }) => split === name)
  const listed = (name: string) => formatList(listOf(name).map(({ file, label }) => ({ path: file, label })))
  await writeTogether(
    new Map(
      [
        [CLASSES_FILE, `${MOTION_CLASSES.join('\n')}\n`] as const,
        ...LISTS.map((list) => [list, listed(list.replace('.csv', ''))] as const),
      ].map(([name, text]) => [join(out, name), [Buffer.from(text)]]),
    ),
  )
  return {
    out,
    classes: MOTION_CLASSES,
    training: listOf('train').length,
    validation: listOf('val').length,
  }
}

export function checkMotion({ width, height, ...counts }: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(counts)) {
    if (Number.isInteger(value) && value! >= 1 && value! <= 1_000_000) continue
    throw new MnVideoError(
      'usage',
      `${name} of the motion data set must be a whole number from 1, not ${value}.`,
    )
  }
  for (const side of [width!, height!]) {
    if (Number.isInteger(side) && side % 2 === 0 && side >= 16 && side <= 4096) continue
    throw new MnVideoError(
      'usage',
      `the size of the motion data set must be even numbers from 16, such as 96x72, not ${width}x${height}.`,
    )
  }
}
