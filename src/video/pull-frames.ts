/**
 * Pulls chosen frames out of a video through FFmpeg: picks them by presentation time, seeks past what is not
 * needed, checks that each arrived. What they are chosen for is the callers' business.
 */
import { MnVideoError } from '../errors.ts'
import { type MediaFile, mediaFile } from '../files/media-file.ts'
import { layOutPicture, type PictureLayout, type PictureRequest, requireBytes } from '../frames/geometry.ts'
import { findBinaries } from './binaries.ts'
import { ffmpegArguments, type RunOptions, reasonFrom, run } from './ffmpeg.ts'
import {
  exactInput,
  exactOutput,
  type FrameIndex,
  FrameLog,
  indexByDecoding,
  readFrameIndex,
} from './frame-index.ts'
import { createFramePixels, isScaledHere } from './frame-pixels.ts'
import { framesShownAt } from './sampling.ts'

export interface PullOptions extends RunOptions {
  /** What readFrameIndex said of the file, to be spared reading it again. */
  readonly index?: FrameIndex
  /** Threads of the decoder; FFmpeg's choice by default. */
  readonly threads?: number
}

/** The different frames shown at some moments. */
export interface PulledFrames {
  /** 8-bit RGB, row-major [frames, H, W, 3], each frame once, in order of time. */
  readonly data: Uint8Array
  readonly height: number
  readonly width: number
  /** Seconds from the video's first frame, for each frame of data. */
  readonly times: readonly number[]
  /** For each moment asked for, the place in data of the frame shown then. */
  readonly shown: readonly number[]
}

/**
 * Pulls the frames shown at some moments (seconds from the first frame, as decided from the index).
 *
 * A container may call a frame a keyframe that is none. Then decoding starts from the beginning. It may promise a
 * frame that does not decode. Then the frames are listed anew by decoding, and moments and frames are chosen once
 * more among those that exist.
 */
export async function pullFrames(
  path: string,
  momentsIn: (index: FrameIndex) => readonly number[],
  request: PictureRequest,
  options: PullOptions,
): Promise<PulledFrames> {
  const file = await mediaFile(path)
  let index = options.index ?? (await readFrameIndex(path, options))
  const layout = layOutPicture(file.shown, index.info, request)
  for (;;) {
    const moments = momentsIn(index)
    requireMoments(file, moments)
    const shown = framesShownAt(index.times, moments)
    const wanted = [...new Set(shown)].sort((a, b) => a - b)
    const { data, arrived, errors, isSound } = await pull(file, index, wanted, layout, options)
    if (!isSound) {
      index = fromTheStart(index)
      continue
    }
    const isComplete =
      arrived.length === wanted.length && arrived.every((position, i) => position === wanted[i])
    if (isComplete || (index.source === 'decoding' && arrived.length > 0)) {
      const positions = isComplete ? wanted : arrived
      return {
        data,
        height: layout.output.height,
        width: layout.output.width,
        times: positions.map((position) => index.times[position]!),
        shown: shown.map((position) => lastAtOrBefore(positions, position)),
      }
    }
    if (index.source === 'decoding') {
      throw new MnVideoError('media', `${file.shown}: no frame can be decoded: ${reasonFrom(errors, file)}.`)
    }
    index = await indexByDecoding(file, index.info, options)
  }
}

interface Pull {
  readonly data: Uint8Array
  /** Positions in the index of the frames in data. */
  readonly arrived: readonly number[]
  readonly errors: readonly string[]
  /** Whether decoding began where it can; if not, the pixels may be wrong. */
  readonly isSound: boolean
}

/** Pulls frames by their increasing positions in the index; stops early where one does not arrive. */
async function pull(
  file: MediaFile,
  index: FrameIndex,
  wanted: readonly number[],
  layout: PictureLayout,
  options: PullOptions,
): Promise<Pull> {
  const frameBytes = layout.output.width * layout.output.height * 3
  requireBytes(file.shown, wanted.length * frameBytes)
  const data = new Uint8Array(wanted.length * frameBytes)
  const arrived: number[] = []
  let [errors, isSound]: [readonly string[], boolean] = [[], true]
  for (const stretch of stretches(index, wanted)) {
    const begin = arrived.length * frameBytes
    const room = data.subarray(begin, begin + stretch.positions.length * frameBytes)
    const pulled = await pullStretch(file, index, stretch, layout, room, options)
    arrived.push(...pulled.arrived)
    errors = pulled.errors
    isSound = pulled.isSound
    if (!isSound || pulled.arrived.length < stretch.positions.length) break
  }
  return { data, arrived, errors, isSound }
}

