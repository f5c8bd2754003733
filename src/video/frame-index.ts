/**
 * When each frame of a video is shown: the list that makes choosing frames exact, whatever the frame rate does.
 * Read from the container where that can be trusted, else by decoding the video once.
 */
import { MnVideoError } from '../errors.ts'
import { type MediaFile, mediaFile } from '../files/media-file.ts'
import { MAX_PIXELS } from '../frames/geometry.ts'
import { findBinaries, isBeforeFpsMode } from './binaries.ts'
import { ffmpegArguments, type RunOptions, reasonFrom, run } from './ffmpeg.ts'
import { ffmpegName, INPUT_FENCE } from './ffmpeg-name.ts'
import { readMatroskaIndex } from './matroska-index.ts'
import { readMp4Index } from './mp4-index.ts'
import { describe, type Packet, type TimeBase } from './probe.ts'
import type { VideoInfo } from './video-info.ts'

/** The frames of a video's first video stream, in the order of their times. */
export interface FrameIndex {
  readonly info: VideoInfo
  /** Presentation time of each frame, in ticks: what FFmpeg's filters call pts. Increasing, at least one. */
  readonly pts: Float64Array
  /** The same in seconds from the first frame. */
  readonly times: Float64Array
  /** Seconds from the first frame's beginning to the last one's end. */
  readonly duration: number
  /** Positions in pts of the frames at which decoding may begin; empty where only the start is safe. */
  readonly keyframes: readonly number[]
  readonly timeBase: TimeBase
  /** Whether the list is what the container promises or what decoding gave. */
  readonly source: 'container' | 'decoding'
}

/**
 * Lists a video's frames. A plain MP4 or WebM tells them itself; any other file is read to its end once: a caller
 * that decodes several clips of one file keeps the index and passes it along (index-cache.ts keeps it on disk).
 *
 * @throws MnVideoError 'media', one line naming the file and why it has no frames
 */
export async function readFrameIndex(path: string, options: RunOptions = {}): Promise<FrameIndex> {
  const file = await mediaFile(path)
  return (await readPlainIndex(file)) ?? readIndexWithFfmpeg(file, options)
}

/** The index of a file whose own tables tell it in milliseconds; undefined for all others. */
export async function readPlainIndex(file: MediaFile): Promise<FrameIndex | undefined> {
  const mp4 = await readMp4Index(file)
  if (mp4) return mp4.missingBytes === 0 ? mp4.index : undefined
  return readMatroskaIndex(file)
}

/** The same through FFmpeg's programs, whatever the container. */
export async function readIndexWithFfmpeg(file: MediaFile, options: RunOptions = {}): Promise<FrameIndex> {
  const { info, timeBase, packets } = await describe(file, options, { packets: true })
  return (
    (timeBase && packets && indexFromPackets(info, timeBase, packets)) ?? indexByDecoding(file, info, options)
  )
}

/** Lists the frames that decoding the whole video gives, in spite of damage or a container without times. */
export async function indexByDecoding(
  file: MediaFile,
  info: VideoInfo,
  options: RunOptions,
): Promise<FrameIndex> {
  const { ffmpeg, version } = await findBinaries()
  const log = new FrameLog()
  const errors = await run({
    ...options,
    file,
    program: ffmpeg,
    args: ffmpegArguments({
      ...exactInput(file),
      filters: log.filter,
      format: 'null',
      outputOptions: exactOutput(info, version),
    }),
    onLine: (line) => log.add(line),
    onOutput: () => false,
  })
  const { pts, timeBase } = log
  if (pts.length === 0 || !timeBase) {
    throw new MnVideoError(
      'media',
      `${file.shown}: no frame of its video stream (${info.codec}) can be decoded: ${reasonFrom(errors, file)}.`,
    )
  }
  const frames = pts.map((each) => ({ pts: each, isKey: false, duration: undefined }))
  return frameIndex(info, timeBase, 'decoding', frames)
}

