/**
 * Writes a video anew for training: a smaller picture, keyframes close together, no sound, and the very same frames
 * at the same times. The result is checked against the source before it takes its name.
 */
import { createHash } from 'node:crypto'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { MnVideoError } from '../errors.ts'
import { type MediaFile, mediaFile, shownPath } from '../files/media-file.ts'
import { openFile } from '../files/read.ts'
import { temporaryBeside } from '../files/temporary.ts'
import type { Size } from '../frames/geometry.ts'
import { findBinaries } from './binaries.ts'
import { ffmpegArguments, reasonFrom, run } from './ffmpeg.ts'
import { exactInput, exactOutput, type FrameIndex, indexByDecoding, readFrameIndex } from './frame-index.ts'
import { type CacheOptions, cachedFrameIndex } from './index-cache.ts'
import { readMp4Comment } from './mp4-index.ts'

export interface ShrinkOptions extends CacheOptions {
  /** Pixels of the short side; a smaller picture keeps its size. */
  readonly shortSide: number
  /** Frames from one keyframe to the next. */
  readonly keyframes: number
  /** x264's constant rate factor: 18 looks like the source, 28 visibly coarser. */
  readonly quality: number
}

export interface Shrunk {
  readonly frames: number
  readonly bytesBefore: number
  readonly bytesAfter: number
  /** False where the result was there from an earlier run. */
  readonly isNew: boolean
}

/**
 * Writes `target` (.mp4) from a video. A result of an earlier run with the same settings from the same file is kept (its
 * comment says what it was made of); any other file of that name is left alone and is an error.
 *
 * @throws MnVideoError 'media' naming the file: unreadable, a target that is there, or frames that got lost
 */
