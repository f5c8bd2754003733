/**
 * Videos kept decoded from one epoch to the next, for data sets small enough: short clips cost far more to open than
 * to cut from memory.
 */
import type { FrameBatch } from '../engines/engine.ts'
import { MnVideoError } from '../errors.ts'
import { memoryLimit } from '../machine.ts'
import type { Clip, ClipRequest } from '../video/decode.ts'
import { type ClipJob, decodeClips } from '../video/decode-many.ts'
import type { RunOptions } from '../video/ffmpeg.ts'
import { cropRectangle, type Size, scaledSize } from '../video/geometry.ts'
import { clipTimes, framesShownAt, sourceTiming } from '../video/sampling.ts'

/** A whole video, scaled. */
export interface DecodedVideo {
  /** Pixels of the video as displayed, which it was scaled from. */
  readonly native: Size
  /** Seconds that one of its frames lasts, on average. */
  readonly frame: number
  readonly clip: Clip
}

export interface DecodedVideos {
  /** A clip of each job's file, which is decoded when it is not there; or why there is none. */
  cut(jobs: readonly (ClipJob | MnVideoError)[], options: RunOptions): Promise<(FrameBatch | MnVideoError)[]>
}

/**
 * @param shortSide what videos are scaled to; those that are smaller keep their size
 * @param limit bytes that all videos together may take
 * @param files how many there are, for messages
 */
export function createDecodedVideos(shortSide: number, limit: number, files: number): DecodedVideos {
  const videos = new Map<string, DecodedVideo>()
  // The rest of the memory is for what reads the videos.
  const room = Math.min(limit, 0.8 * memoryLimit())
  let bytes = 0
  const keep = (path: string, video: DecodedVideo) => {
    if (videos.has(path)) return
    videos.set(path, video)
    bytes += video.clip.data.length
    if (bytes <= room) return
    const needed = (bytes / videos.size) * files
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
  return {
    async cut(jobs, options) {
      const missing = jobs.filter((job) => !(job instanceof MnVideoError || videos.has(job.path)))
      const wholes = missing.map((job) => (job instanceof MnVideoError ? job : wholeOf(job, shortSide)))
      const decoded = await decodeClips(wholes, options)
      const failed = new Map<ClipJob | MnVideoError, MnVideoError>()
      for (const [i, job] of missing.entries()) {
        const clip = decoded[i]!
        if (job instanceof MnVideoError || clip instanceof MnVideoError) failed.set(job, clip as MnVideoError)
        else keep(job.path, { native: job.index.info, frame: sourceTiming(job.index).frame, clip })
      }
      return jobs.map((job) => {
        if (job instanceof MnVideoError) return job
        return failed.get(job) ?? cutClip(videos.get(job.path)!, job.request)
      })
    },
  }
}

/** All of a job's video, scaled. */
function wholeOf({ path, index, request: { scaling = 'antialiased' } }: ClipJob, shortSide: number): ClipJob {
  const side = Math.min(shortSide, index.info.width, index.info.height)
  return { path, index, request: { times: [...index.times], shortSide: side, scaling } }
}

/** What `decodeClip` would give for a request, but for how pixels are interpolated: bilinear, from the scaled frames. */
export function cutClip({ native, frame, clip }: DecodedVideo, request: ClipRequest): FrameBatch {
  const { times, shortSide, crop, flip = false } = request
  if (!('frames' in times) || shortSide === undefined || !crop) throw new Error('not a training clip')
  const scaled = scaledSize(native, shortSide)
  const { left, top, width, height } = cropRectangle(scaled, crop)
  const columns = samples(left, width, clip.width / scaled.width, clip.width)
  const rows = samples(top, height, clip.height / scaled.height, clip.height)
  if (flip) columns.reverse()
  const shown = framesShownAt(clip.times, clipTimes(times, times.start ?? 0, frame))
  const data = new Uint8Array(shown.length * height * width * 3)
  let target = 0
  for (const place of shown) {
    for (const row of rows) {
      const upper = (place * clip.height + row.from) * clip.width
      const lower = (place * clip.height + row.to) * clip.width
      for (const column of columns) {
        const [a, b] = [(upper + column.from) * 3, (upper + column.to) * 3]
        const [c, d] = [(lower + column.from) * 3, (lower + column.to) * 3]
        for (let channel = 0; channel < 3; channel++) {
          const above = mix(clip.data[a + channel]!, clip.data[b + channel]!, column.share)
          const below = mix(clip.data[c + channel]!, clip.data[d + channel]!, column.share)
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