/** Input options and name under which presentation times come out as the container states them. */
export function exactInput(file: MediaFile): { input: string; inputOptions: string[] } {
  return {
    input: ffmpegName(file),
    inputOptions: [...INPUT_FENCE, '-max_pixels', `${MAX_PIXELS}`, '-copyts'],
  }
}

/** Output options for the video stream alone, frame by frame. */
export function exactOutput(info: VideoInfo, version: string): string[] {
  return ['-map', `0:${info.streamIndex}`, ...everyFrame(version)]
}

/** Output options under which no frame is dropped or doubled to even out the frame rate. */
export function everyFrame(version: string): string[] {
  return [isBeforeFpsMode(version) ? '-vsync' : '-fps_mode', 'passthrough']
}

/** The frames that pass a point of a filter chain, read from what `showinfo` prints there. */
export class FrameLog {
  /** Stands at that point. */
  readonly filter: string
  readonly pts: number[] = []
  /** Those of pts whose frame the decoder calls a keyframe, whatever the container says. */
  readonly keys = new Set<number>()
  timeBase: TimeBase | undefined
  readonly #begin: string

  /** @param name tells apart several logs of one run */
  constructor(name = 'frames') {
    this.filter = `showinfo@${name}=checksum=0`
    this.#begin = `[showinfo@${name} `
  }

  add(line: string): void {
    if (!line.startsWith(this.#begin)) return
    const frame = /\] n: *\d+ pts: *(-?\d+) .*? iskey:([01])/.exec(line)
    if (frame) {
      const pts = Number(frame[1])
      this.pts.push(pts)
      if (frame[2] === '1') this.keys.add(pts)
    }
    const base = /\] config in time_base: (\d+)\/(\d+)/.exec(line)
    if (base) this.timeBase = { numerator: Number(base[1]), denominator: Number(base[2]) }
  }
}

/**
 * Containers whose packets carry the time of the frame they decode to. Not so: AVI (no presentation times) and
 * elementary streams; VP8 in any container, where a packet may hold a frame that is never shown.
 */
const TRUSTED_CONTAINERS = /\b(mov|matroska|mpegts)\b/

function indexFromPackets(
  info: VideoInfo,
  timeBase: TimeBase,
  packets: readonly Packet[],
): FrameIndex | undefined {
  if (!TRUSTED_CONTAINERS.test(info.container) || info.codec === 'vp8') return undefined
  const frames = packets.flatMap(({ pts, ...rest }) => (pts === undefined ? [] : [{ pts, ...rest }]))
  if (frames.length === 0 || frames.length < packets.length) return undefined
  frames.sort((a, b) => a.pts - b.pts)
  return frameIndex(info, timeBase, 'container', frames)
}

function frameIndex(
  info: VideoInfo,
  timeBase: TimeBase,
  source: FrameIndex['source'],
  frames: readonly { readonly pts: number; readonly isKey: boolean; readonly duration: number | undefined }[],
): FrameIndex {
  const shown: number[] = []
  const keyframes: number[] = []
  for (const { pts, isKey } of frames) {
    // A frame stamped no later than the one before it has no time in which it is the one shown.
    if (shown.length > 0 && pts <= shown.at(-1)!) continue
    if (isKey) keyframes.push(shown.length)
    shown.push(pts)
  }
  const seconds = (ticks: number) => (ticks * timeBase.numerator) / timeBase.denominator
  const pts = Float64Array.from(shown)
  const times = pts.map((each) => seconds(each - pts[0]!))
  const lastTicks = frames.at(-1)!.duration
  const lastSeconds = lastTicks === undefined ? usualInterval(times, info) : seconds(lastTicks)
  return { info, timeBase, source, pts, times, keyframes, duration: times.at(-1)! + lastSeconds }
}

/** How long a frame whose duration nothing states is taken to last. */
function usualInterval(times: Float64Array, info: VideoInfo): number {
  if (info.frameRate) return 1 / info.frameRate
  return times.length > 1 ? times.at(-1)! / (times.length - 1) : 0
}
