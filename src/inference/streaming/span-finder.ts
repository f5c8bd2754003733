/**
 * From scores of windows to spans of time: scores are smoothed over the windows around, a class's span opens where its
 * score reaches a threshold, closes where it falls below a lower one (so that it does not flicker), and reaches as far as
 * its windows stand for. Windows come one after the other; a span is given when it closes.
 */

export interface WindowScores {
  /** Seconds. */
  readonly start: number
  readonly end: number
  /** [classes], from 0 to 1. */
  readonly scores: Float32Array
}

/** Something that happens for a while. */
export interface Span {
  /** Seconds from the source's beginning. */
  readonly start: number
  readonly end: number
  /** The class. */
  readonly index: number
  /** The mean and the largest score of its windows, as the network gave them. */
  readonly score: number
  readonly peak: number
}

export interface SpanOptions {
  /** The smoothed score that opens a span, 0 to 1. */
  readonly minScore: number
  /** Seconds; what is shorter is no span. */
  readonly minLength: number
  /** A class that is no span: nothing happens. */
  readonly background?: number
}

/** The share of `minScore` below which a span closes. */
const LOW = 0.6
/** Weights of a window and of its neighbours, which overlap it by half by default. */
const WEIGHTS = [1, 2, 1] as const

interface Open {
  readonly start: number
  end: number
  sum: number
  windows: number
  peak: number
}

export class SpanFinder {
  readonly #options: SpanOptions
  readonly #open = new Map<number, Open>()
  /** The latest windows, at most three; the one before the last is the next to be smoothed. */
  readonly #latest: WindowScores[] = []
  #reached = 0

  constructor(options: SpanOptions) {
    this.#options = options
  }

  /** Takes the next window. @returns the spans that close */
  push(window: WindowScores): Span[] {
    const latest = this.#latest
    latest.push(window)
    if (latest.length > 3) latest.shift()
    if (latest.length === 1) return []
    return this.#look(latest.at(-2)!, latest.length === 3 ? latest[0] : undefined, window)
  }

  /** Nothing follows. @param duration seconds of the whole @returns all spans that were open */
  end(duration: number): Span[] {
    const last = this.#latest.at(-1)
    const closed = last ? this.#look(last, this.#latest.at(-2), undefined, duration) : []
    return [...closed, ...[...this.#open.keys()].flatMap((index) => this.#close(index))]
  }

  /** One window between its neighbours: it stands for the time halfway to them. */
  #look(
    window: WindowScores,
    before: WindowScores | undefined,
    after: WindowScores | undefined,
    end = after ? (middle(window) + middle(after)) / 2 : window.end,
  ): Span[] {
    const start = this.#reached
    this.#reached = end
    const closed: Span[] = []
    const { minScore, background } = this.#options
    for (let index = 0; index < window.scores.length; index++) {
      if (index === background) continue
      const smoothed = smooth([before, window, after], index)
      const open = this.#open.get(index)
      if (smoothed < (open ? LOW * minScore : minScore)) {
        closed.push(...this.#close(index))
        continue
      }
      const score = window.scores[index]!
      if (!open) this.#open.set(index, { start, end, sum: score, windows: 1, peak: score })
      else {
        open.end = end
        open.sum += score
        open.windows++
        open.peak = Math.max(open.peak, score)
      }
    }
    return closed
  }

  #close(index: number): Span[] {
    const open = this.#open.get(index)
    this.#open.delete(index)
    if (!open || open.end - open.start < this.#options.minLength) return []
    const { start, end, sum, windows, peak } = open
    return [{ start, end, index, score: sum / windows, peak }]
  }
}

const middle = ({ start, end }: WindowScores): number => (start + end) / 2

/** The weighted mean over the windows that are there. */
function smooth(windows: readonly (WindowScores | undefined)[], index: number): number {
  let [sum, weights] = [0, 0]
  windows.forEach((window, i) => {
    if (!window) return
    sum += WEIGHTS[i]! * window.scores[index]!
    weights += WEIGHTS[i]!
  })
  return sum / weights
}
