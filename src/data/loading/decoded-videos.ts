/**
 * Videos kept decoded from one epoch to the next, for data sets small enough: short clips cost far more to open than
 * to cut from memory.
 */
import { MnVideoError } from '../../errors.ts'
import type { Clip, FrameBatch } from '../../frames/batch.ts'
import { cropRectangle, MAX_BYTES, type Size, scaledSize } from '../../frames/geometry.ts'
import { memoryLimit } from '../../machine.ts'
import type { ClipRequest } from '../../video/decode.ts'
import { type ClipJob, decodeClips } from '../../video/decode-many.ts'
import type { RunOptions } from '../../video/ffmpeg.ts'
import { clipTimes, framesShownAt, sourceTiming } from '../../video/sampling.ts'

/** A whole video, scaled. */
export interface DecodedVideo {
  /** Pixels of the video as displayed, which it was scaled from. */
  readonly native: Size
  /** Seconds that one of its frames lasts, on average. */
  readonly frame: number
  /** Pixels of a frame as kept. */
  readonly size: Size
  /** 8-bit RGB of each frame, row-major [H, W, 3]. */
  readonly frames: readonly Uint8Array[]
  /** Of each frame, in seconds from the first. */
  readonly times: readonly number[]
}

export interface DecodedVideos {
  /** A clip of each job's file, which is decoded when it is not there; or why there is none. */
  cut(jobs: readonly (ClipJob | MnVideoError)[], options: RunOptions): Promise<(FrameBatch | MnVideoError)[]>
}

/**
 * @param shortSide what videos are scaled to; those that are smaller keep their size
 * @param limit bytes that all videos together may take
 * @param files how many there are, for messages
 * @param partBytes bytes decoded as one piece; a longer video is decoded in several
 */
export function createDecodedVideos(
  shortSide: number,
  limit: number,
  files: number,
  partBytes = MAX_BYTES,
): DecodedVideos {
  const videos = new Map<string, DecodedVideo>()
  // The rest of the memory is for what reads the videos.
  const room = Math.min(limit, 0.8 * memoryLimit())
  // Of the videos that are there and of those being decoded.
  let [bytes, count] = [0, 0]
  const requireRoom = (more: number) => {
    bytes += more
    count++
    if (bytes <= room) return
    const needed = (bytes / count) * files
    if (room < limit) {
      throw new MnVideoError(
        'config',
        `cache_gib: the memory that this process may use is full after ${videos.size} of ${files} videos; all would take about ${(needed / 2 ** 30).toFixed(1)} GiB.\nGive cache_gib: 0 to decode them anew every time.`,
      )
    }
    throw new MnVideoError(
      'config',
      `cache_gib: ${limit / 2 ** 30} GiB are full after ${videos.size} of ${files} videos; all would take about ${(needed / 2 ** 30).toFixed(1)}.\nGive that much, or cache_gib: 0 to decode them anew every time.`,
    )
  }
  const giveBack = (less: number) => {
    bytes -= less
    count--
  }
  return {
    async cut(jobs, options) {
      const missing = new Map<string, Whole>()
      for (const job of jobs) {
        if (job instanceof MnVideoError || videos.has(job.path) || missing.has(job.path)) continue
        const whole = wholeOf(job, shortSide, partBytes)
        requireRoom(whole.bytes)
        missing.set(job.path, whole)
      }
      const wholes = [...missing.values()]
      const decoded = await decodeClips(
        wholes.flatMap(({ parts }) => parts),
        options,
      )
      const failed = new Map<string, MnVideoError>()
      let next = 0
      for (const whole of wholes) {
        const { path } = whole.job
        const video = joined(whole, decoded.slice(next, next + whole.parts.length))
        next += whole.parts.length
        // It may have come there meanwhile.
        if (video instanceof MnVideoError || videos.has(path)) giveBack(whole.bytes)
        if (video instanceof MnVideoError) failed.set(path, video)
        else if (!videos.has(path)) videos.set(path, video)
      }
      return jobs.map((job) => {
        if (job instanceof MnVideoError) return job
        return failed.get(job.path) ?? cutClip(videos.get(job.path)!, job.request)
      })
    },
  }
}