export async function shrinkVideo(path: string, target: string, options: ShrinkOptions): Promise<Shrunk> {
  const file = await mediaFile(path)
  const before = await stat(file.path)
  const index = await cachedFrameIndex(path, options)
  const size = shrunkSize(index.info, options.shortSide)
  const there = await stat(target).catch(() => undefined)
  if (there) {
    const frames = await requireResult(file, index, size, target, options)
    return { frames, bytesBefore: before.size, bytesAfter: there.size, isNew: false }
  }
  await mkdir(dirname(target), { recursive: true })
  const temporary = await temporaryBeside(target)
  try {
    const errors = await encode(file, index, size, temporary, {
      ...options,
      comment: await originOf(file, options),
    })
    const result = await readFrameIndex(temporary, options).catch(() => {
      throw new MnVideoError(
        'media',
        `${file.shown}: could not be written anew: ${reasonFrom(errors, file)}.`,
      )
    })
    const frames = await requireSameFrames(file, index, result, options)
    const { size: bytesAfter } = await stat(temporary)
    await rename(temporary, target)
    return { frames, bytesBefore: before.size, bytesAfter, isNew: true }
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Even numbers, as chroma of half the size needs; the aspect is kept to a pixel. */
export function shrunkSize({ width, height }: Size, shortSide: number): Size {
  const scale = Math.min(1, shortSide / Math.min(width, height))
  const even = (pixels: number) => Math.max(2, 2 * Math.round((pixels * scale) / 2))
  return { width: even(width), height: even(height) }
}

const MADE = 'mn-video data resize: '

/** What a result is made of, and how: settings, and the source by its size and three samples of its bytes. */
async function originOf({ path }: MediaFile, { keyframes, quality }: ShrinkOptions): Promise<string> {
  const handle = await openFile(path)
  try {
    const { size } = await handle.stat()
    const hash = createHash('sha256').update(`${size}`)
    for (const place of [0, 0.5, 1]) {
      const sample = Buffer.alloc(Math.min(SAMPLE_BYTES, size))
      const { bytesRead } = await handle.read(
        sample,
        0,
        sample.length,
        Math.floor(place * (size - sample.length)),
      )
      hash.update(sample.subarray(0, bytesRead))
    }
    return `${MADE}keyframes ${keyframes}, quality ${quality}, of ${hash.digest('hex').slice(0, 16)}`
  } finally {
    await handle.close()
  }
}

const SAMPLE_BYTES = 2 ** 16

/** A frame moved by less than half a millisecond is where it was: Matroska counts in milliseconds. */
const SAME_TIME = 0.0005

async function encode(
  file: MediaFile,
  index: FrameIndex,
  { width, height }: Size,
  target: string,
  options: ShrinkOptions & { readonly comment: string },
): Promise<readonly string[]> {
  const { ffmpeg, version } = await findBinaries()
  const { input, inputOptions } = exactInput(file)
  const { numerator, denominator } = index.timeBase
  // A line for every frame, so that a long video is not taken for a standstill; frames out of order have no time.
  const order = `select='isnan(prev_selected_pts)+gt(pts,prev_selected_pts)'`
  return run({
    ...options,
    file,
    program: ffmpeg,
    args: ffmpegArguments({
      input,
      inputOptions: [...inputOptions, '-threads', '1'],
      filters: `${order},showinfo@progress=checksum=0,scale=${width}:${height}:flags=bicubic`,
      format: 'mp4',
      output: `file:${resolve(target)}`,
      outputOptions: [
        ...exactOutput(index.info, version),
        ...['-an', '-sn', '-dn', '-map_metadata', '-1', '-map_chapters', '-1'],
        ...['-metadata', `comment=${options.comment}`],
        // Times from 0 on; by the filter setpts, frames of FFmpeg 6.1 and later would lose their durations, and players
        // the last frame with them.
        ...['-output_ts_offset', `${(-(index.pts[0] ?? 0) * numerator) / denominator}`],
        // The source's own ticks: any other base would round times.
        ...['-enc_time_base', `${numerator}/${denominator}`],
        ...['-c:v', 'libx264', '-preset', 'veryfast', '-crf', `${options.quality}`, '-pix_fmt', 'yuv420p'],
        ...['-g', `${options.keyframes}`, '-threads', '1', '-movflags', '+faststart'],
      ],
    }),
    onOutput: () => false,
  })
}

/**
 * @returns how many frames both have
 * @throws MnVideoError 'media' where the result has others than the source
 */
async function requireSameFrames(
  file: MediaFile,
  promised: FrameIndex,
  result: FrameIndex,
  options: ShrinkOptions,
): Promise<number> {
  if (hasSameFrames(promised, result)) return result.pts.length
  // Of a damaged source those frames count that decode.
  const decoded =
    promised.source === 'decoding' ? promised : await indexByDecoding(file, promised.info, options)
  if (hasSameFrames(decoded, result)) return result.pts.length
  throw new MnVideoError(
    'media',
    `${file.shown}: has ${decoded.pts.length} frames, what was written has ${result.pts.length}, or at other times; it is thrown away.`,
  )
}

function hasSameFrames(a: FrameIndex, b: FrameIndex): boolean {
  return (
    a.times.length === b.times.length && a.times.every((time, i) => Math.abs(time - b.times[i]!) < SAME_TIME)
  )
}

/**
 * @returns how many frames it has
 * @throws MnVideoError 'media' where a file that is there is not what would be written
 */
async function requireResult(
  file: MediaFile,
  index: FrameIndex,
  size: Size,
  target: string,
  options: ShrinkOptions,
): Promise<number> {
  const refuse = (what: string) =>
    new MnVideoError(
      'media',
      `${shownPath(target)}: is there already and ${what} ${file.shown}. Remove it, or give another --out.`,
    )
  const [source, there] = await Promise.all([stat(file.path), stat(target)])
  if (source.dev === there.dev && source.ino === there.ino) throw refuse('is the source itself,')
  const result = await readFrameIndex(target, options).catch(() => undefined)
  if (!result) throw refuse('is no video made of')
  if (result.info.width !== size.width || result.info.height !== size.height) {
    throw refuse(`is ${result.info.width}x${result.info.height}, not ${size.width}x${size.height}, unlike`)
  }
  const [made, wanted] = [await readMp4Comment(target), await originOf(file, options)]
  // Results of versions before wrote no comment: their age has to do.
  if (!made?.startsWith(MADE) && source.mtimeMs > there.mtimeMs) throw refuse('is older than')
  if (made?.startsWith(MADE) && made !== wanted) {
    const settings = (text: string) => text.slice(MADE.length).split(', of ')[0]
    if (settings(made) === settings(wanted)) throw refuse('was made of another file than')
    throw refuse(`was made with ${settings(made)}, not ${settings(wanted)}, of`)
  }
  return requireSameFrames(file, index, result, options).catch(() => {
    throw refuse('has other frames than')
  })
}
