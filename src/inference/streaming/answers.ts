/**
 * Answers about frames that keep coming: every window that is due is answered, or counted as skipped with the reason. While
 * one is computed the newest of those that wait is the next, and a controller chooses what it may cost.
 */
import { clipSpan, hasWholeInput, testPicture } from '../../data/loading/test-clips.ts'
import { toInputs } from '../../frames/inputs.ts'
import { subsampleFrames } from '../../frames/subsample.ts'
import { clipFrames } from '../../network/graph.ts'
import type { TableEntry } from '../../runs/query-table.ts'
import { clipSeconds } from '../../video/sampling.ts'
import type { Model } from '../model.ts'
import { type Candidate, Controller } from './controller.ts'
import { SpanFinder, type SpanOptions } from './span-finder.ts'
import type { NamedSpan } from './spans.ts'
import { clipOf, type Window, Windows } from './windows.ts'

export interface AnswerEvent {
  readonly event: 'answer'
  /** Seconds of the source: what the window shows. */
  readonly start: number
  readonly end: number
  /** The most probable class. */
  readonly label: string
  readonly index: number
  readonly score: number
  /** [classes] */
  readonly scores: Float32Array
  readonly configuration: TableEntry
  /** Milliseconds from when the window's last frame was due to the answer. */
  readonly latencyMs: number
  /** Of it, those from when the engine was asked. */
  readonly computeMs: number
  /** Whether that was within the deadline; absent where there is none. */
  readonly inTime?: boolean
}

export interface SkippedEvent {
  readonly event: 'skipped'
  readonly start: number
  readonly end: number
  /** `newer`: another window came while one was computed; `late`: the deadline had passed; `gap`: frames are missing. */
  readonly reason: 'newer' | 'late' | 'gap'
}

export interface SpanEvent extends NamedSpan {
  readonly event: 'span'
}

export interface SwitchEvent {
  readonly event: 'switch'
  /** Seconds of the source. */
  readonly time: number
  readonly configuration: TableEntry
  /** How much longer than alone runs take. */
  readonly load: number
}

export type Happened = AnswerEvent | SkippedEvent | SpanEvent | SwitchEvent

export interface AnswerOptions {
  /** The configurations to choose from, the most accurate first; one where nothing is chosen. */
  readonly candidates: readonly Candidate<TableEntry>[]
  /** What `change` may bring, where it may: frames are kept at the largest size. */
  readonly others?: readonly Candidate<TableEntry>[]
  /** Milliseconds from a window's end to its answer. */
  readonly deadline: number | undefined
  /** Where windows begin, in seconds of the source. */
  readonly starts: Iterable<number>
  /** Seconds that a frame of the source lasts; that of the nominal rate by default. */
  readonly frame: number | undefined
  readonly spans: SpanOptions | undefined
  /** Every window is answered, and frames wait for that: a file as fast as it goes. */
  readonly waits: boolean
  readonly tell: (happened: Happened) => void
  readonly fail: (error: unknown) => void
}

interface Due {
  readonly window: Window
  /** Milliseconds of `performance.now()` at which its last frame was due. */
  readonly at: number
}

export class Answers {
  readonly side: number
  readonly #model: Model
  readonly #options: AnswerOptions
  #controller: Controller<TableEntry>
  #deadline: number | undefined
  readonly #windows: Windows
  readonly #finder: SpanFinder | undefined
  readonly #seconds: number
  /** When the source's second 0 was, in milliseconds of our clock: the least that a frame's arrival told of late. */
  readonly #clock = new Clock()
  #pending: Due | undefined
  #work: Promise<void> | undefined
  #current: TableEntry | undefined
  #isOver = false
  /** Where the latest answered window ends. */
  #reached = 0

