/**
 * The frame index of an MP4 or MOV file, read from its sample tables without starting a program: a thousandth of
 * what ffprobe costs. It understands the plain files that encoders write and says so where it does not:
 * everything else (fragments, real edit lists, codecs not listed, covers, …) is FFmpeg's to describe.
 * Layout: ISO/IEC 14496-12, 8.2 to 8.7.
 */
import type { FileHandle } from 'node:fs/promises'
import type { MediaFile } from '../files/media-file.ts'
import { openFile } from '../files/read.ts'
import type { FrameIndex } from './frame-index.ts'
import { type StreamInfo, type VideoInfo, videoInfo } from './video-info.ts'

/** A file's frames as its tables promise them, and whether the bytes that they point at are there. */
export interface Mp4Index {
  readonly index: FrameIndex
  /** Bytes that the file would have to be longer to hold all its samples; 0 where it is whole. */
  readonly missingBytes: number
}

/** @returns undefined where the file is anything but a plain MP4 or MOV */
export async function readMp4Index(file: MediaFile): Promise<Mp4Index | undefined> {
  const handle = await openFile(file.path).catch(() => undefined)
  if (!handle) return undefined
  try {
    const { size } = await handle.stat()
    const movie = await readMovie(handle, size)
    return movie && indexOf(file, movie, size)
  } catch (error) {
    // Reading past the end of a box: a damaged file, which FFmpeg will describe.
    if (error instanceof RangeError) return undefined
    throw error
  } finally {
    await handle.close()
  }
}

/** The comment in a file's tags, as iTunes lays them out; undefined where there is none. */
export async function readMp4Comment(path: string): Promise<string | undefined> {
  const handle = await openFile(path).catch(() => undefined)
  if (!handle) return undefined
  try {
    const movie = await readMovie(handle, (await handle.stat()).size)
    // `meta` starts with a version of four bytes, `data` with its type and language, of four each.
    const tags = inside(movie, 'udta', 'meta')?.subarray(4)
    return inside(tags, 'ilst', '\u00a9cmt', 'data')?.toString('utf8', 8)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  } finally {
    await handle.close()
  }
}

const MAX_MOVIE_BYTES = 2 ** 26
const MAX_SAMPLES = 2 ** 23
/** What an encoder writes before and beside `moov`. */
const TOP_LEVEL = new Set(['ftyp', 'moov', 'mdat', 'free', 'skip', 'wide', 'uuid', 'udta', 'pnot'])

/** The payload of `moov`, where the file consists of known boxes that fill it. */
async function readMovie(handle: FileHandle, size: number): Promise<Buffer | undefined> {
  const header = Buffer.alloc(16)
  let movie: Buffer | undefined
  for (let at = 0, boxes = 0; at < size; boxes++) {
    const { bytesRead } = await handle.read(header, 0, 16, at)
    const type = header.toString('latin1', 4, 8)
    if (bytesRead < 8 || !TOP_LEVEL.has(type) || boxes > 64) return undefined
    if (boxes === 0 && type !== 'ftyp') return undefined
    const short = header.readUInt32BE(0)
    const head = short === 1 ? 16 : 8
    const length = short === 0 ? size - at : short === 1 ? Number(header.readBigUInt64BE(8)) : short
    if (length < head) return undefined
    if (type === 'moov') {
      if (movie || length > MAX_MOVIE_BYTES || at + length > size) return undefined
      movie = Buffer.alloc(length - head)
      if ((await handle.read(movie, 0, movie.length, at + head)).bytesRead < movie.length) return undefined
    }
    at += length
  }
  return movie
}

type Boxes = readonly { readonly type: string; readonly body: Buffer }[]

function boxesIn(bytes: Buffer): Boxes {
  const boxes: { type: string; body: Buffer }[] = []
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    if (length < 8 || at + length > bytes.length) break
    boxes.push({ type: bytes.toString('latin1', at + 4, at + 8), body: bytes.subarray(at + 8, at + length) })
    at += length
  }
  return boxes
}

function inside(bytes: Buffer | undefined, ...path: readonly string[]): Buffer | undefined {
  return path.reduce<Buffer | undefined>(
    (body, type) => body && boxesIn(body).find((box) => box.type === type)?.body,
    bytes,
  )
}