/** The same frames, decoded from the beginning wherever they lie. */
export const fromTheStart = (index: FrameIndex): FrameIndex => ({ ...index, keyframes: [] })

/**
 * A line for every frame decoded, so that a long way to the first frame picked is not taken for a standstill. Where
 * the way is short it would only cost time.
 */
const PROGRESS = 'showinfo@progress=checksum=0'
const LONG_WAY = 100

/** Frames that one run of ffmpeg pulls. */
export interface Stretch {
  readonly positions: number[]
  /** Position of the keyframe to seek to; undefined to decode from the start. */
  readonly keyframe: number | undefined
}

/** Seconds of video that are decoded and thrown away rather than start ffmpeg again behind them. */
const WORTH_A_RESTART = 20
/** Frames picked by one run: their times (31 characters each at the most) must fit in one argument of 128 KiB. */
const MOST_PICKED = 4000

/** Cuts wanted frames into stretches where a keyframe lies far behind one frame and before the next. */
export function stretches(index: FrameIndex, wanted: readonly number[]): Stretch[] {
  const result: Stretch[] = []
  for (const position of wanted) {
    const place = lastAtOrBefore(index.keyframes, position)
    const keyframe = place > 0 ? index.keyframes[place] : undefined
    const current = result.at(-1)
    const reached = current?.positions.at(-1)
    const skipped =
      keyframe !== undefined && reached !== undefined ? index.times[keyframe]! - index.times[reached]! : 0
    const isFull = current?.positions.length === MOST_PICKED
    if (!current || isFull || skipped > WORTH_A_RESTART) result.push({ positions: [position], keyframe })
    else current.positions.push(position)
  }
  return result
}

async function pullStretch(
  file: MediaFile,
  index: FrameIndex,
  stretch: Stretch,
  layout: PictureLayout,
  room: Uint8Array,
  { threads, ...options }: PullOptions,
): Promise<Omit<Pull, 'data'>> {
  const { positions, keyframe } = stretch
  const { ffmpeg, version } = await findBinaries()
  const { input, inputOptions } = exactInput(file)
  const log = new FrameLog()
  const pixels = createFramePixels(layout, room)
  const errors = await run({
    ...options,
    file,
    program: ffmpeg,
    args: ffmpegArguments({
      input,
      inputOptions: [
        ...inputOptions,
        ...(threads === undefined ? [] : ['-threads', `${threads}`]),
        ...seekOptions(index, keyframe),
      ],
      filters: [
        ...(positions.at(-1)! - (keyframe ?? 0) > LONG_WAY ? [PROGRESS] : []),
        ...pickFilters(index, stretch, log),
        ...pictureFilters(layout),
      ].join(','),
      format: 'rawvideo',
      outputOptions: [
        ...exactOutput(index.info, version),
        '-pix_fmt',
        'rgb24',
        '-frames:v',
        `${positions.length}`,
      ],
    }),
    onLine: (line) => log.add(line),
    onOutput: (piece) => pixels.add(piece),
  })
  const positionOf = new Map(positions.map((position) => [index.pts[position]!, position]))
  const places = ptsOf(index, stretch, log)
    .slice(0, pixels.frames)
    .map((pts) => positionOf.get(pts))
  const stranger = places.indexOf(undefined)
  const arrived = places.slice(0, stranger < 0 ? undefined : stranger) as number[]
  const isComplete = arrived.length === positions.length
  return { arrived, errors, isSound: isSound(index, stretch, log, isComplete, errors) }
}

/**
 * Whether frames that came after seeking are those that decoding from the start gives. Their times do not tell: most
 * decoders begin anywhere, and show grey or smeared pictures until the next keyframe. So the frame that was sought
 * must have come out, be a keyframe to its decoder too, and nothing may have been complained of.
 */
export function isSound(
  index: FrameIndex,
  { keyframe }: Stretch,
  log: FrameLog,
  isComplete: boolean,
  errors: readonly string[],
): boolean {
  if (keyframe === undefined) return true
  const { codec, container } = index.info
  const isKey = log.keys.has(index.pts[keyframe]!)
  // Shows nothing before its pictures are whole, be it frames after the one sought; complains of those it withholds.
  if (codec === 'h264') return isKey || isComplete
  // Its seeks land before the keyframe, amid pictures whose references are missing.
  if (isMpegTs(index)) return isKey
  return isKey && !errors.some((line) => !line.startsWith(`[${container} @`) && !line.startsWith('[h264 @'))
}

