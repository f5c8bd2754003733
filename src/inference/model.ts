/** A model ready to classify: a run's weights and query table on an engine, with compiled plans kept. */
import type { Config } from '../config/index.ts'
import type { Engine, Plan, Precision, RunOptions, RunResult } from '../engines/engine.ts'
import { type EngineName, openEngine, type TfjsBackend } from '../engines/index.ts'
import { checkClips, copyInputs } from '../engines/inputs.ts'
import { checkPrecision } from '../engines/precision.ts'
import { MnVideoError, throwIfCancelled } from '../errors.ts'
import type { FrameBatch, Inputs } from '../frames/batch.ts'
import { toInputs } from '../frames/inputs.ts'
import type { Network } from '../network/graph.ts'
import { configurationKey, fullConfiguration, resolve } from '../network/resolve.ts'
import * as option from '../options.ts'
import { checkOptions, checkPath, type OptionTable } from '../options.ts'
import { readStatistics } from '../runs/kept-statistics.ts'
import { labelsOf, labelsOfRun } from '../runs/labels.ts'
import { type Latency, machineOf, measureLatency, readLatencies, writeLatencies } from '../runs/latency.ts'
import {
  chooseFull,
  chooseUnder,
  chooseWithin,
  configurationsOf,
  isAffordable,
  isReady,
  type QueryTable,
  type TableEntry,
} from '../runs/query-table.ts'
import { calibrateCommand, type Run, readRun } from '../runs/run-folder.ts'
import { shellQuoted } from '../shell.ts'
import { type Budget, checkBudget } from './options.ts'
import { type FrameStream, openStream, type StreamOptions } from './streaming/stream.ts'

/** Compiled plans that a model keeps; the one unused for longest goes first. */
const PLANS_KEPT = 8

export interface LoadOptions {
  /** Default: the best engine there is. */
  readonly engine?: EngineName
  /** The tfjs engine's backend; default: the best that loads. */
  readonly backend?: TfjsBackend
  /** Threads that the engine uses, where it lets one choose; default: all processors. */
  readonly threads?: number
  /** What dense layers multiply: `float32` (default), or `bf16`, which the native engine has. */
  readonly precision?: Precision
  /** A file with one class name a line; default: the configuration's `labels`. */
  readonly labels?: string
  /** Ends the loading, which then fails with `cancelled`. */
  readonly signal?: AbortSignal
}

const LOAD_OPTIONS: OptionTable<LoadOptions> = {
  ...{ engine: option.text, backend: option.text, threads: option.any, precision: option.text },
  ...{ labels: option.text, signal: option.signal },
}

/** What calls that may take long accept. */
export interface Cancellable {
  /** Ends the call, which then fails with `cancelled`; the model stays usable. */
  readonly signal?: AbortSignal
}

const CANCELLABLE: OptionTable<Cancellable> = { signal: option.signal }
const MEASURE_OPTIONS: OptionTable<Cancellable & { readonly missing?: boolean }> = {
  ...CANCELLABLE,
  missing: option.flag,
}
const RUN_OPTIONS: OptionTable<RunOptions> = { observe: option.any, signal: option.signal }

/** A configuration whose plan is compiled. */
export interface ReadyConfiguration {
  readonly entry: TableEntry
  /**
   * Scores of a batch.
   *
   * @param clips whole clips, bytes [batch, T, S, S, 3] with the frames of the model's largest input, square; they are
   *   subsampled, resized and normalised here. Floats are taken as normalised already, and must be finite.
   * @returns [batch, classes], each row summing to 1
   * @throws MnVideoError `usage` for clips of another type or shape, naming what was expected; `cancelled` by the signal
   */
  classify(clips: FrameBatch, options?: Cancellable): Promise<Float32Array>
}

export interface Model {
  /** The run's folder. */
  readonly folder: string
  readonly config: Config
  readonly network: Network
  readonly table: QueryTable
  readonly engine: Engine
  readonly precision: Precision
  /** One name per class; `class 0`, `class 1`, … where none are known. */
  readonly labels: readonly string[]
  /**
   * The configuration that a budget buys, with its cost. For `latencyMs` latencies must have been measured here.
   *
   * @throws MnVideoError `budget` below the cheapest; `usage` for a configuration the model was not built for
   */
  choose(budget: Budget): TableEntry
  /**
   * Chooses and compiles what a budget buys, ready to run. Plans are kept, so switching between budgets that were
   * asked for before costs a look-up.
   *
   * @throws MnVideoError as `choose`
   */
  forBudget(budget: Budget, options?: Cancellable): Promise<ReadyConfiguration>
  /**
   * Measures how long every configuration that can run takes here, and keeps it with the run, where it is found
   * again. Nothing else should be running meanwhile.
   *
   * @param missing only those that were not measured here before
   */
  measureLatencies(
    onMeasured?: (entry: TableEntry, latency: Latency) => void,
    options?: Cancellable & { readonly missing?: boolean },
  ): Promise<void>
  /** What was measured here of a configuration. */
  latencyOf(entry: TableEntry): Latency | undefined
  /**
   * Runs a configuration on inputs (normalised here when they are bytes). Plans are compiled once and kept.
   *
   * @throws MnVideoError `engine` for inputs of another type or shape, `weights` when the scores are not numbers,
   *   `cancelled` by the signal
   */
  run(entry: TableEntry, inputs: Inputs, options?: RunOptions): Promise<RunResult>
  /**
   * Answers about frames that the caller's own capture code brings, at the cost of a budget or held to a deadline.
   *
   * @throws MnVideoError `usage`, `budget`
   */
  stream(options: StreamOptions): Promise<FrameStream>
  /** Frees the plans. The model cannot be used afterwards. */
  dispose(): void
}

