/**
 * Clips out of frames that pass by: a window opens when its first moment comes, takes the frame that is shown at each of
 * its moments, and closes with the last. Windows that overlap share what passed once.
 */
import { type ClipSpan, clipSeconds, clipTimes, TIME_TOLERANCE } from '../../video/sampling.ts'

/** A clip whose frames are all there. */
export interface Window {
  /** From 0. */
  readonly number: number
  /** Seconds. */
  readonly start: number
  /** 8-bit RGB, [frames, H, W, 3]. */
  readonly pixels: Uint8Array
}

export interface WindowOptions {
  readonly span: ClipSpan
  /** Seconds that one frame of the source lasts. */
  readonly frame: number
  /** Which of a clip's frames are taken, by position. */
  readonly take: readonly number[]
  /** Where the windows begin, increasing, in seconds. */
  readonly starts: Iterable<number>
}

interface Open {
  readonly number: number
  readonly start: number
  readonly moments: readonly number[]
  readonly pixels: Uint8Array
  taken: number
}

export class Windows {
  readonly #options: WindowOptions
  readonly #starts: Iterator<number>
  #next: number | undefined
  #opened = 0
  #open: Open[] = []
  /** The frame that is shown now. */
  #last: Uint8Array | undefined

  constructor(options: WindowOptions) {
    this.#options = options
    this.#starts = options.starts[Symbol.iterator]()
    this.#advance()
  }

  /**
   * Takes a frame.
   *
   * @param time seconds, no less than those before
   * @param pixels [H, W, 3]; the caller's again afterwards
   * @returns windows that are whole now: frames shown at their last moments are known to be
   */
  push(time: number, pixels: Uint8Array): Window[] {
    const ready = this.#takeUntil(time, pixels.length)
    this.#last ??= new Uint8Array(pixels.length)
    this.#last.set(pixels)
    return ready
  }

  /** What still lacks moments when nothing follows: the last frame stays. */
  end(): Window[] {
    return this.#last ? this.#takeUntil(Number.POSITIVE_INFINITY, this.#last.length) : []
  }

  /** Gives the frame shown so far to every moment before a time. */
  #takeUntil(time: number, frameBytes: number): Window[] {
    // Before the first frame it is the first that is shown.
    if (!this.#last) return []
    while (this.#next !== undefined && this.#next + TIME_TOLERANCE < time) this.#openNext(frameBytes)
    for (const window of this.#open) {
      const { moments, pixels } = window
      while (window.taken < moments.length && moments[window.taken]! + TIME_TOLERANCE < time) {
        pixels.set(this.#last, window.taken++ * frameBytes)
      }
    }
    const ready = this.#open.filter(({ taken, moments }) => taken === moments.length)
    this.#open = this.#open.filter(({ taken, moments }) => taken < moments.length)
    return ready.map(({ number, start, pixels }) => ({ number, start, pixels }))
  }

  #openNext(frameBytes: number): void {
    const { span, frame, take } = this.#options
    const start = this.#next!
    const times = clipTimes(span, start, frame)
    const moments = take.map((position) => times[position]!)
    const pixels = new Uint8Array(take.length * frameBytes)
    this.#open.push({ number: this.#opened++, start, moments, pixels, taken: 0 })
    this.#advance()
  }

  #advance(): void {
    const { value, done } = this.#starts.next()
    this.#next = done ? undefined : value
  }
}

/**
 * Where windows over a whole film begin: every `stride` seconds, the last one where the film's last clip does. One that is
 * shorter than a clip has one, at its start.
 */
export function windowStarts(duration: number, span: ClipSpan, stride: number): number[] {
  const last = Math.max(0, duration - clipSeconds(span))
  const starts = Array.from({ length: Math.floor(last / stride) + 1 }, (_, i) => i * stride)
  if (last - starts.at(-1)! > stride / 100) starts.push(last)
  return starts
}
