/** A model ready to classify: a run's weights and query table on an engine, with compiled plans kept. */

import type { Config } from '../config/index.ts'
import type { Engine, FrameBatch, Inputs, Plan, Precision, RunResult } from '../engines/engine.ts'
import { type EngineName, openEngine, type TfjsBackend } from '../engines/index.ts'
import { checkPrecision } from '../engines/precision.ts'
import { MnVideoError } from '../errors.ts'
import type { Network } from '../network/graph.ts'
import { configurationKey, fullConfiguration, resolve } from '../network/resolve.ts'
import { labelsOf, labelsOfRun } from './labels.ts'
import { type Latency, machineOf, measureLatency, readLatencies, writeLatencies } from './latency.ts'
import { type Budget, checkBudget, checkPath } from './options.ts'
import { chooseUnder, chooseWithin, isReady, type QueryTable, type TableEntry } from './query-table.ts'
import { type Run, readRun, readStatistics } from './run-folder.ts'
import { toInputs } from './views.ts'

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
}

/** A configuration whose plan is compiled. */
export interface ReadyConfiguration {
  readonly entry: TableEntry
  /**
   * Scores of a batch.
   *
   * @param clips whole clips, bytes [batch, T, S, S, 3] with the frames of the model's largest input, square; they are
   *   subsampled, resized and normalised here
   * @returns [batch, classes], each row summing to 1
   */
  classify(clips: FrameBatch): Promise<Float32Array>
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
  forBudget(budget: Budget): Promise<ReadyConfiguration>
  /**
   * Measures how long every configuration that can run takes here, and keeps it with the run, where it is found
   * again. Nothing else should be running meanwhile.
   */
  measureLatencies(onMeasured?: (entry: TableEntry, latency: Latency) => void): Promise<void>
  /** What was measured here of a configuration. */
  latencyOf(entry: TableEntry): Latency | undefined
  /** Runs a configuration on inputs (normalised here when they are bytes). Plans are compiled once and kept. */
  run(entry: TableEntry, inputs: Inputs): Promise<RunResult>
  /** Frees the plans. The model cannot be used afterwards. */
  dispose(): void
}

/**
 * Loads the model of a run folder.
 *
 * @throws MnVideoError `run`, `config`, `weights` or `engine`, naming what is missing or damaged
 */
export async function loadModel(path: string | URL, options: LoadOptions = {}): Promise<Model> {
  const folder = checkPath(path, 'the run to load')
  const run = await readRun(folder)
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
  checkPrecision(engine, precision)
  const plans = keepPlans(run, engine, precision)
  const machine = machineOf(engine, precision)
  const latencies = await readLatencies(folder, machine)
  const latencyOf = (entry: TableEntry) => latencies.get(configurationKey(entry))
  const choose = (budget: Budget) => chooseEntry(run, budget, latencyOf)
  return {
    folder,
    config,
    network,
    table,
    engine,
    precision,
    labels,
    choose,
    latencyOf,
    async forBudget(budget) {
      const entry = choose(budget)
      await plans.of(entry)
      return {
        entry,
        async classify(clips) {
          const plan = await plans.of(entry)
          return (await plan.run(toInputs(network, entry, clips))).scores
        },
      }
    },
    async measureLatencies(onMeasured) {
      for (const entry of table.entries.filter((entry) => isReady(table, entry))) {
        const latency = await measureLatency(await plans.of(entry))
        latencies.set(configurationKey(entry), latency)
        onMeasured?.(entry, latency)
      }
      await writeLatencies(folder, machine, latencies)
    },
    async run(entry, inputs) {
      const plan = await plans.of(entry)
      return plan.run(inputs)
    },
    dispose: () => plans.dispose(),
  }
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
    return chooseWithin(run.table, budget.latencyMs, (entry) => latencyOf(entry)?.median)
  }
  if ('gflops' in budget || 'mflops' in budget) return chooseUnder(run.table, budget)
  const { network, config, table, folder } = run
  const full = fullConfiguration(network)
  const { width = full.width, frames = full.frames, size = full.size } = budget
  const configuration = { width, frames, size }
  const listed = table.entries.find((entry) => configurationKey(entry) === configurationKey(configuration))
  if (listed) return listed
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
  return { ...configuration, macs, params }
}

/** The most recently used plans, at most `PLANS_KEPT`. */
function keepPlans(run: Run, engine: Engine, precision: Precision) {
  const plans = new Map<string, Promise<Plan>>()
  let disposed = false
  const { mean, std } = run.config
  const compile = async (entry: TableEntry) =>
    engine.compile(resolve(run.network, entry), run.weights, {
      normalisation: { mean, std },
      statistics: await readStatistics(run, entry),
      precision,
    })
  return {
    async of(entry: TableEntry): Promise<Plan> {
      if (disposed)
        throw new MnVideoError('usage', `the model of ${run.folder} has been disposed. Load it again.`)
      const key = configurationKey(entry)
      const plan = plans.get(key) ?? compile(entry)
      plans.delete(key)
      plans.set(key, plan)
      plan.catch(() => plans.delete(key))
      for (const [oldest, unused] of plans) {
        if (plans.size <= PLANS_KEPT) break
        plans.delete(oldest)
        release(unused)
      }
      return plan
    },
    dispose() {
      disposed = true
      for (const plan of plans.values()) release(plan)
      plans.clear()
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