  constructor(model: Model, options: AnswerOptions) {
    const { network, config } = model
    this.#model = model
    this.#options = options
    this.#controller = new Controller(options.candidates)
    this.#deadline = options.deadline
    const all = [...options.candidates, ...(options.others ?? [])]
    const span = clipSpan(network, config)
    this.#seconds = clipSeconds(span)
    this.side = sideOf(model, all)
    this.#windows = new Windows({
      span,
      frame: options.frame ?? 1 / (span.rate ?? 30),
      take: takeOf(model, all),
      starts: options.starts,
    })
    this.#finder = options.spans && new SpanFinder(options.spans)
  }

  /**
   * Takes a frame, [side, side, 3].
   *
   * @param time seconds of the source, no less than those before
   * @returns where frames wait, when its windows have been answered
   */
  async push(time: number, pixels: Uint8Array): Promise<void> {
    const now = performance.now()
    this.#clock.saw(time, now)
    const ready = this.#windows.push(time, pixels)
    if (this.#options.waits) for (const window of ready) await this.#answer({ window, at: now })
    else for (const window of ready) this.#enqueue({ window, at: this.#clock.at(time) })
  }

  /** From the next answer on, others are chosen from, or by another deadline. */
  change(candidates: readonly Candidate<TableEntry>[], deadline: number | undefined): void {
    this.#controller = new Controller(candidates)
    this.#deadline = deadline
  }

  /** Frames were lost up to a time: what they would have been part of is skipped. */
  interrupt(from: number, to: number): void {
    const lost = this.#windows.interrupt(to)
    for (let i = 0; i < lost; i++) this.#skip(from, to, 'gap')
    this.#clock.forget()
  }

  /**
   * Nothing follows: what is under way is finished, and spans that are open end.
   *
   * @param duration of a source that is known to its end: its last windows are answered too
   */
  async end(duration?: number): Promise<void> {
    await this.#work
    if (duration !== undefined) {
      for (const window of this.#windows.end()) await this.#answer({ window, at: performance.now() })
    }
    for (const span of this.#finder?.end(duration ?? this.#reached) ?? []) this.#tellSpan(span)
  }

  /** What is under way is finished, and nothing more is told. */
  async stop(): Promise<void> {
    this.#isOver = true
    this.#pending = undefined
    await this.#work
  }

  #enqueue(due: Due): void {
    if (this.#pending) {
      const { start } = this.#pending.window
      this.#skip(start, start + this.#seconds, 'newer')
    }
    this.#pending = due
    this.#work ??= this.#drain().finally(() => {
      this.#work = undefined
    })
  }

  async #drain(): Promise<void> {
    while (this.#pending && !this.#isOver) {
      const due = this.#pending
      this.#pending = undefined
      await this.#answer(due)
    }
  }

  async #answer({ window, at }: Due): Promise<void> {
    const { network } = this.#model
    const deadline = this.#deadline
    const { start } = window
    const end = start + this.#seconds
    const begun = performance.now()
    const left = deadline === undefined ? Number.POSITIVE_INFINITY : at + deadline - begun
    if (left <= 0) return this.#skip(start, end, 'late')
    const chosen = this.#controller.choose(left, begun)
    const { entry } = chosen
    if (this.#current && this.#current !== entry)
      this.#tell({ event: 'switch', time: end, configuration: entry, load: this.#controller.load })
    this.#current = entry
    try {
      const { scores } = await this.#model.run(entry, toInputs(network, entry, clipOf(window, this.side)))
      const ended = performance.now()
      this.#controller.observe(chosen, ended - begun)
      if (this.#isOver) return
      this.#reached = end
      const index = scores.indexOf(Math.max(...scores))
      this.#tell({
        event: 'answer',
        start,
        end,
        label: this.#model.labels[index]!,
        index,
        score: scores[index]!,
        scores,
        configuration: entry,
        latencyMs: ended - at,
        computeMs: ended - begun,
        ...(deadline !== undefined && { inTime: ended - at <= deadline }),
      })
      for (const span of this.#finder?.push({ start, end, scores }) ?? []) this.#tellSpan(span)
    } catch (error) {
      this.#isOver = true
      this.#options.fail(error)
    }
  }

  #skip(start: number, end: number, reason: SkippedEvent['reason']): void {
    this.#tell({ event: 'skipped', start, end, reason })
  }

  #tellSpan(span: ReturnType<SpanFinder['push']>[number]): void {
    this.#tell({ event: 'span', ...span, label: this.#model.labels[span.index]! })
  }

  #tell(happened: Happened): void {
    if (!this.#isOver) this.#options.tell(happened)
  }
}

/** Pixels a side of the frames that all of some configurations are made of. */
export const sideOf = (model: Model, candidates: readonly Candidate<TableEntry>[]): number =>
  testPicture(model.network, model.config, largest(candidates)).side

export const largest = (candidates: readonly Candidate<TableEntry>[]): number =>
  Math.max(...candidates.map(({ entry }) => entry.size))

/** Which of a clip's frames are kept: those of the one configuration, or all where it is chosen later. */
function takeOf({ network }: Model, candidates: readonly Candidate<TableEntry>[]): readonly number[] {
  const whole = clipFrames(network)
  const [only, ...others] = candidates
  if (others.length > 0 || hasWholeInput(network)) return Array.from({ length: whole }, (_, i) => i)
  return subsampleFrames(whole, only!.entry.frames)
}

/**
 * Relates a source's seconds to our clock. A frame can come late, never early; so of the latest minute's the earliest
 * tells when each was due, though the source's clock may run a little faster or slower than ours.
 */
class Clock {
  readonly #origins: { readonly seen: number; readonly origin: number }[] = []

  saw(time: number, now: number): void {
    const origin = now - 1000 * time
    // Later ones that are no earlier will outlive it.
    while (this.#origins.length > 0 && this.#origins.at(-1)!.origin >= origin) this.#origins.pop()
    this.#origins.push({ seen: now, origin })
    while (this.#origins[0]!.seen < now - 60_000) this.#origins.shift()
  }

  /** When a second of the source was due, in milliseconds of our clock. */
  at(time: number): number {
    return this.#origins[0]!.origin + 1000 * time
  }

  forget(): void {
    this.#origins.length = 0
  }
}