/**
 * Loads the model of a run folder.
 *
 * @throws MnVideoError `run`, `config`, `weights` or `engine`, naming what is missing or damaged; `cancelled` by the
 *   signal
 */
export async function loadModel(path: string | URL, options: LoadOptions = {}): Promise<Model> {
  const folder = checkPath(path, 'the run to load')
  checkOptions('loadModel', options, LOAD_OPTIONS)
  const { signal } = options
  const goOn = () => throwIfCancelled(signal, `loading ${folder}`)
  goOn()
  const run = await readRun(folder)
  goOn()
  const { config, network, table } = run
  const labels =
    options.labels === undefined
      ? await labelsOfRun(folder, config)
      : await labelsOf(options.labels, network.classes)
  const { threads, backend, precision = 'float32' } = options
  const engine = await openEngine(options.engine, {
    ...(threads !== undefined && { threads }),
    ...(backend !== undefined && { backend }),
  })
  goOn()
  checkPrecision(engine, precision)
  const plans = keepPlans(run, engine, precision)
  const machine = machineOf(engine, precision)
  const latencies = await readLatencies(folder, machine)
  const latencyOf = (entry: TableEntry) => latencies.get(configurationKey(entry))
  const choose = (budget: Budget) => chooseEntry(run, budget, latencyOf)
  const runOn = async (entry: TableEntry, inputs: Inputs, options: RunOptions) => {
    throwIfCancelled(options.signal, 'the run')
    // Taken now: the plan may have to be compiled, and the caller's arrays are the caller's again meanwhile.
    const taken = copyInputs(inputs)
    const result = await plans.use(entry, (plan) => plan.run(taken, options))
    if (result.scores.every(Number.isFinite)) return result
    throw new MnVideoError(
      'weights',
      `${folder}: the scores at width ${entry.width}, frames ${entry.frames}, size ${entry.size} are not numbers. ` +
        'The weights or statistics are damaged, or the inputs are out of all proportion.',
    )
  }
  const model: Model = {
    folder,
    config,
    network,
    table,
    engine,
    precision,
    labels,
    choose,
    latencyOf,
    async forBudget(budget, options = {}) {
      checkOptions('forBudget', options, CANCELLABLE)
      const entry = choose(budget)
      throwIfCancelled(options.signal, 'forBudget')
      await plans.use(entry, async () => {})
      throwIfCancelled(options.signal, 'forBudget')
      return {
        entry,
        async classify(clips, options = {}) {
          checkOptions('classify', options, CANCELLABLE)
          checkClips('clips', clips, wholeFrames(network))
          return (await runOn(entry, toInputs(network, entry, clips), options)).scores
        },
      }
    },
    async measureLatencies(onMeasured, options = {}) {
      checkOptions('measureLatencies', options, MEASURE_OPTIONS)
      const isWanted = (entry: TableEntry) => isReady(table, entry) && !(options.missing && latencyOf(entry))
      for (const entry of table.entries.filter(isWanted)) {
        throwIfCancelled(options.signal, 'measureLatencies')
        const latency = await plans.use(entry, (plan) => measureLatency(plan))
        latencies.set(configurationKey(entry), latency)
        onMeasured?.(entry, latency)
      }
      await writeLatencies(folder, machine, latencies)
    },
    async run(entry, inputs, options = {}) {
      checkOptions('run', options, RUN_OPTIONS)
      return runOn(checkEntry(network, entry), inputs, options)
    },
    stream: (options) => openStream(model, options),
    dispose: () => plans.dispose(),
  }
  return model
}

/**
 * The configuration of a run that a budget buys, with its cost.
 *
 * @throws MnVideoError `budget` below the cheapest; `usage` for a configuration the run was not built for
 */
