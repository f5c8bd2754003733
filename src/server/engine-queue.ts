/**
 * The one line before the engine: whoever has inputs, be it a request, a window of a film or of a stream, waits its turn.
 * Inputs of one configuration that wait together run as one batch where that was measured to be faster.
 */
import type { RunOptions, RunResult } from '../engines/engine.ts'
import { throwIfCancelled } from '../errors.ts'
import type { FrameBatch, Inputs } from '../frames/batch.ts'
import type { Model } from '../inference/model.ts'
import { resolve } from '../network/resolve.ts'
import { noiseFor } from '../runs/latency.ts'
import type { TableEntry } from '../runs/query-table.ts'

interface Job {
  readonly model: Model
  readonly entry: TableEntry
  readonly inputs: Inputs
  readonly options: RunOptions
  readonly settle: (result: RunResult) => void
  readonly fail: (error: unknown) => void
}

/** Told of every run, for statistics. */
export type OnRun = (run: {
  readonly model: Model
  readonly entry: TableEntry
  readonly batch: number
  readonly milliseconds: number
}) => void

/** Inputs that run together, where batches pay. */
const BATCH = 4
/** Batches must be faster by this for each of their clips. */
const GAIN = 1.05

export class EngineQueue {
  readonly #waiting: Job[] = []
  readonly #onRun: OnRun
  readonly #batched = new Set<TableEntry>()
  #isBusy = false

  constructor(onRun: OnRun = () => {}) {
    this.#onRun = onRun
  }

  /** Inputs that wait. */
  get length(): number {
    return this.#waiting.length
  }

  /** A model whose runs wait their turn here. */
  share(model: Model): Model {
    return { ...model, run: (entry, inputs, options = {}) => this.#enqueue(model, entry, inputs, options) }
  }

  /**
   * Finds out whether batches of a configuration pay on this machine. Nothing else should be running.
   *
   * @returns milliseconds for each input, alone and in a batch
   */
  async measureBatches(
    model: Model,
    entry: TableEntry,
  ): Promise<{ readonly alone: number; readonly batched: number }> {
    const subNetwork = resolve(model.network, entry)
    const time = async (batch: number): Promise<number> => {
      const inputs = noiseFor(subNetwork, batch)
      await model.run(entry, inputs)
      let fastest = Number.POSITIVE_INFINITY
      for (let i = 0; i < 3; i++) {
        const begun = performance.now()
        await model.run(entry, inputs)
        fastest = Math.min(fastest, performance.now() - begun)
      }
      return fastest / batch
    }
    const [alone, batched] = [await time(1), await time(BATCH)]
    this.setBatched(entry, batched * GAIN <= alone)
    return { alone, batched }
  }

  /** Says whether inputs of a configuration run together. */
  setBatched(entry: TableEntry, pays: boolean): void {
    if (pays) this.#batched.add(entry)
    else this.#batched.delete(entry)
  }

  /** Whether inputs of a configuration run together. */
  isBatched(entry: TableEntry): boolean {
    return this.#batched.has(entry)
  }

  #enqueue(model: Model, entry: TableEntry, inputs: Inputs, options: RunOptions): Promise<RunResult> {
    return new Promise((settle, fail) => {
      throwIfCancelled(options.signal, 'the run')
      const { signal } = options
      // Many runs may share one signal, which outlives them.
      const leave = () => this.#leave(job)
      const over =
        <T>(end: (value: T) => void) =>
        (value: T) => {
          signal?.removeEventListener('abort', leave)
          end(value)
        }
      const job: Job = { model, entry, inputs, options, settle: over(settle), fail: over(fail) }
      this.#waiting.push(job)
      signal?.addEventListener('abort', leave, { once: true })
      void this.#work()
    })
  }

  /** One that does not run yet leaves the line; one that runs is ended by its signal, or with its batch. */
  #leave(job: Job): void {
    const place = this.#waiting.indexOf(job)
    if (place < 0) return
    this.#waiting.splice(place, 1)
    try {
      throwIfCancelled(job.options.signal, 'the run')
    } catch (error) {
      job.fail(error)
    }
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    for (let jobs = this.#take(); jobs.length > 0; jobs = this.#take()) await this.#run(jobs)
    this.#isBusy = false
  }

  /** The first that waits, and those that can run with it. */
  #take(): Job[] {
    const first = this.#waiting.shift()
    if (!first) return []
    const jobs = [first]
    if (!this.#batched.has(first.entry) || !isPlain(first)) return jobs
    const shape = shapeOf(first)
    for (let i = 0; i < this.#waiting.length && jobs.length < BATCH; ) {
      const job = this.#waiting[i]!
      if (job.model === first.model && job.entry === first.entry && isPlain(job) && shapeOf(job) === shape) {
        jobs.push(job)
        this.#waiting.splice(i, 1)
      } else i++
    }
    return jobs
  }

  async #run(jobs: readonly Job[]): Promise<void> {
    const [{ model, entry, inputs, options, settle, fail }] = jobs as readonly [Job]
    const begun = performance.now()
    try {
      if (jobs.length === 1) settle(await model.run(entry, inputs, options))
      else await this.#runTogether(jobs, model, entry)
      this.#onRun({ model, entry, batch: jobs.length, milliseconds: performance.now() - begun })
    } catch (error) {
      if (jobs.length === 1) fail(error)
      // What is wrong with one is not the others' fault.
      else for (const job of jobs) await this.#run([job])
    }
  }

  async #runTogether(jobs: readonly Job[], model: Model, entry: TableEntry): Promise<void> {
    const result = await model.run(entry, joined(jobs.map(({ inputs }) => inputs)))
    const { classes } = model.network
    for (const [i, { settle }] of jobs.entries()) {
      const part = (values: Float32Array) => values.slice(i * classes, (i + 1) * classes)
      const { logits, scores, labelScores, observed } = result
      settle({ logits: part(logits), scores: part(scores), labelScores: part(labelScores), observed })
    }
  }
}

/** Whether nothing but a result for one clip of bytes is asked for. What is not whole is left for the engine to refuse. */
const isPlain = ({ inputs, options }: Job): boolean =>
  !options.observe &&
  Object.values(inputs).every(
    ({ batch, data, frames, height, width }) =>
      batch === 1 && data instanceof Uint8Array && data.length === frames * height * width * 3,
  )

const shapeOf = ({ inputs }: Job): string =>
  Object.entries(inputs)
    .map(([name, { frames, height, width }]) => `${name} ${frames} ${height} ${width}`)
    .join()

/** Inputs of one clip each as those of a batch. */
function joined(all: readonly Inputs[]): Inputs {
  const [first] = all as readonly [Inputs]
  return Object.fromEntries(
    Object.entries(first).map(([name, one]): [string, FrameBatch] => {
      const data = new Uint8Array(all.length * one.data.length)
      for (const [i, inputs] of all.entries()) data.set(inputs[name]!.data, i * one.data.length)
      return [name, { ...one, data, batch: all.length }]
    }),
  )
}
