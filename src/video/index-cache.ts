/**
 * Keeps frame indexes on disk, so that a random clip of a video costs one seek and not a reading of the whole
 * file. Plain MP4 and WebM files are not kept: their own tables are read as fast. A damaged, stale or unwritable cache is never
 * an error: the index is then read from the video.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { type MediaFile, mediaFile } from '../files/media-file.ts'
import { readText } from '../files/read.ts'
import { temporaryBeside } from '../files/temporary.ts'
import type { RunOptions } from './ffmpeg.ts'
import { type FrameIndex, readIndexWithFfmpeg, readPlainIndex } from './frame-index.ts'

export interface CacheOptions extends RunOptions {
  /** The folder that keeps what was found; cacheFolder() by default, 'off' for none. */
  readonly cache?: string
}

/** Where things that can be found again are kept: MN_VIDEO_CACHE (`off`: nowhere), else the user's cache folder. */
export function cacheFolder(): string {
  const { MN_VIDEO_CACHE, XDG_CACHE_HOME } = process.env
  return MN_VIDEO_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'mn-video')
}

/**
 * Lists a video's frames, from the cache where the file has not changed since (by size and time of change).
 *
 * @throws MnVideoError 'media', one line naming the file and why it has no frames
 */
export async function cachedFrameIndex(path: string, options: CacheOptions = {}): Promise<FrameIndex> {
  const file = await mediaFile(path)
  const plain = await readPlainIndex(file)
  if (plain) return plain
  const folder = options.cache ?? cacheFolder()
  if (folder === 'off') return readIndexWithFfmpeg(file, options)
  const state = await stateOf(file)
  const place = placeOf(file, folder)
  const kept = await recall(place.path, file, state)
  if (kept) return kept
  const index = await readIndexWithFfmpeg(file, options)
  await keep(place, file, state, index)
  return index
}

/** What changes when the file does. */
async function stateOf(file: MediaFile): Promise<string> {
  const { size, mtimeNs } = await stat(file.path, { bigint: true })
  return `${size} ${mtimeNs}`
}

interface Place {
  readonly folder: string
  readonly path: string
}

/** One file per video, named after its path, in 256 folders. */
function placeOf(file: MediaFile, cache: string): Place {
  const name = createHash('sha256').update(file.path).digest('hex').slice(0, 40)
  const folder = join(cache, 'frame-index', name.slice(0, 2))
  return { folder, path: join(folder, name.slice(2)) }
}

/** 2: no stream of an MPEG-TS counts twice. */
const FORMAT = 'mn-video frame index 2'
/** A longer one is of a video whose frames follow no pattern for hours. */
const MAX_ENTRY_BYTES = 2 ** 22
const MAX_FRAMES = 2 ** 24
/** Entries per folder: half a million in all. */
const MAX_ENTRIES = 2048
/** How often a writer counts the entries of the folder it writes to. */
const COUNT_EVERY = 64

const number = z.number()
const integers = z.array(z.int())
const entrySchema = z.strictObject({
  path: z.string(),
  state: z.string(),
  info: z.object({
    container: z.string(),
    streams: z.array(z.object({ index: z.int(), type: z.string(), codec: z.string() })),
    streamIndex: z.int(),
    codec: z.string(),
    width: z.int().min(1),
    height: z.int().min(1),
    codedWidth: z.int().min(1),
    codedHeight: z.int().min(1),
    rotation: z.union([z.literal(0), z.literal(90), z.literal(180), z.literal(270)]),
    frameRate: number.optional(),
    startTime: number.optional(),
    duration: number.optional(),
    frameCount: number.optional(),
    sampleAspectRatio: z.string().optional(),
  }),
  timeBase: z.object({ numerator: z.int().min(1), denominator: z.int().min(1) }),
  source: z.enum(['container', 'decoding']),
  duration: number,
  pts: integers,
  keyframes: integers,
})

/** Of a video of a hundred hours. */
const MAX_BYTES = 2 ** 28

async function recall(path: string, file: MediaFile, state: string): Promise<FrameIndex | undefined> {
  try {
    const text = await readText(path, MAX_BYTES)
    const end = text.indexOf('\n')
    const body = text.slice(end + 1)
    if (text.slice(0, end) !== heading(body)) return undefined
    const entry = entrySchema.parse(JSON.parse(body))
    if (entry.path !== file.path || entry.state !== state) return undefined
    const { timeBase, source, duration } = entry
    const pts = Float64Array.from(spelledOut(entry.pts))
    const times = pts.map((each) => ((each - pts[0]!) * timeBase.numerator) / timeBase.denominator)
    if (pts.length === 0) return undefined
    const keyframes = spelledOut(entry.keyframes)
    const info = { ...entry.info, path: file.shown } as FrameIndex['info']
    return { info, pts, times, duration, keyframes, timeBase, source }
  } catch {
    return undefined
  }
}

async function keep(
  { folder, path }: Place,
  file: MediaFile,
  state: string,
  index: FrameIndex,
): Promise<void> {
  const { info, timeBase, source, duration, pts, keyframes } = index
  const { path: _, ...facts } = info
  const entry: z.input<typeof entrySchema> = {
    path: file.path,
    state,
    info: { ...facts, streams: [...facts.streams] },
    timeBase,
    source,
    duration,
    pts: shortened(pts),
    keyframes: shortened(keyframes),
  }
  const body = JSON.stringify(entry)
  if (body.length > MAX_ENTRY_BYTES) return
  let temporary: string | undefined
  try {
    await mkdir(folder, { recursive: true })
    temporary = await temporaryBeside(path)
    await writeFile(temporary, `${heading(body)}\n${body}`)
    await rename(temporary, path)
    if (++written % COUNT_EVERY === 1) await makeRoom(folder)
  } catch {
    if (temporary) await rm(temporary, { force: true }).catch(() => {})
  }
}

let written = 0

/** Drops the oldest quarter of a folder that is full. */
async function makeRoom(folder: string): Promise<void> {
  const names = await readdir(folder)
  if (names.length <= MAX_ENTRIES) return
  const ages = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name)
      return { path, time: (await stat(path).catch(() => undefined))?.mtimeMs ?? 0 }
    }),
  )
  ages.sort((a, b) => a.time - b.time)
  const most = Math.floor(MAX_ENTRIES * 0.75)
  for (const { path } of ages.slice(0, names.length - most)) await rm(path, { force: true })
}

const heading = (body: string): string =>
  `${FORMAT} ${createHash('sha256').update(body).digest('hex').slice(0, 16)}`

/** Whole numbers as their first one, then runs of equal differences: difference, count, difference, count, … */
function shortened(values: ArrayLike<number>): number[] {
  if (values.length === 0) return []
  const result = [values[0]!]
  for (let i = 1; i < values.length; i++) {
    const difference = values[i]! - values[i - 1]!
    if (result.length > 1 && result.at(-2) === difference) result[result.length - 1]!++
    else result.push(difference, 1)
  }
  return result
}

function spelledOut([first, ...runs]: readonly number[]): number[] {
  if (first === undefined) return []
  const values = [first]
  for (let i = 0; i + 1 < runs.length; i += 2) {
    if (!(values.length + runs[i + 1]! <= MAX_FRAMES)) throw new RangeError('more frames than a video has')
    for (let k = 0; k < runs[i + 1]!; k++) values.push(values.at(-1)! + runs[i]!)
  }
  return values
}
