/**
 * What is in a video file: its streams and what the first video stream looks like. Told by ffprobe, or by
 * ffmpeg's own description where there is no ffprobe; nothing is decoded here.
 */
import { MnVideoError } from '../errors.ts'
import { type MediaFile, mediaFile } from '../files/media-file.ts'
import * as option from '../options.ts'
import { checkOptions, type OptionTable } from '../options.ts'
import { findBinaries } from './binaries.ts'
import { type RunOptions, run, whyUnreadable } from './ffmpeg.ts'
import { ffmpegName, INPUT_FENCE } from './ffmpeg-name.ts'
import { describeWithFfmpeg } from './probe-without-ffprobe.ts'
import { firstVideo, type VideoInfo, videoInfo } from './video-info.ts'

/** A packet of the first video stream: one frame as stored, in decoding order, in units of the time base. */
export interface Packet {
  readonly pts: number | undefined
  readonly duration: number | undefined
  readonly isKey: boolean
}

/** What a description with packets adds. */
export interface Described {
  readonly info: VideoInfo
  /** Seconds per unit of the packets' times; undefined where ffprobe is missing. */
  readonly timeBase: TimeBase | undefined
  /** Of the video stream; undefined where ffprobe is missing, empty where they were not asked for. */
  readonly packets: readonly Packet[] | undefined
}

/** Seconds per tick, as a fraction. */
export interface TimeBase {
  readonly numerator: number
  readonly denominator: number
}

const PROBE_OPTIONS: OptionTable<RunOptions> = { deadline: option.seconds, signal: option.signal }

/**
 * Describes a video file from its headers.
 *
 * @throws MnVideoError 'media', one line, for what is not a file with video; 'missing' without FFmpeg
 */
export async function probeVideo(path: string, options: RunOptions = {}): Promise<VideoInfo> {
  checkOptions('probeVideo', options, PROBE_OPTIONS)
  return (await describe(await mediaFile(path), options, { packets: false })).info
}

/** Describes a file; with packets it is read to its end (not decoded). */
export async function describe(
  file: MediaFile,
  options: RunOptions,
  ask: { readonly packets: boolean },
): Promise<Described> {
  const { ffprobe } = await findBinaries()
  if (!ffprobe)
    return { ...(await describeWithFfmpeg(file, options)), timeBase: undefined, packets: undefined }
  const sections = new Sections()
  let rest = ''
  const errors = await run({
    ...options,
    file,
    program: ffprobe,
    args: [
      ...['-hide_banner', '-loglevel', 'level+error', ...INPUT_FENCE, '-of', 'default'],
      ...['-show_entries', ask.packets ? `${HEADER_ENTRIES}:${PACKET_ENTRIES}` : HEADER_ENTRIES],
      ...['-i', ffmpegName(file)],
    ],
    onOutput: (piece) => {
      const lines = (rest + piece.toString('latin1')).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) sections.add(line.trimEnd())
      return rest.length < 65_536
    },
  })
  const { format, packets } = sections
  const streams = [...sections.streams.values()].sort((a, b) => Number(a.index) - Number(b.index))
  if (streams.length === 0) {
    throw new MnVideoError('media', `${file.shown}: ${whyUnreadable(errors, file)}.`)
  }
  const list = streams.map((stream) => ({
    index: Number(stream.index),
    type: stream['DISPOSITION:attached_pic'] === '1' ? 'picture' : (stream.codec_type ?? 'unknown'),
    codec: stream.codec_name ?? 'unknown',
  }))
  const chosen = firstVideo(file, list)
  const stream = streams.find((each) => Number(each.index) === chosen.index)!
  const info = videoInfo(file, list, chosen, {
    container: format.format_name ?? 'unknown',
    codedWidth: Number(stream.width),
    codedHeight: Number(stream.height),
    counterclockwise: Number(stream.rotation ?? -Number(stream['TAG:rotate'] ?? 0)),
    frameRate: ratio(stream.avg_frame_rate) ?? ratio(stream.r_frame_rate),
    startTime: seconds(stream.start_time),
    duration: positive(seconds(stream.duration) ?? seconds(format.duration)),
    frameCount: positive(seconds(stream.nb_frames)),
    sampleAspectRatio: stream.sample_aspect_ratio,
  })
  const [numerator, denominator] = (stream.time_base ?? '').split('/').map(Number)
  return {
    info,
    timeBase: numerator && denominator ? { numerator, denominator } : undefined,
    packets: packets.get(chosen.index) ?? [],
  }
}

const HEADER_ENTRIES = [
  'format=format_name,duration',
  'stream=index,codec_type,codec_name,width,height,sample_aspect_ratio,avg_frame_rate,r_frame_rate,time_base,start_time,duration,nb_frames',
  'stream_disposition=attached_pic',
  'stream_tags=rotate',
  'stream_side_data=rotation',
].join(':')
const PACKET_ENTRIES = 'packet=stream_index,pts,duration,flags'

type Fields = Record<string, string>

/** Reads ffprobe's default layout, `[STREAM]`, `key=value`, `[/STREAM]`, line by line. */
class Sections {
  /** By index: a stream stands in each of its programs (MPEG-TS) too, with less about it than in the last place. */
  readonly streams = new Map<string | undefined, Fields>()
  readonly packets = new Map<number, Packet[]>()
  format: Fields = {}
  #open: Fields = {}

  add(line: string): void {
    const equals = line.indexOf('=')
    if (equals > 0) this.#open[line.slice(0, equals)] = line.slice(equals + 1)
    // Side data lies inside its stream and adds its fields to it.
    else if (line === '[STREAM]' || line === '[FORMAT]' || line === '[PACKET]') this.#open = {}
    else if (line === '[/STREAM]') this.streams.set(this.#open.index, this.#open)
    else if (line === '[/FORMAT]') this.format = this.#open
    else if (line === '[/PACKET]') this.#addPacket(this.#open)
  }

  #addPacket(fields: Fields): void {
    const flags = fields.flags ?? ''
    // Cut away by an edit list: decoded, but not shown.
    if (flags.includes('D')) return
    const stream = Number(fields.stream_index)
    const packets = this.packets.get(stream) ?? []
    if (packets.length === 0) this.packets.set(stream, packets)
    packets.push({
      pts: seconds(fields.pts),
      duration: positive(seconds(fields.duration)),
      isKey: flags.includes('K'),
    })
  }
}

function seconds(text: string | undefined): number | undefined {
  const value = Number(text ?? Number.NaN)
  return Number.isFinite(value) ? value : undefined
}

function positive(value: number | undefined): number | undefined {
  return value !== undefined && value > 0 ? value : undefined
}

function ratio(text: string | undefined): number | undefined {
  const [numerator, denominator] = (text ?? '').split('/').map(Number)
  return numerator && denominator ? numerator / denominator : undefined
}
