/**
 * The frame index of a plain WebM or Matroska file, read from its blocks without starting a program. As with
 * mp4-index.ts, whatever is out of the ordinary is left to FFmpeg. Layout: RFC 8794 (EBML) and RFC 9559.
 */
import { stat } from 'node:fs/promises'
import type { MediaFile } from '../files/media-file.ts'
import { readWhole } from '../files/read.ts'
import type { FrameIndex } from './frame-index.ts'
import { type StreamInfo, videoInfo } from './video-info.ts'

/** Larger files are FFmpeg's: this one reads them whole. */
const MAX_BYTES = 2 ** 25
const MAX_FRAMES = 2 ** 20

/** @returns undefined where the file is anything but a plain, whole Matroska */
export async function readMatroskaIndex(file: MediaFile): Promise<FrameIndex | undefined> {
  if (!/\.(?:webm|mkv)$/i.test(file.path)) return undefined
  try {
    if ((await stat(file.path)).size > MAX_BYTES) return undefined
    return indexOf(file, await readWhole(file.path, MAX_BYTES))
  } catch (error) {
    // Past the end, unreadable, or not as it should be: FFmpeg will say why.
    if (error instanceof RangeError || (error instanceof Error && 'code' in error)) return undefined
    throw error
  }
}

const ID = {
  header: 0x1a45dfa3,
  segment: 0x18538067,
  info: 0x1549a966,
  tracks: 0x1654ae6b,
  cluster: 0x1f43b675,
  attachments: 0x1941a469,
  timestampScale: 0x2ad7b1,
  duration: 0x4489,
  track: 0xae,
  trackNumber: 0xd7,
  trackType: 0x83,
  codec: 0x86,
  defaultDuration: 0x23e383,
  encodings: 0x6d80,
  video: 0xe0,
  width: 0xb0,
  height: 0xba,
  displayWidth: 0x54b0,
  displayHeight: 0x54ba,
  timestamp: 0xe7,
  simpleBlock: 0xa3,
  blockGroup: 0xa0,
  block: 0xa1,
  reference: 0xfb,
} as const
/** What a video track may say besides its size without needing FFmpeg: interlacing, alpha, colour. */
const HARMLESS: ReadonlySet<number> = new Set([
  0xb0, 0xba, 0x54b0, 0x54ba, 0x54b2, 0x9a, 0x9d, 0x53c0, 0x55b0, 0xec,
])
const CODECS: Readonly<Record<string, string>> = {
  V_VP9: 'vp9',
  V_AV1: 'av1',
  'V_MPEG4/ISO/AVC': 'h264',
  'V_MPEGH/ISO/HEVC': 'hevc',
  A_OPUS: 'opus',
  A_VORBIS: 'vorbis',
  A_AAC: 'aac',
}

interface Element {
  readonly id: number
  readonly body: Buffer
}

/** @throws RangeError for an element that reaches past its parent or has no known size, and for too many of them */
function* elements(bytes: Buffer): Generator<Element> {
  for (let [at, count] = [0, 0]; at < bytes.length; count++) {
    if (count === MAX_FRAMES) throw new RangeError('more elements than a plain file has')
    const idLength = Math.clz32(bytes.readUInt8(at)) - 23
    const id = bytes.readUIntBE(at, idLength)
    at += idLength
    const { value: length, width } = variableInteger(bytes, at)
    at += width
    if (at + length > bytes.length) throw new RangeError('cut off')
    yield { id, body: bytes.subarray(at, at + length) }
    at += length
  }
}

/** RFC 8794, section 4: leading zero bits give the width. All ones stand for an unknown size. */
function variableInteger(bytes: Buffer, at: number): { readonly value: number; readonly width: number } {
  const first = bytes.readUInt8(at)
  const width = Math.clz32(first) - 23
  if (width > 8) throw new RangeError('no such width')
  let value = first & (2 ** (8 - width) - 1)
  for (let i = 1; i < width; i++) value = value * 256 + bytes.readUInt8(at + i)
  if (value >= 2 ** Math.min(53, 7 * width) - 1) throw new RangeError('unknown size')
  return { value, width }
}

const unsigned = (body: Buffer | undefined): number =>
  body?.reduce((value, byte) => value * 256 + byte, 0) ?? 0
const float = (body: Buffer | undefined): number =>
  body?.length === 8 ? body.readDoubleBE(0) : body?.length === 4 ? body.readFloatBE(0) : 0

const children = (body: Buffer): Map<number, Buffer> =>
  new Map(Array.from(elements(body), (each) => [each.id, each.body]))