export function chooseEntry(
  run: Run,
  asked: Budget,
  latencyOf: (entry: TableEntry) => Latency | undefined = () => undefined,
): TableEntry {
  const budget = checkBudget(asked)
  if ('latencyMs' in budget) {
    const measure = `mn-video calibrate-latency ${shellQuoted(run.folder)}`
    return chooseWithin(run.table, budget.latencyMs, (entry) => latencyOf(entry)?.median, measure)
  }
  if ('gflops' in budget || 'mflops' in budget) {
    return chooseUnder(run.table, budget, cheaperCommand(run, budget))
  }
  const { network, config, table, folder } = run
  const full = fullConfiguration(network)
  const { width = full.width, frames = full.frames, size = full.size } = budget
  const configuration = { width, frames, size }
  const isFull = configurationKey(configuration) === configurationKey(full)
  const isAsked = [budget.width, budget.frames, budget.size].some((value) => value !== undefined)
  const listed = table.entries.find((entry) => configurationKey(entry) === configurationKey(configuration))
  if (listed && isAsked) return listed
  const [narrowest, widest] = config.width_mult_range
  if (width < narrowest || width > widest) {
    throw new MnVideoError(
      'usage',
      `width ${width} is outside the range that ${folder} is built for. Give a width from ${narrowest} to ${widest}.`,
    )
  }
  if (frames > network.frames) {
    throw new MnVideoError(
      'usage',
      `frames ${frames} is more than a clip of ${folder} has. Give 1 to ${network.frames} frames.`,
    )
  }
  const { macs, params } = resolve(network, configuration)
  const entry = listed ?? { ...configuration, macs, params }
  return isFull && !isAsked ? chooseFull(table, entry) : entry
}

/** What calibrates the dearest configuration under a budget, of a trained run whose lists have one that its table lacks. */
function cheaperCommand(run: Run, budget: { gflops: number } | { mflops: number }): string | undefined {
  const { config, network, table } = run
  if (!table.trained) return undefined
  const { width_mult_list: widths, frames_list: frames, resolution_list: sizes } = config
  const fitting = configurationsOf({ widths, frames, sizes })
    .map((configuration) => ({ configuration, macs: resolve(network, configuration).macs }))
    .filter(({ macs }) => isAffordable(macs, budget))
  const best = fitting.reduce<(typeof fitting)[number] | undefined>(
    (a, b) => (a && a.macs >= b.macs ? a : b),
    undefined,
  )
  return best && calibrateCommand(run, best.configuration)
}

/** A configuration that callers may have made up. */
function checkEntry(network: Network, entry: TableEntry): TableEntry {
  const { width, frames, size } = (entry ?? {}) as Partial<TableEntry>
  if ([width, frames, size].every((value) => typeof value === 'number')) return entry
  throw new MnVideoError(
    'usage',
    `a configuration of ${network.name} must be { width, frames, size }, as choose gives it, not ${option.show(entry)}.`,
  )
}

/** Frames of a clip that all inputs of a network can be made of. */
const wholeFrames = (network: Network): number =>
  Math.max(
    network.frames,
    ...network.nodes.map((node) => (node.kind === 'input' && node.follows === 'whole' ? node.frames : 0)),
  )

interface Kept {
  readonly plan: Promise<Plan>
  /** Calls that use it now; it is freed after the last one. */
  users: number
  isDropped: boolean
}

/** The most recently used plans, at most `PLANS_KEPT`. */
function keepPlans(run: Run, engine: Engine, precision: Precision) {
  const plans = new Map<string, Kept>()
  let disposed = false
  const { mean, std } = run.config
  const compile = async (entry: TableEntry) =>
    engine.compile(resolve(run.network, entry), run.weights, {
      normalisation: { mean, std },
      statistics: await readStatistics(run, entry),
      precision,
    })
  const drop = (key: string, kept: Kept) => {
    if (plans.get(key) === kept) plans.delete(key)
    kept.isDropped = true
    if (kept.users === 0) release(kept.plan)
  }
  return {
    /** Compiles where that is needed; the plan lives at least until the work is done. */
    async use<T>(entry: TableEntry, work: (plan: Plan) => Promise<T>): Promise<T> {
      if (disposed)
        throw new MnVideoError('usage', `the model of ${run.folder} has been disposed. Load it again.`)
      const key = configurationKey(entry)
      const kept = plans.get(key) ?? { plan: compile(entry), users: 0, isDropped: false }
      plans.delete(key)
      plans.set(key, kept)
      kept.users++
      kept.plan.catch(() => drop(key, kept))
      for (const [oldest, unused] of plans) {
        if (plans.size <= PLANS_KEPT) break
        drop(oldest, unused)
      }
      try {
        return await work(await kept.plan)
      } finally {
        kept.users--
        if (kept.isDropped && kept.users === 0) release(kept.plan)
      }
    },
    dispose() {
      disposed = true
      for (const [key, kept] of plans) drop(key, kept)
    },
  }
}

/** A plan that never came to be has nothing to free. */
function release(plan: Promise<Plan>): void {
  plan.then(
    (compiled) => compiled.dispose(),
    () => {},
  )
}