function indexOf(file: MediaFile, movie: Buffer, fileSize: number): Mp4Index | undefined {
  const boxes = boxesIn(movie)
  // Fragments continue elsewhere; a cover picture is a stream of its own to FFmpeg.
  if (boxes.some(({ type }) => type === 'mvex' || type === 'cmov') || movie.includes('covr')) return undefined
  const tracks = boxes.filter(({ type }) => type === 'trak').map(({ body }) => body)
  const streams: StreamInfo[] = []
  for (const [index, track] of tracks.entries()) {
    const stream = streamOf(track, index)
    if (!stream) return undefined
    streams.push(stream)
  }
  const chosen = streams.find(({ type }) => type === 'video')
  const header = boxes.find(({ type }) => type === 'mvhd')?.body
  if (!chosen || !header) return undefined
  const track = tracks[chosen.index]!
  const table = inside(track, 'mdia', 'minf', 'stbl')
  const picture = table && pictureOf(track, table)
  const samples = table && samplesOf(track, table, timescaleOf(header), fileSize)
  if (!picture || !samples) return undefined
  const { timescale, pts, keyframes, lastTicks, ticks, end } = samples
  const start = pts[0]!
  const times = pts.map((each) => (each - start) / timescale)
  const info: VideoInfo = videoInfo(file, streams, chosen, {
    container: 'mov,mp4,m4a,3gp,3g2,mj2',
    ...picture,
    frameRate: ticks > 0 ? (samples.count * timescale) / ticks : undefined,
    startTime: start / timescale,
    duration: ticks > 0 ? ticks / timescale : undefined,
    frameCount: samples.count,
  })
  const duration = times.at(-1)! + lastTicks / timescale
  const timeBase = { numerator: 1, denominator: timescale }
  const index: FrameIndex = { info, timeBase, source: 'container', pts, times, keyframes, duration }
  return { index, missingBytes: Math.max(0, end - fileSize) }
}

/** Sample entries whose codec their name settles. */
const CODECS: Readonly<Record<string, string>> = {
  avc1: 'h264',
  avc3: 'h264',
  hvc1: 'hevc',
  hev1: 'hevc',
  vp09: 'vp9',
  av01: 'av1',
}

function streamOf(track: Buffer, index: number): StreamInfo | undefined {
  const handler = inside(track, 'mdia', 'hdlr')?.toString('latin1', 8, 12)
  const entries = inside(track, 'mdia', 'minf', 'stbl', 'stsd')
  if (entries?.readUInt32BE(4) !== 1) return undefined
  const name = entries.toString('latin1', 12, 16)
  const video = CODECS[name]
  if (handler === 'vide' && video) return { index, type: 'video', codec: video }
  if (handler === 'soun' && name === 'mp4a' && isAac(entries)) return { index, type: 'audio', codec: 'aac' }
  return undefined
}

/** Whether the elementary stream descriptor (ISO/IEC 14496-1, 7.2.6.5) has object type 0x40. */
function isAac(entries: Buffer): boolean {
  let at = entries.indexOf('esds', 0, 'latin1') + 8
  const skipHeader = (tag: number): boolean => {
    if (entries[at++] !== tag) return false
    // A length in one to four bytes of seven bits each.
    while (entries[at++]! & 0x80);
    return true
  }
  if (at < 8 || !skipHeader(3)) return false
  at += 3
  return skipHeader(4) && entries[at] === 0x40
}

const ROTATIONS: Readonly<Record<string, number>> = {
  '1,0,0,1': 0,
  '0,1,-1,0': -90,
  '-1,0,0,-1': 180,
  '0,-1,1,0': 90,
}

function pictureOf(track: Buffer, table: Buffer) {
  const entry = inside(table, 'stsd')!.subarray(16)
  const [codedWidth, codedHeight] = [entry.readUInt16BE(24), entry.readUInt16BE(26)]
  const header = inside(track, 'tkhd')
  if (!header || !codedWidth || !codedHeight) return undefined
  const matrix = header[0] === 1 ? 52 : 40
  const turn = [0, 4, 12, 16].map((at) => header.readInt32BE(matrix + at) / 65536).join(',')
  const counterclockwise = ROTATIONS[turn]
  if (counterclockwise === undefined) return undefined
  const aspect = inside(entry.subarray(78), 'pasp')
  const sampleAspectRatio = aspect && reduced(aspect.readUInt32BE(0), aspect.readUInt32BE(4))
  return { codedWidth, codedHeight, counterclockwise, sampleAspectRatio }
}

function reduced(width: number, height: number): string {
  let [a, b] = [width, height]
  while (b) [a, b] = [b, a % b]
  return a ? `${width / a}:${height / a}` : '0:1'
}

/** Ticks per second of `mvhd` and `mdhd`. */
const timescaleOf = (header: Buffer): number => header.readUInt32BE(header[0] === 1 ? 20 : 12)

