/**
 * Looks at every file of a data set before training does: is it there, can it be read to its end, how long is it,
 * and (when asked to decode) does every frame come out. Many at a time; what was found out about a file is told
 * as soon as it is known, so that a caller can keep it and not ask again.
 */
import { stat } from 'node:fs/promises'
import { MnVideoError, shown } from '../../errors.ts'
import { mediaFile } from '../../files/media-file.ts'
import { probeImage } from '../../image/decode.ts'
import { inParallel } from '../../in-parallel.ts'
import { decodeWhole } from '../../video/decode-whole.ts'
import type { RunOptions } from '../../video/ffmpeg.ts'
import type { FrameIndex } from '../../video/frame-index.ts'
import { cachedFrameIndex } from '../../video/index-cache.ts'
import { readMp4Index } from '../../video/mp4-index.ts'
import { mediaOf } from '../sets/media.ts'

/** What a look at a file gave. Facts, not judgements: whether a video is too short is for the asker to say. */
export interface Examined {
  readonly path: string
  /** Size and time of change when it was looked at; '' where it is missing. */
  readonly state: string
  /** Whether every frame was decoded. */
  readonly decoded: boolean
  /** Why it cannot be used, in FFmpeg's words where it has some. */
  readonly failure?: string
  /** What a damaged file that still gives all its frames complains of. */
  readonly complaint?: string
  readonly facts?: Facts
}

export interface Facts {
  readonly media: 'video' | 'image'
  /** 0 for an image. */
  readonly seconds: number
  /** What the header says; 0 where it says nothing. */
  readonly promisedSeconds: number
  readonly frames: number
  readonly width: number
  readonly height: number
  readonly codec: string
  /** Seconds of the longest pause between two frames. */
  readonly longestPause: number
  readonly videoStreams: number
}

export interface ExamineOptions extends RunOptions {
  /** Decodes every frame: slow, and the only way to find damage inside pictures. */
  readonly decode?: boolean
  /** Files looked at together. */
  readonly jobs: number
  /** Where frame indexes are kept; training then finds them there. */
  readonly cache?: string
  /** What is known from before; taken where the file has not changed. */
  readonly known?: ReadonlyMap<string, Examined>
  /** Called for each file when it is done; `isNew` is false for what was known. */
  readonly onFile?: (examined: Examined, isNew: boolean) => void
}

/** Looks at every file once. */
export async function examine(
  paths: Iterable<string>,
  options: ExamineOptions,
): Promise<Map<string, Examined>> {
  const result = new Map<string, Examined>()
  await inParallel([...new Set(paths)], options.jobs, async (path) => {
    const state = await stateOf(path)
    const before = options.known?.get(path)
    const isKnown = before?.state === state && state !== '' && (before.decoded || !options.decode)
    const examined = isKnown ? before : await examineFile(path, state, options)
    result.set(path, examined)
    options.onFile?.(examined, !isKnown)
  })
  return result
}

/** The share of frames that may be lost: each is stood in for by the one before it. */
const MOST_LOST = 0.1

async function examineFile(path: string, state: string, options: ExamineOptions): Promise<Examined> {
  const decoded = options.decode === true
  const base = { path, state, decoded }
  try {
    if ((await mediaOf(path)) === 'image') {
      const { width, height, format } = await probeImage(path, { decode: decoded })
      const none = { seconds: 0, promisedSeconds: 0, frames: 1, longestPause: 0, videoStreams: 0 }
      return { ...base, facts: { media: 'image', width, height, codec: format, ...none } }
    }
    const plain = await readMp4Index(await mediaFile(path))
    const missing = plain?.missingBytes ?? 0
    if (missing > 0) return { ...base, failure: `is cut off: ${missing} bytes are missing at its end` }
    const index = plain?.index ?? (await cachedFrameIndex(path, options))
    const facts = factsOf(index)
    if (!decoded) return { ...base, facts }
    const whole = await decodeWhole(path, index, options)
    const promised = index.pts.length
    const lost = promised - whole.frames
    if (lost > 0) {
      const loss = `${lost} of ${promised} frames do not decode${whole.complaint ? ` (${whole.complaint})` : ''}`
      return { ...base, facts, ...(lost > MOST_LOST * promised ? { failure: loss } : { complaint: loss }) }
    }
    const complaints = [
      whole.complaint && `decodes with complaints (${whole.complaint})`,
      whole.falseKeyframes > 0 &&
        `${whole.falseKeyframes} frames are marked as keyframes and are none, so that clips are decoded from its beginning: slow; mn-video data resize writes it well`,
    ].filter(Boolean)
    return { ...base, facts, ...(complaints.length > 0 && { complaint: complaints.join('; ') }) }
  } catch (error) {
    if (!(error instanceof MnVideoError) || error.code !== 'media') throw error
    const start = `${shown(path)}: `
    const message = error.message.startsWith(start) ? error.message.slice(start.length) : error.message
    return { ...base, failure: message.replace(/\.$/, '') }
  }
}

function factsOf({ info, duration, times }: FrameIndex): Facts {
  let longestPause = 0
  for (let i = 1; i < times.length; i++) longestPause = Math.max(longestPause, times[i]! - times[i - 1]!)
  return {
    media: 'video',
    seconds: duration,
    promisedSeconds: info.duration ?? 0,
    frames: times.length,
    width: info.width,
    height: info.height,
    codec: info.codec,
    longestPause,
    videoStreams: info.streams.filter(({ type }) => type === 'video').length,
  }
}

async function stateOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found ? `${found.size} ${found.mtimeNs}` : ''
}

/** Judgements on a file; the first three keep it out of a clean list. */
export type Verdict = 'missing' | 'broken' | 'short' | 'odd' | 'ok'

export interface Judged {
  readonly path: string
  readonly verdict: Verdict
  /** For all but 'ok'; of an odd file everything that is odd. */
  readonly reason: string
}

export interface Limits {
  /** A video of fewer seconds, or of one frame, is too short. */
  readonly minSeconds: number
}

/** A pause or a length that makes one look twice. */
const LONG_PAUSE = 1
const LONG_VIDEO = 600
const SMALL_SIDE = 64

export function judge({ path, state, failure, complaint, facts }: Examined, { minSeconds }: Limits): Judged {
  if (state === '') return { path, verdict: 'missing', reason: 'no such file' }
  if (failure !== undefined || !facts) return { path, verdict: 'broken', reason: failure ?? 'unreadable' }
  if (facts.media === 'video' && (facts.frames < 2 || facts.seconds < minSeconds)) {
    const { frames, seconds } = facts
    const reason = `${seconds.toFixed(2)} s, ${frames} frame${frames === 1 ? '' : 's'}`
    return { path, verdict: 'short', reason }
  }
  const odd = [
    complaint,
    facts.videoStreams > 1 && `${facts.videoStreams} video streams; the first is read`,
    facts.promisedSeconds > facts.seconds + Math.max(1, facts.seconds / 10) &&
      `ends after ${facts.seconds.toFixed(1)} s of ${facts.promisedSeconds.toFixed(1)} s`,
    facts.longestPause > LONG_PAUSE && `a pause of ${facts.longestPause.toFixed(1)} s between two frames`,
    facts.seconds > LONG_VIDEO && `${Math.round(facts.seconds / 60)} minutes long`,
    facts.media === 'video' &&
      Math.min(facts.width, facts.height) < SMALL_SIDE &&
      `${facts.width}x${facts.height} pixels`,
  ].filter(Boolean)
  return { path, verdict: odd.length > 0 ? 'odd' : 'ok', reason: odd.join('; ') }
}