function indexOf(file: MediaFile, bytes: Buffer): FrameIndex | undefined {
  const [header, segment, ...more] = elements(bytes)
  if (header?.id !== ID.header || segment?.id !== ID.segment || more.length > 0) return undefined
  const parts = [...elements(segment.body)]
  if (parts.some(({ id }) => id === ID.attachments)) return undefined
  const only = (id: number) => parts.filter((each) => each.id === id)
  const [info, ...infos] = only(ID.info)
  const [tracks, ...others] = only(ID.tracks)
  if (!info || !tracks || infos.length > 0 || others.length > 0) return undefined

  const about = children(info.body)
  const scale = unsigned(about.get(ID.timestampScale)) || 1_000_000
  const streams: StreamInfo[] = []
  let chosen: ReadonlyMap<number, Buffer> | undefined
  for (const { id, body } of elements(tracks.body)) {
    if (id !== ID.track) continue
    const track = children(body)
    const codec = CODECS[track.get(ID.codec)?.toString('latin1') ?? '']
    const type = unsigned(track.get(ID.trackType)) === 1 ? 'video' : 'audio'
    if (!codec || track.has(ID.encodings) || (type === 'video') !== track.has(ID.video)) return undefined
    if (type === 'video') chosen ??= track
    streams.push({ index: streams.length, type, codec })
  }
  const stream = streams.find(({ type }) => type === 'video')
  const interval = Math.trunc(unsigned(chosen?.get(ID.defaultDuration)) / scale)
  if (!chosen || !stream || interval < 1) return undefined
  const picture = children(chosen.get(ID.video)!)
  if ([...picture.keys()].some((id) => !HARMLESS.has(id))) return undefined
  const [width, height] = [unsigned(picture.get(ID.width)), unsigned(picture.get(ID.height))]
  const [shownWidth, shownHeight] = [
    unsigned(picture.get(ID.displayWidth)),
    unsigned(picture.get(ID.displayHeight)),
  ]
  // Pixels that are not square, or a display size in other units.
  if ((shownWidth || width) !== width || (shownHeight || height) !== height) return undefined

  const frames = framesOf(only(ID.cluster), unsigned(chosen.get(ID.trackNumber)))
  if (!frames) return undefined
  frames.sort((a, b) => a.pts - b.pts)
  const pts = Float64Array.from(frames, (frame) => frame.pts)
  if (pts.some((each, i) => i > 0 && each <= pts[i - 1]!)) return undefined
  const timeBase = reducedBase(scale)
  const seconds = (ticks: number) => (ticks * timeBase.numerator) / timeBase.denominator
  const times = pts.map((each) => seconds(each - pts[0]!))
  const described = videoInfo(file, streams, stream, {
    container: 'matroska,webm',
    codedWidth: width,
    codedHeight: height,
    counterclockwise: 0,
    frameRate: rateOfInterval(unsigned(chosen.get(ID.defaultDuration))),
    startTime: seconds(pts[0]!),
    duration: seconds(float(about.get(ID.duration))) || undefined,
    frameCount: undefined,
    sampleAspectRatio: '1:1',
  })
  return {
    info: described,
    pts,
    times,
    keyframes: frames.flatMap(({ isKey }, i) => (isKey ? [i] : [])),
    timeBase,
    source: 'container',
    duration: times.at(-1)! + seconds(interval),
  }
}

/**
 * Frames a second from the nanoseconds between two. Containers hold whole nanoseconds, rounded either
 * way, so a rate that is whole, or a whole one's 1000/1001 as in television, is put back exactly.
 */
function rateOfInterval(nanoseconds: number): number {
  const rate = 1e9 / nanoseconds
  const exact = [1, 1.001].map((slowed) => Math.round(rate * slowed) / slowed)
  return exact.find((each) => Math.abs(1e9 / each - nanoseconds) < 1) ?? rate
}

/** The blocks of one track, in the order of the file; undefined for laced ones and none. */
function framesOf(clusters: readonly Element[], track: number) {
  const frames: { pts: number; isKey: boolean }[] = []
  for (const cluster of clusters) {
    let timestamp = 0
    for (const { id, body } of elements(cluster.body)) {
      if (id === ID.timestamp) timestamp = unsigned(body)
      if (id !== ID.simpleBlock && id !== ID.blockGroup) continue
      const group = id === ID.blockGroup ? children(body) : undefined
      const block = group ? group.get(ID.block) : body
      if (!block) return undefined
      const { value: number, width } = variableInteger(block, 0)
      if (number !== track) continue
      const flags = block.readUInt8(width + 2)
      // Laced blocks hold several frames; invisible ones show none.
      if (flags & 0x0e || frames.length >= MAX_FRAMES) return undefined
      const isKey = group ? !group.has(ID.reference) : (flags & 0x80) !== 0
      frames.push({ pts: timestamp + block.readInt16BE(width), isKey })
    }
  }
  return frames.length > 0 ? frames : undefined
}

/** Nanoseconds per tick as a fraction of a second. */
function reducedBase(scale: number): FrameIndex['timeBase'] {
  let [a, b] = [scale, 1e9]
  while (b) [a, b] = [b, a % b]
  return { numerator: scale / a, denominator: 1e9 / a }
}