const isMpegTs = ({ info }: FrameIndex): boolean => info.container.includes('mpegts')

/**
 * Starts at a keyframe. All frames from there on are kept (not only those after the time given), with their own
 * times; pickFilter does the choosing. MPEG-TS has no list of keyframes: a second's margin covers that a search
 * by time may land behind the packet it is for.
 */
export function seekOptions(index: FrameIndex, keyframe: number | undefined): string[] {
  if (keyframe === undefined) return []
  const { numerator, denominator } = index.timeBase
  const margin = isMpegTs(index) ? 1 : 0
  const target = Math.ceil(((index.pts[keyframe]! * numerator) / denominator - margin) * 1e6) / 1e6
  return ['-noaccurate_seek', '-seek_timestamp', '1', '-ss', target.toFixed(6)]
}

/**
 * Passes a stretch's frames, each once, in order of time. The keyframe that was sought is logged too, to be judged,
 * and then dropped where it is none of them.
 */
export function pickFilters(index: FrameIndex, stretch: Stretch, log: FrameLog): string[] {
  const { positions, keyframe } = stretch
  const isExtra = keyframe !== undefined && keyframe !== positions[0]
  const ranges: FrameRange[] = []
  for (const position of isExtra ? [keyframe, ...positions] : positions) {
    const [pts, last] = [index.pts[position]!, ranges.at(-1)]
    if (last?.end === position - 1) ranges[ranges.length - 1] = { ...last, end: position, to: pts }
    else ranges.push({ end: position, from: pts, to: pts })
  }
  return [
    `select='(isnan(prev_selected_pts)+gt(pts,prev_selected_pts))*${picked(ranges)}'`,
    log.filter,
    ...(isExtra ? [`select='gt(pts,${index.pts[keyframe]})'`] : []),
  ]
}

/** The times of a stretch's own frames among those logged. */
export function ptsOf(index: FrameIndex, { positions }: Stretch, log: FrameLog): readonly number[] {
  const first = index.pts[positions[0]!]!
  return log.pts.filter((pts) => pts >= first)
}

/** Frames in a row: the position of the last one, and the times of the first and the last one. */
interface FrameRange {
  readonly end: number
  readonly from: number
  readonly to: number
}

/** Ranges looked through one by one. FFmpeg refuses sums of 100 terms and more, and each costs time for every frame. */
const MOST_ADDED = 8

/** Whether a frame's time lies in one of the ranges, as FFmpeg's expression: a search by halves. */
function picked(ranges: readonly FrameRange[]): string {
  if (ranges.length > MOST_ADDED) {
    const middle = ranges.length >> 1
    const [before, after] = [ranges.slice(0, middle), ranges.slice(middle)]
    return `if(lt(pts,${after[0]!.from}),${picked(before)},${picked(after)})`
  }
  const terms = ranges.map(({ from, to }) => (from === to ? `eq(pts,${from})` : `between(pts,${from},${to})`))
  return `(${terms.join('+')})`
}

/**
 * The scale filter stands even at native size: a video may change its size midway, its clip may not. Frames that are
 * scaled here come out as they are.
 */
export function pictureFilters(layout: PictureLayout): string[] {
  const { native, scaled, isScaled, crop, flip } = layout
  if (isScaledHere(layout)) return [`scale=${native.width}:${native.height}`, 'format=rgb24']
  const filters = [
    `scale=${scaled.width}:${scaled.height}${isScaled ? ':flags=bilinear' : ''}`,
    'format=rgb24',
  ]
  if (crop) filters.push(`crop=${crop.width}:${crop.height}:${crop.left}:${crop.top}`)
  if (flip) filters.push('hflip')
  return filters
}

function requireMoments(file: MediaFile, moments: readonly number[]): void {
  if (moments.length > 0 && moments.every(Number.isFinite)) return
  throw new MnVideoError(
    'media',
    `${file.shown}: asked for ${moments.length ? 'a moment that is no number' : 'no frames'}.`,
  )
}

/** The place of the last of some increasing values that is not above a value; 0 where all are, -1 without any. */
function lastAtOrBefore(values: readonly number[], value: number): number {
  let place = Math.min(0, values.length - 1)
  for (let [low, high] = [0, values.length]; low < high; ) {
    const middle = (low + high) >> 1
    if (values[middle]! <= value) {
      place = middle
      low = middle + 1
    } else high = middle
  }
  return place
}