/** All of a job's video, scaled: clips of no more bytes than one may have, one after the other. */
interface Whole {
  readonly job: ClipJob
  readonly size: Size
  readonly bytes: number
  readonly parts: readonly ClipJob[]
}

function wholeOf(job: ClipJob, largest: number, partBytes: number): Whole {
  const { path, index } = job
  const { scaling = 'antialiased' } = job.request
  const shortSide = Math.min(largest, index.info.width, index.info.height)
  const size = scaledSize(index.info, shortSide)
  const frameBytes = size.width * size.height * 3
  const each = Math.max(1, Math.floor(partBytes / frameBytes))
  const parts = Array.from({ length: Math.ceil(index.times.length / each) }, (_, i) => {
    const times = [...index.times.subarray(i * each, (i + 1) * each)]
    return { path, index, request: { times, shortSide, scaling } }
  })
  return { job, size, bytes: index.times.length * frameBytes, parts }
}

/** The video that the clips of its parts make, or why one of them is missing. */
function joined({ job, size }: Whole, clips: readonly (Clip | MnVideoError)[]): DecodedVideo | MnVideoError {
  const [frames, times]: [Uint8Array[], number[]] = [[], []]
  const frameBytes = size.width * size.height * 3
  for (const clip of clips) {
    if (clip instanceof MnVideoError) return clip
    for (let i = 0; i < clip.frames; i++) {
      frames.push(clip.data.subarray(i * frameBytes, (i + 1) * frameBytes))
      times.push(clip.times[i]!)
    }
  }
  return { native: job.index.info, frame: sourceTiming(job.index).frame, size, frames, times }
}

/** What `decodeClip` would give for a request, but for how pixels are interpolated: bilinear, from the scaled frames. */
export function cutClip(
  { native, frame, size, frames, times: frameTimes }: DecodedVideo,
  request: ClipRequest,
): FrameBatch {
  const { times, shortSide, crop, flip = false } = request
  if (!('frames' in times) || shortSide === undefined || !crop) throw new Error('not a training clip')
  const scaled = scaledSize(native, shortSide)
  const { left, top, width, height } = cropRectangle(scaled, crop)
  const columns = samples(left, width, size.width / scaled.width, size.width)
  const rows = samples(top, height, size.height / scaled.height, size.height)
  if (flip) columns.reverse()
  const shown = framesShownAt(frameTimes, clipTimes(times, times.start ?? 0, frame))
  const data = new Uint8Array(shown.length * height * width * 3)
  let target = 0
  for (const place of shown) {
    const pixels = frames[place]!
    for (const row of rows) {
      const [upper, lower] = [row.from * size.width, row.to * size.width]
      for (const column of columns) {
        const [a, b] = [(upper + column.from) * 3, (upper + column.to) * 3]
        const [c, d] = [(lower + column.from) * 3, (lower + column.to) * 3]
        for (let channel = 0; channel < 3; channel++) {
          const above = mix(pixels[a + channel]!, pixels[b + channel]!, column.share)
          const below = mix(pixels[c + channel]!, pixels[d + channel]!, column.share)
          data[target++] = mix(above, below, row.share) + 0.5
        }
      }
    }
  }
  return { data, batch: 1, frames: shown.length, height, width }
}

const mix = (a: number, b: number, share: number): number => a + (b - a) * share

/** For each pixel of a run of scaled ones, the two kept pixels around its centre. */
function samples(start: number, count: number, ratio: number, side: number) {
  return Array.from({ length: count }, (_, i) => {
    const exact = Math.min(Math.max((start + i + 0.5) * ratio - 0.5, 0), side - 1)
    const from = Math.floor(exact)
    return { from, to: Math.min(from + 1, side - 1), share: exact - from }
  })
}
