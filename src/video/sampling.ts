/**
 * Which moments of a video make a clip, and which frames are shown at them. Pure arithmetic on seconds: no
 * video is opened here.
 */
import { MnVideoError } from '../errors.ts'
import { requireCount } from '../frames/subsample.ts'

/** A clip's extent in time: T · τ frames of the nominal rate, from whose first to whose last its T frames are spread. */
export interface ClipSpan {
  /** Frames of the clip, T. */
  readonly frames: number
  /** Temporal stride τ, in frames of the nominal rate: a clip spans T · τ of them. */
  readonly stride: number
  /** The nominal rate in frames per second that strides refer to, whatever the file's own; 30 by default. */
  readonly rate?: number
}

/**
 * The moments of a clip's frames, in seconds: linspace(0, n − 1, T) frames of the source after the clip's start, where n
 * is how many of them T · τ / rate seconds have (PySlowFast's rule, and PyTorchVideo's). Frames thus lie (T · τ − 1) /
 * (T − 1) apart at the nominal rate, not τ: X3D-XS (4 × 12) steps 15.7 frames, Slow 8×8 9.
 *
 * @param frame seconds that one frame of the source lasts; left out, those of the nominal rate
 */
export function clipTimes(span: ClipSpan, start: number, frame?: number): number[] {
  const { frames, rate } = checked(span)
  const room = Math.max(0, clipSeconds(span) - (frame ?? 1 / rate))
  return Array.from({ length: frames }, (_, i) => start + (i === 0 ? 0 : (i * room) / (frames - 1)))
}

/** What laying out clips needs to know of a source: what a frame index says. */
export interface Source {
  /** Seconds. */
  readonly duration: number
  /** Seconds at which each frame begins. */
  readonly times: ArrayLike<number>
  /** Frames a second, as the container says. */
  readonly info: { readonly frameRate?: number | undefined }
}

/** A container that rounds times to milliseconds gives its duration no better. */
const DURATION_TOLERANCE = 0.0015

/**
 * How long a source lasts and one of its frames (on average where they differ), in seconds. Where the container's rate
 * agrees with its times it is the exact one.
 */
export function sourceTiming({ duration, times, info: { frameRate } }: Source) {
  const exact = frameRate === undefined ? Number.NaN : times.length / frameRate
  const seconds = Math.abs(exact - duration) <= DURATION_TOLERANCE ? exact : duration
  return { duration: seconds, frame: seconds / times.length }
}

/** What a clip spans: T · τ / rate seconds. */
export function clipSeconds(span: ClipSpan): number {
  const { frames, stride, rate } = checked(span)
  return (frames * stride) / rate
}

/**
 * Where each of the uniformly spaced temporal views starts, in seconds: one view is centred, several reach from
 * the video's start to its end. Where the video is shorter than the clip they all start at 0, and frames repeat.
 */
export function viewStarts(duration: number, span: ClipSpan, views: number): number[] {
  requireCount('temporal views', views)
  const room = Math.max(0, duration - clipSeconds(span))
  if (views === 1) return [room / 2]
  return Array.from({ length: views }, (_, k) => (room * k) / (views - 1))
}

/** The moments of every temporal view's frames, one list a view. */
export function viewMoments(source: Source, span: ClipSpan, views: number): number[][] {
  const { duration, frame } = sourceTiming(source)
  return viewStarts(duration, span, views).map((start) => clipTimes(span, start, frame))
}

/**
 * How far after an asked moment a frame may begin and still be the one shown: Matroska and WebM round times to
 * whole milliseconds, so a frame due at 66.67 ms is stamped 67.
 */
export const TIME_TOLERANCE = 0.000501

/**
 * For each moment, the position of the frame shown: the last one that has begun. Before the first frame it is
 * the first, after the end the last.
 *
 * @param frameTimes seconds at which each frame begins, increasing, at least one
 */
export function framesShownAt(frameTimes: ArrayLike<number>, moments: readonly number[]): number[] {
  return moments.map((moment) => {
    let [shown, end] = [0, frameTimes.length]
    while (end - shown > 1) {
      const middle = (shown + end) >> 1
      if (frameTimes[middle]! <= moment + TIME_TOLERANCE) shown = middle
      else end = middle
    }
    return shown
  })
}

function checked(span: ClipSpan): Required<ClipSpan> {
  const { frames, stride, rate = 30 } = span
  requireCount('frames', frames)
  for (const [name, value] of Object.entries({ stride, rate })) {
    if (!(value > 0 && Number.isFinite(value))) {
      throw new MnVideoError('config', `${name} of a clip must be more than 0, not ${value}.`)
    }
  }
  return { frames, stride, rate }
}
