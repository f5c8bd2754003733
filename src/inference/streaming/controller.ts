/**
 * Holds a deadline by switching sub-networks: before each answer the most accurate configuration whose predicted time fits
 * into what is left, by measured medians and by how much longer runs take now. Down at once, up one step after a while, and
 * after a longer one where going up has just failed.
 */

export interface Candidate<E> {
  readonly entry: E
  /** Milliseconds that it takes here, alone. */
  readonly milliseconds: number
}

/** Predictions are missed by this much now and then. */
const MARGIN = 1.15
/** How fast a load that has gone is forgotten, per answer. */
const FORGET = 0.1
/** Milliseconds without trouble before a step up, and the most after steps up that failed. */
const PATIENCE = 1500
const MOST_PATIENCE = 30_000

export class Controller<E> {
  readonly #candidates: readonly Candidate<E>[]
  /** Times as long as alone that runs take now. */
  #load = 1
  #level = 0
  #changed = Number.NEGATIVE_INFINITY
  #wentUp = Number.NEGATIVE_INFINITY
  #patience = PATIENCE

  /** @param candidates at least one, the most accurate first, each cheaper than the one before */
  constructor(candidates: readonly Candidate<E>[]) {
    this.#candidates = candidates
  }

  /** How much longer than alone runs take, at present. */
  get load(): number {
    return this.#load
  }

  /**
   * Chooses for one answer.
   *
   * @param left milliseconds until it is due
   * @param now milliseconds of a clock that never goes back
   */
  choose(left: number, now: number): Candidate<E> & { readonly predicted: number } {
    const predicted = ({ milliseconds }: Candidate<E>) => milliseconds * this.#load
    const found = this.#candidates.findIndex((candidate) => predicted(candidate) * MARGIN <= left)
    const fits = found < 0 ? this.#candidates.length - 1 : found
    if (fits > this.#level) this.#go(fits, now)
    else if (fits < this.#level && now - this.#changed >= this.#patience) this.#go(this.#level - 1, now)
    const chosen = this.#candidates[this.#level]!
    return { ...chosen, predicted: predicted(chosen) }
  }

  /** Tells how long an answer took. */
  observe({ milliseconds }: Candidate<E>, took: number): void {
    const load = Math.max(0.5, took / milliseconds)
    this.#load = load > this.#load ? load : this.#load + FORGET * (load - this.#load)
  }

  #go(level: number, now: number): void {
    const isUp = level < this.#level
    // Going up did not last: wait longer the next time; it did: as at the beginning.
    if (!isUp && now - this.#wentUp < 2 * this.#patience)
      this.#patience = Math.min(MOST_PATIENCE, 2 * this.#patience)
    if (isUp) {
      if (now - this.#changed > 4 * this.#patience) this.#patience = PATIENCE
      this.#wentUp = now
    }
    this.#level = level
    this.#changed = now
  }
}
