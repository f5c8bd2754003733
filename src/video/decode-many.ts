/**
 * Decodes clips of several videos with one run of FFmpeg. Starting it takes as long as decoding a clip of a second
 * or two, so that a training loader is several times faster this way. Only what goes as prepared is done here;
 * everything else is `decodeClip`'s.
 */
import { MnVideoError, orMediaError } from '../errors.ts'
import { type MediaFile, mediaFile } from '../files/media-file.ts'
import type { Clip } from '../frames/batch.ts'
import { layOutPicture, type PictureLayout, requireBytes } from '../frames/geometry.ts'
import { findBinaries } from './binaries.ts'
import { type ClipRequest, clipOf, decodeClip, momentsOf } from './decode.ts'
import { type RunOptions, run } from './ffmpeg.ts'
import { everyFrame, exactInput, type FrameIndex, FrameLog } from './frame-index.ts'
import { createFramePixels } from './frame-pixels.ts'
import {
  isSound,
  pickFilters,
  pictureFilters,
  ptsOf,
  type Stretch,
  seekOptions,
  stretches,
} from './pull-frames.ts'
import { framesShownAt } from './sampling.ts'

export interface ClipJob {
  readonly path: string
  readonly request: ClipRequest
  /** What readFrameIndex said of the file. */
  readonly index: FrameIndex
}

/**
 * Decodes clips, each as `decodeClip` with one thread would. They are held in memory together. An error in place of a
 * job is passed on.
 *
 * @returns for each job its clip, or the error that decodeClip gave
 * @throws MnVideoError 'missing' without FFmpeg; the signal's reason on abort
 */
export async function decodeClips(
  jobs: readonly (ClipJob | MnVideoError)[],
  options: RunOptions = {},
): Promise<(Clip | MnVideoError)[]> {
  const prepared = await Promise.all(jobs.map(prepare))
  const together = fitting(prepared)
  // Further pipes are not passed on to programs on Windows.
  const canShare = together.length > 1 && process.platform !== 'win32'
  const pulled = canShare ? await pullTogether(together, options) : new Map<Prepared, Uint8Array>()
  return Promise.all(
    jobs.map(async (job, i) => {
      if (job instanceof MnVideoError) return job
      const { path, request, index } = job
      const each = prepared[i]
      const data = each && pulled.get(each)
      if (each && data) {
        const times = each.stretch.positions.map((position) => index.times[position]!)
        return clipOf(path, { data, ...each.layout.output, times, shown: each.shown })
      }
      return orMediaError(decodeClip(path, request, { ...options, index, threads: 1 }))
    }),
  )
}

/** A clip whose frames one run of FFmpeg can pull. */
interface Prepared {
  readonly file: MediaFile
  readonly index: FrameIndex
  readonly layout: PictureLayout
  readonly stretch: Stretch
  readonly log: FrameLog
  /** FFmpeg's filters from the decoder to the pixels. */
  readonly filters: string
  /** For each of the clip's frames, its place among the stretch's. */
  readonly shown: readonly number[]
  readonly bytes: number
}

/** Undefined for a clip that is not to be pulled with others: what is wrong with it, decodeClip will say. */
async function prepare(job: ClipJob | MnVideoError, number: number): Promise<Prepared | undefined> {
  if (job instanceof MnVideoError) return undefined
  const { path, request, index } = job
  const laidOut = async () => {
    const file = await mediaFile(path)
    const layout = layOutPicture(file.shown, index.info, request)
    const positions = framesShownAt(index.times, momentsOf(request, index))
    const wanted = [...new Set(positions)].sort((a, b) => a - b)
    const [stretch, ...more] = stretches(index, wanted)
    if (!stretch || more.length > 0) return undefined
    const bytes = wanted.length * layout.output.width * layout.output.height * 3
    requireBytes(file.shown, bytes)
    const log = new FrameLog(`clip${number}`)
    const filters = [...pickFilters(index, stretch, log), ...pictureFilters(layout)].join(',')
    const placeOf = new Map(wanted.map((position, place) => [position, place]))
    const shown = positions.map((position) => placeOf.get(position)!)
    return { file, index, layout, stretch, log, filters, shown, bytes }
  }
  const result = await orMediaError(laidOut())
  return result instanceof MnVideoError ? undefined : result
}

/** The filters of all clips are one argument of a command: 128 KiB at the most. */
const MOST_FILTERS = 100_000

/** As many of the clips, from the first, as one command can hold. */
function fitting(clips: readonly (Prepared | undefined)[]): Prepared[] {
  let room = MOST_FILTERS
  return clips.filter((clip) => {
    if (!clip || clip.filters.length > room) return false
    room -= clip.filters.length
    return true
  }) as Prepared[]
}

/** The pixels of those clips of which every frame arrived as prepared, from a sound start. */
async function pullTogether(
  clips: readonly Prepared[],
  options: RunOptions,
): Promise<Map<Prepared, Uint8Array>> {
  const { ffmpeg, version } = await findBinaries()
  const arriving = clips.map((clip) => {
    const data = new Uint8Array(clip.bytes)
    return { clip, data, pixels: createFramePixels(clip.layout, data) }
  })
  const chains = clips.map(({ index, filters }, i) => {
    return `[${i}:${index.info.streamIndex}]${filters}[clip${i}]`
  })
  let errors: readonly string[] = []
  try {
    errors = await run({
      ...options,
      program: ffmpeg,
      file: clips[0]!.file,
      args: [
        ...[
          '-hide_banner',
          '-nostdin',
          '-nostats',
          '-loglevel',
          'level+info',
          '-filter_complex_threads',
          '1',
        ],
        ...clips.flatMap(({ file, index, stretch }) => {
          const { input, inputOptions } = exactInput(file)
          return [...inputOptions, '-threads', '1', ...seekOptions(index, stretch.keyframe), '-i', input]
        }),
        ...['-filter_complex', chains.join(';')],
        ...clips.flatMap(({ stretch }, i) => [
          ...['-map', `[clip${i}]`, ...everyFrame(version), '-pix_fmt', 'rgb24'],
          ...['-frames:v', `${stretch.positions.length}`, '-f', 'rawvideo', `pipe:${3 + i}`],
        ]),
      ],
      onLine: (line) => {
        for (const { log } of clips) log.add(line)
      },
      onOutput: () => true,
      onPipes: arriving.map(
        ({ pixels }) =>
          (piece) =>
            pixels.add(piece),
      ),
    })
  } catch (error) {
    // No progress on one of many files: each is tried by itself.
    if (!(error instanceof MnVideoError && error.code === 'media')) throw error
  }
  return new Map(
    arriving
      .filter(({ clip: { index, stretch, log }, pixels }) => {
        const pts = ptsOf(index, stretch, log)
        const isComplete =
          pixels.frames === stretch.positions.length &&
          stretch.positions.every((position, i) => pts[i] === index.pts[position])
        // Which file was complained of is not told: it counts against all.
        return isComplete && isSound(index, stretch, log, isComplete, errors)
      })
      .map(({ clip, data }) => [clip, data]),
  )
}
