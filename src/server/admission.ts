/**
 * Who is worked for, when, and at what cost. Requests wait in a bounded line. When one's turn comes it gets the most
 * accurate configuration, no dearer than it asked for, at which those that wait behind it would hold their deadlines too;
 * only when the cheapest cannot hold them is anybody turned away.
 */
import { throwIfCancelled } from '../errors.ts'
import type { Candidate } from '../inference/streaming/controller.ts'
import { Overloaded } from './errors.ts'

export interface AdmissionOptions {
  /** Requests that are worked for at once. */
  readonly concurrency: number
  /** Requests that wait at most. */
  readonly waiting: number
  /** Whether load may lower what a request gets. */
  readonly isSwitching: boolean
  readonly now?: () => number
}

export interface Asked<E> {
  /** What it asked for, then what is cheaper: the most accurate first. */
  readonly candidates: readonly Candidate<E>[]
  /** Clips of each configuration that it takes. */
  readonly views: number
  /** Milliseconds from now to its answer. */
  readonly deadline: number
  /** Whether it would rather be turned away than get less. */
  readonly isExact: boolean
  /** What its inputs cost is learned by this name. */
  readonly kind: string
  readonly signal?: AbortSignal
}

export interface Admitted<E> {
  readonly entry: E
  /** Milliseconds that it waited. */
  readonly waited: number
  /** To be called once, whatever came of it. @param decode milliseconds that its inputs took, where it got so far */
  readonly done: (decode?: number) => void
}

interface Waiting {
  readonly asked: Asked<unknown>
  readonly since: number
  readonly go: () => void
  readonly refuse: (error: unknown) => void
}

/** The part of a deadline that is planned with: what is predicted comes late now and then. */
const PLANNED = 0.6
const PLANNED_ALONE = 0.87
/** How fast what was learned is replaced. */
const LEARN = 0.15

export class Admission {
  readonly #options: AdmissionOptions
  readonly #now: () => number
  readonly #line: Waiting[] = []
  /** Milliseconds of inputs, by kind. */
  readonly #decode = new Map<string, number>()
  /** How much longer than planned requests take while the server is full. */
  #stretch = 1
  #running = 0

  constructor(options: AdmissionOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  get waiting(): number {
    return this.#line.length
  }

  get running(): number {
    return this.#running
  }

  /** Before anything is received. @throws Overloaded where as many wait as may */
  requireRoom(): void {
    const { length } = this.#line
    if (length >= this.#options.waiting)
      throw new Overloaded(`${length} requests wait already`, Math.max(1, Math.ceil(this.#clearing / 1000)))
  }

  /**
   * Waits for a turn.
   *
   * @throws Overloaded when its deadline cannot be held, or too many wait; MnVideoError `cancelled` by the signal
   */
  async admit<E>(asked: Asked<E>): Promise<Admitted<E>> {
    throwIfCancelled(asked.signal, 'the request')
    const since = this.#now()
    this.requireRoom()
    const late = this.#lateness(asked)
    if (!this.#isIdle && late > 0)
      throw new Overloaded('the server is too busy to answer in time', Math.max(1, Math.ceil(late / 1000)))
    if (this.#running < this.#options.concurrency && this.#line.length === 0) return this.#start(asked, since)
    return new Promise((settle, refuse) => {
      const waiting: Waiting = { asked, since, refuse, go: () => settle(this.#start(asked, since)) }
      this.#line.push(waiting)
      asked.signal?.addEventListener('abort', () => this.#leave(waiting), { once: true })
    })
  }

  get #isIdle(): boolean {
    return this.#running === 0 && this.#line.length === 0
  }

  #leave(waiting: Waiting): void {
    const place = this.#line.indexOf(waiting)
    if (place < 0) return
    this.#line.splice(place, 1)
    try {
      throwIfCancelled(waiting.asked.signal, 'the request')
    } catch (error) {
      waiting.refuse(error)
    }
  }

  #start<E>(asked: Asked<E>, since: number): Admitted<E> {
    const begun = this.#now()
    const waited = begun - since
    const { milliseconds, entry } = this.#choose(asked, waited)
    this.#running++
    const wasFull = this.#running === this.#options.concurrency
    let isDone = false
    return {
      entry,
      waited,
      done: (decode) => {
        if (isDone) return
        isDone = true
        const isFull = wasFull && this.#running === this.#options.concurrency
        this.#running--
        if (decode !== undefined) {
          const before = this.#decode.get(asked.kind) ?? decode
          this.#decode.set(asked.kind, before + LEARN * (decode - before))
          if (isFull) {
            const took = (this.#now() - begun) / this.#options.concurrency
            const ratio = took / Math.max(0.1, this.#share(asked, milliseconds))
            this.#stretch += LEARN * (Math.min(8, Math.max(0.5, ratio)) - this.#stretch)
          }
        }
        this.#next()
      },
    }
  }

  /** Calls the next that can still be answered in time. */
  #next(): void {
    while (this.#running < this.#options.concurrency) {
      const next = this.#line.shift()
      if (!next) return
      const late =
        this.#now() - next.since + this.#alone(next.asked, this.#least(next.asked)) - next.asked.deadline
      // The last that is left is answered late rather than not at all.
      if (late <= 0 || this.#isIdle) next.go()
      else {
        const again = Math.max(1, Math.ceil(late / 1000))
        next.refuse(new Overloaded('the server was too busy to answer in time', again))
      }
    }
  }

  #choose<E>(asked: Asked<E>, waited: number): Candidate<E> {
    const { candidates, deadline } = asked
    if (!this.#mayChange(asked)) return candidates[0]!
    const others = this.#line.length + this.#running / 2
    const planned = (others > 0 ? PLANNED : PLANNED_ALONE) * deadline
    const fits = ({ milliseconds }: Candidate<E>) =>
      waited + others * this.#stretch * this.#share(asked, milliseconds) + this.#alone(asked, milliseconds) <=
      planned
    return candidates.find(fits) ?? candidates.at(-1)!
  }

  /** Milliseconds by which the newest would be late if all got the least that they may. */
  #lateness(asked: Asked<unknown>): number {
    const least = this.#least(asked)
    const others = this.#line.length + this.#running / 2
    return others * this.#stretch * this.#share(asked, least) + this.#alone(asked, least) - asked.deadline
  }

  /** Milliseconds until the line has gone, if all got the least that they may. */
  get #clearing(): number {
    return this.#line.reduce(
      (sum, { asked }) => sum + this.#stretch * this.#share(asked, this.#least(asked)),
      0,
    )
  }

  #mayChange({ isExact }: Asked<unknown>): boolean {
    return this.#options.isSwitching && !isExact
  }

  /** Milliseconds of the least that a request may get. */
  #least(asked: Asked<unknown>): number {
    return asked.candidates.at(this.#mayChange(asked) ? -1 : 0)!.milliseconds
  }

  /** What one request holds up the others: inputs are made side by side, the engine runs one after the other. */
  #share({ kind, views }: Asked<unknown>, milliseconds: number): number {
    return (this.#decode.get(kind) ?? 0) / this.#options.concurrency + views * milliseconds
  }

  #alone({ kind, views }: Asked<unknown>, milliseconds: number): number {
    return (this.#decode.get(kind) ?? 0) + views * milliseconds
  }
}