/** The times of a track's samples, where an edit list does no more than hide the delay of B-frames. */
function samplesOf(track: Buffer, table: Buffer, movieTimescale: number, fileSize: number) {
  const boxes = new Map(boxesIn(table).map(({ type, body }) => [type, body]))
  // Partial sync samples and sample groups make more frames keyframes than stss says.
  if (['stps', 'sbgp', 'sgpd', 'stz2'].some((type) => boxes.has(type))) return undefined
  const media = inside(track, 'mdia', 'mdhd')
  const [sizes, durations] = [boxes.get('stsz'), boxes.get('stts')]
  if (!media || !sizes || !durations) return undefined
  const timescale = timescaleOf(media)
  const count = sizes.readUInt32BE(8)
  if (!timescale || !count || count > MAX_SAMPLES) return undefined
  // A count is believed as far as there are bytes for it, in the table of sizes or in the file.
  const [same, room] = [sizes.readUInt32BE(4), sizes.length - 12]
  if (same ? count > fileSize / same : count > room / 4) return undefined

  const stored = new Float64Array(count)
  const lengths = new Float64Array(count)
  let [sample, ticks] = [0, 0]
  for (const [run, delta] of pairs(durations)) {
    if (run > count - sample || delta > 2 ** 28) return undefined
    for (let i = 0; i < run; i++, ticks += delta) {
      stored[sample] = ticks
      lengths[sample++] = delta
    }
  }
  if (sample !== count) return undefined
  const offsets = boxes.get('ctts')
  if (offsets) {
    sample = 0
    for (const [run, offset] of pairs(offsets)) {
      if (run > count - sample || Math.abs(offset | 0) > 2 ** 28) return undefined
      for (let i = 0; i < run; i++) stored[sample++]! += offset | 0
    }
    if (sample !== count) return undefined
  }

  const order = Array.from(stored.keys()).sort((a, b) => stored[a]! - stored[b]!)
  const first = stored[order[0]!]!
  const last = stored[order[count - 1]!]!
  const shift = editShift(inside(track, 'edts', 'elst'), first, last, timescale / movieTimescale)
  if (shift === undefined) return undefined
  const sync = boxes.get('stss')
  const isKey = new Uint8Array(count).fill(sync ? 0 : 1)
  if (sync) {
    for (let i = 0; i < sync.readUInt32BE(4); i++) {
      const number = sync.readUInt32BE(8 + 4 * i)
      if (number < 1 || number > count) return undefined
      isKey[number - 1] = 1
    }
  }
  const pts: number[] = []
  const keyframes: number[] = []
  for (const each of order) {
    const time = stored[each]! - shift
    // Two frames at one time: FFmpeg knows which one is shown.
    if (pts.length > 0 && time <= pts.at(-1)!) return undefined
    if (isKey[each]) keyframes.push(pts.length)
    pts.push(time)
  }
  const lastTicks = lengths[order[count - 1]!]! || ticks / count
  const end = endOfSamples(boxes, sizes, count)
  if (end === undefined) return undefined
  return { timescale, pts: Float64Array.from(pts), keyframes, lastTicks, ticks, count, end }
}

/** What an edit list takes off every time: one edit over all samples may, none takes nothing. */
function editShift(
  edits: Buffer | undefined,
  first: number,
  last: number,
  scale: number,
): number | undefined {
  if (!edits || edits.readUInt32BE(4) === 0) return 0
  if (edits.readUInt32BE(4) !== 1) return undefined
  const isLong = edits[0] === 1
  const length = (isLong ? Number(edits.readBigUInt64BE(8)) : edits.readUInt32BE(8)) * scale
  const start = isLong ? Number(edits.readBigInt64BE(16)) : edits.readInt32BE(12)
  const rate = edits.readInt32BE(isLong ? 24 : 16)
  return rate === 65_536 && start === first && start + length > last ? start : undefined
}

/** Where the last byte of any sample lies: chunk offsets, and the samples of each chunk one after the other. */
function endOfSamples(boxes: ReadonlyMap<string, Buffer>, sizes: Buffer, count: number): number | undefined {
  const [chunks, short, long] = [boxes.get('stsc'), boxes.get('stco'), boxes.get('co64')]
  const offsets = short ?? long
  if (!chunks || !offsets) return undefined
  const same = sizes.readUInt32BE(4)
  const chunkCount = offsets.readUInt32BE(4)
  const runs = chunks.readUInt32BE(4)
  let [sample, end, run] = [0, 0, 0]
  for (let chunk = 1; chunk <= chunkCount && sample < count; chunk++) {
    while (run + 1 < runs && chunks.readUInt32BE(8 + 12 * (run + 1)) <= chunk) run++
    let at = short
      ? short.readUInt32BE(8 + 4 * (chunk - 1))
      : Number(long!.readBigUInt64BE(8 + 8 * (chunk - 1)))
    const many = Math.min(count - sample, chunks.readUInt32BE(8 + 12 * run + 4))
    if (same) at += same * many
    else for (let i = 0; i < many; i++) at += sizes.readUInt32BE(12 + 4 * (sample + i))
    sample += many
    end = Math.max(end, at)
  }
  return sample === count ? end : undefined
}

/** The rows of a table of pairs of 32-bit numbers (`stts`, `ctts`). */
function* pairs(table: Buffer): Generator<readonly [number, number]> {
  const rows = table.readUInt32BE(4)
  for (let row = 0; row < rows; row++) {
    yield [table.readUInt32BE(8 + 8 * row), table.readUInt32BE(12 + 8 * row)]
  }
}
