/** Writes the motion data set: clips of `scene.ts` as H.264 files, in class folders and in lists. */
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { MnVideoError } from '../../errors.ts'
import { findBinaries } from '../../video/binaries.ts'
import { reasonFrom, run } from '../../video/ffmpeg.ts'
import type { Size } from '../../video/geometry.ts'
import { CLASSES_FILE } from '../folders.ts'
import { formatList } from '../lists.ts'
import { inOrder } from '../prefetch.ts'
import { randomAt } from '../streams.ts'
import { noiseTable, renderScene } from './render.ts'
import { drawScene, MOTION_CLASSES, type MotionClass } from './scene.ts'

export interface MotionOptions {
  /** The folder to write; what is in it under the same names is replaced. */
  readonly out: string
  /** Clips to train on, as many of each class; 640 by default. */
  readonly clips?: number
  /** Clips to validate on; a quarter of `clips` by default. */
  readonly validation?: number
  /** Pixels, even; 128×96 by default. */
  readonly size?: Size
  /** Frames of a clip, at 30 a second; 40 by default. */
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

const RATE = 30
/** Encoders at a time, beside the painting. */
const ENCODERS = 2

/**
 * Renders the data set: `train/CLASS/0001.mp4` …, `val/…`, the lists `train.csv` and `val.csv` of them and
 * `classes.txt`, all of which `dataset: folder` and `dataset: kinetics400` read. The same options give the same
 * pixels; with one build of FFmpeg, the same files.
 *
 * @throws MnVideoError 'usage' for options that cannot be, 'missing' without FFmpeg, 'data' where it cannot encode
 */
export async function makeMotion(options: MotionOptions): Promise<MotionDataset> {
  const {
    clips = 640,
    size = { width: 128, height: 96 },
    frames = 40,
    seed = 1,
    signal,
    onProgress,
  } = options
  const { validation = Math.ceil(clips / 4) } = options
  check({ clips, validation, frames, width: size.width, height: size.height })
  const out = resolve(options.out)
  const noise = noiseTable(randomAt(seed))
  const splits = [
    { name: 'train', count: Math.ceil(clips / MOTION_CLASSES.length) },
    { name: 'val', count: Math.ceil(validation / MOTION_CLASSES.length) },
  ]
  const total = splits.reduce((sum, { count }) => sum + count * MOTION_CLASSES.length, 0)
  const times = Array.from({ length: frames }, (_, i) => i / RATE)
  let done = 0

  const jobs = splits.flatMap((split, s) =>
    MOTION_CLASSES.map((motion, label) => ({ ...split, s, motion, label })),
  )
  const write = async ({ name, count, s, motion, label }: (typeof jobs)[number], ending: AbortSignal) => {
    const paint = function* () {
      for (let clip = 0; clip < count; clip++) {
        const random = randomAt(seed, s, label, clip)
        const scene = drawScene(random, motion, size.width / size.height)
        yield renderScene(scene, size, times, { table: noise, random })
        onProgress?.(++done, total)
      }
    }
    const folder = join(out, name, motion)
    await mkdir(folder, { recursive: true })
    await encode(folder, paint(), { ...size, frames, clips: count }, ending)
  }
  const written = inOrder(jobs.length, (i, ending) => write(jobs[i]!, ending), {
    atOnce: ENCODERS,
    ahead: jobs.length,
    ...(signal && { signal }),
  })
  for await (const _ of written);

  // Last, so that a list that is there is a data set that is whole.
  await writeFile(join(out, CLASSES_FILE), `${MOTION_CLASSES.join('\n')}\n`)
  for (const { name, count } of splits) {
    const entries = MOTION_CLASSES.flatMap((motion, label) =>
      Array.from({ length: count }, (_, clip) => ({ path: `${name}/${motion}/${fileName(clip)}`, label })),
    )
    await writeFile(join(out, `${name}.csv`), formatList(entries))
  }
  const [training, validating] = splits.map(({ count }) => count * MOTION_CLASSES.length)
  return {
    out,
    classes: MOTION_CLASSES satisfies readonly MotionClass[],
    training: training!,
    validation: validating!,
  }
}

const fileName = (clip: number): string => `${String(clip + 1).padStart(4, '0')}.mp4`

/**
 * Encodes clips of equal length into files of their own with one run of FFmpeg, whose start takes longer than a
 * clip. The quantiser is constant and nothing looks ahead: a frame's quality must not tell of what moves after it.
 */
async function encode(
  folder: string,
  clips: Iterable<Uint8Array>,
  shape: Size & { readonly frames: number; readonly clips: number },
  signal: AbortSignal,
): Promise<void> {
  const { ffmpeg } = await findBinaries()
  const cuts = Array.from({ length: shape.clips - 1 }, (_, i) => (i + 1) * shape.frames)
  const errors = await run({
    program: ffmpeg,
    // Names are relative, so that a % in the folder's means nothing.
    cwd: folder,
    file: { shown: folder, path: folder },
    signal,
    input: clips,
    args: [
      ...['-hide_banner', '-nostats', '-loglevel', 'level+error', '-y'],
      ...['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', `${shape.width}x${shape.height}`, '-r', `${RATE}`],
      ...['-i', 'pipe:0', '-c:v', 'libx264', '-preset', 'veryfast', '-qp', '23', '-threads', '1'],
      ...['-x264-params', 'mbtree=0:rc-lookahead=0', '-bf', '0', '-pix_fmt', 'yuv420p'],
      ...['-g', `${shape.frames}`, '-keyint_min', `${shape.frames}`, '-sc_threshold', '0'],
      ...['-fflags', '+bitexact', '-flags:v', '+bitexact', '-map_metadata', '-1'],
      ...['-f', 'segment', '-segment_format', 'mp4', '-reset_timestamps', '1', '-segment_start_number', '1'],
      ...(cuts.length > 0 ? ['-segment_frames', cuts.join(',')] : ['-segment_time', '1000000']),
      '%04d.mp4',
    ],
    onOutput: () => true,
  })
  const names = new Set(await readdir(folder))
  const missing = Array.from({ length: shape.clips }, (_, clip) => fileName(clip)).find(
    (name) => !names.has(name),
  )
  if (errors.length === 0 && missing === undefined) return
  throw new MnVideoError(
    'data',
    `${folder}: FFmpeg could not encode the clips: ${reasonFrom(errors, { shown: folder, path: folder })}.\nIt must have libx264, and the disk room.`,
  )
}

function check({ width, height, ...counts }: Readonly<Record<string, number>>): void {
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
      `the size of the motion data set must be even numbers from 16, such as 128x96, not ${width}x${height}.`,
    )
  }
}
