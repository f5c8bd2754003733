/**
 * Clips out of frames that pass by: a window opens when its first moment comes, takes the frame that is shown at each of
 * its moments, and closes with the last. Windows that overlap share what passed once.
 */
import type { FrameBatch } from '../../frames/batch.ts'
import { type ClipSpan, clipSeconds, clipTimes, TIME_TOLERANCE } from '../../video/sampling.ts'

/** A clip whose frames are all there. */
export interface Window {
  /** From 0. */
  readonly number: number
  /** Seconds. */
  readonly start: number
  /** Each frame's pixels, 8-bit RGB [H, W, 3]; windows that overlap share them. */
  readonly frames: readonly Uint8Array[]
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
  readonly frames: Uint8Array[]
}

export class Windows {
  readonly #options: WindowOptions
  readonly #starts: Iterator<number>
  #next: number | undefined
  #opened = 0
  #open: Open[] = []
  /** The frame that is shown now, and whether a window has it. */
  #last: Uint8Array | undefined
  #isTaken = false

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
    const ready = this.#takeUntil(time)
    // One that no window took is written over.
    if (!this.#last || this.#isTaken || this.#last.length !== pixels.length) this.#last = pixels.slice()
    else this.#last.set(pixels)
    this.#isTaken = false
    return ready
  }

  /** What still lacks moments when nothing follows: the last frame stays. */
  end(): Window[] {
    return this.#takeUntil(Number.POSITIVE_INFINITY)
  }

  /** Nothing is known of a while: windows that reach into it are lost. @returns how many @param time when it ends */
  interrupt(time: number): number {
    const lost = this.#open.length
    this.#open = []
    this.#last = undefined
    while (this.#next !== undefined && this.#next < time) this.#advance()
    return lost
  }

  /** Gives the frame shown so far to every moment before a time. */
  #takeUntil(time: number): Window[] {
    // Before the first frame it is the first that is shown.
    if (!this.#last) return []
    while (this.#next !== undefined && this.#next + TIME_TOLERANCE < time) this.#openNext()
    for (const { moments, frames } of this.#open) {
      while (frames.length < moments.length && moments[frames.length]! + TIME_TOLERANCE < time) {
        frames.push(this.#last)
        this.#isTaken = true
      }
    }
    const ready = this.#open.filter(({ frames, moments }) => frames.length === moments.length)
    this.#open = this.#open.filter(({ frames, moments }) => frames.length < moments.length)
    return ready.map(({ number, start, frames }) => ({ number, start, frames }))
  }

  #openNext(): void {
    const { span, frame, take } = this.#options
    const start = this.#next!
    const times = clipTimes(span, start, frame)
    const moments = take.map((position) => times[position]!)
    this.#open.push({ number: this.#opened++, start, moments, frames: [] })
    this.#advance()
  }

  #advance(): void {
    const { value, done } = this.#starts.next()
    this.#next = done ? undefined : value
  }
}

/** A window's frames as one clip of squares. */
export function clipOf({ frames }: Pick<Window, 'frames'>, side: number): FrameBatch {
  const bytes = side * side * 3
  const data = new Uint8Array(frames.length * bytes)
  frames.forEach((pixels, i) => {
    data.set(pixels, i * bytes)
  })
  return { data, batch: 1, frames: frames.length, height: side, width: side }
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
