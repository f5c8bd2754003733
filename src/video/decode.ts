/**
 * Decodes clips: the frames of a video shown at given moments, scaled, cropped and mirrored inside FFmpeg, so
 * that only their pixels cross the pipe. Which moments is sampling.ts's business.
 */
import { MnVideoError } from '../errors.ts'
import { shownPath } from '../files/media-file.ts'
import type { Clip } from '../frames/batch.ts'
import { PICTURE_OPTIONS, type PictureRequest, requireBytes } from '../frames/geometry.ts'
import * as option from '../options.ts'
import { checkOptions, type OptionTable } from '../options.ts'
import type { FrameIndex } from './frame-index.ts'
import { type PulledFrames, type PullOptions, pullFrames } from './pull-frames.ts'
import { type ClipSpan, clipTimes, sourceTiming, viewMoments } from './sampling.ts'

export interface ClipRequest extends PictureRequest {
  /** Moments in seconds from the video's first frame, in any order, or a span of time, centred unless it has a start. */
  readonly times: readonly number[] | (ClipSpan & { readonly start?: number })
}

export type DecodeOptions = PullOptions

const MOMENTS: option.OptionKind = {
  expected: 'a list of seconds, or { frames, stride, rate, start }',
  accepts: (value) => Array.isArray(value) || (option.object.accepts(value) && 'frames' in (value as object)),
}
const REQUEST: OptionTable<ClipRequest> = { times: MOMENTS, ...PICTURE_OPTIONS }

const DECODE_OPTIONS: OptionTable<DecodeOptions> = {
  ...{ deadline: option.seconds, signal: option.signal, index: option.object, threads: option.count },
}

/**
 * Decodes one clip. Frame i is the last frame of the video that has begun at moment i; before the first frame
 * it is the first, after the end the last. A frame that is damaged beyond decoding is stood in for by the one
 * before it.
 *
 * @throws MnVideoError 'media', one line naming the file and why; 'missing' without FFmpeg
 */
export async function decodeClip(
  path: string,
  request: ClipRequest,
  options: DecodeOptions = {},
): Promise<Clip> {
  checkOptions('decodeClip', request, REQUEST)
  if (request.times === undefined)
    throw new MnVideoError('usage', `decodeClip: times must be ${MOMENTS.expected}.`)
  checkOptions('decodeClip', options, DECODE_OPTIONS)
  const pulled = await pullFrames(path, (index) => momentsOf(request, index), request, options)
  return clipOf(path, pulled)
}

/** The moments of a clip's frames, in seconds from the video's first. */
export function momentsOf({ times }: ClipRequest, index: FrameIndex): readonly number[] {
  if (!('frames' in times)) return times
  if (times.start === undefined) return viewMoments(index, times, 1)[0]!
  return clipTimes(times, times.start, sourceTiming(index).frame)
}

/** The clip that frames pulled make: those shown at several moments are repeated. */
export function clipOf(path: string, pulled: PulledFrames): Clip {
  const { data, height, width, shown } = pulled
  const frameBytes = height * width * 3
  return {
    data: isInOrder(shown, data.length / frameBytes) ? data : arrange(path, data, frameBytes, shown),
    frames: shown.length,
    height,
    width,
    times: shown.map((place) => pulled.times[place]!),
  }
}

/** Whether the frames shown are all the frames pulled, once each. */
function isInOrder(shown: readonly number[], pulled: number): boolean {
  return shown.length === pulled && shown.every((place, i) => place === i)
}

function arrange(path: string, data: Uint8Array, frameBytes: number, shown: readonly number[]): Uint8Array {
  requireBytes(shownPath(path), shown.length * frameBytes)
  const result = new Uint8Array(shown.length * frameBytes)
  shown.forEach((place, i) => {
    result.set(data.subarray(place * frameBytes, (place + 1) * frameBytes), i * frameBytes)
  })
  return result
}
