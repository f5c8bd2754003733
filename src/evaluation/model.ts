/** A model ready to classify: a run's weights and query table on an engine, with compiled plans kept. */

import type { Config } from '../config/index.ts'
import type { Engine, Inputs, Plan, RunResult } from '../engines/engine.ts'
import { type EngineName, openEngine } from '../engines/index.ts'
import { MnVideoError } from '../errors.ts'
import type { Configuration, Network } from '../network/graph.ts'
import { configurationKey, fullConfiguration, resolve } from '../network/resolve.ts'
import { labelsOf } from './labels.ts'
import { chooseUnder, type QueryTable, type TableEntry } from './query-table.ts'
import { type Run, readRun, readStatistics } from './run-folder.ts'

/** Compiled plans that a model keeps; the one unused for longest goes first. */
const PLANS_KEPT = 8

/** What a call may cost: at most a number of multiply-adds per clip or image, or an exact configuration. */
export type Budget =
  | { readonly gflops: number }
  | { readonly mflops: number }
  /** Left out: the full width, frames and size. */
  | Partial<Configuration>

export interface LoadOptions {
  /** Default: the best engine there is. */
  readonly engine?: EngineName
  /** A file with one class name a line; default: the configuration's `labels`. */
  readonly labels?: string
}

export interface Model {
  /** The run's folder. */
  readonly folder: string
  readonly config: Config
  readonly network: Network
  readonly table: QueryTable
  readonly engine: Engine
  /** One name per class; `class 0`, `class 1`, … where none are known. */
  readonly labels: readonly string[]
  /**
   * The configuration that a budget buys, with its cost.
   *
   * @throws MnVideoError `budget` below the cheapest; `usage` for a configuration the model was not built for
   */
  choose(budget: Budget): TableEntry
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
export async function loadModel(folder: string, options: LoadOptions = {}): Promise<Model> {
  const run = await readRun(folder)
  const { config, network, table } = run
  const labels = await labelsOf(options.labels ?? config.labels, network.classes)
  const engine = await openEngine(options.engine)
  const plans = keepPlans(run, engine)
  return {
    folder,
    config,
    network,
    table,
    engine,
    labels,
    choose: (budget) => chooseEntry(run, budget),
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
export function chooseEntry(run: Run, budget: Budget): TableEntry {
  if ('gflops' in budget) return chooseUnder(run.table, positive('gflops', budget.gflops) * 1e9)
  if ('mflops' in budget) return chooseUnder(run.table, positive('mflops', budget.mflops) * 1e6)
  const { network, config, table } = run
  const configuration = { ...fullConfiguration(network), ...budget }
  const listed = table.entries.find((entry) => configurationKey(entry) === configurationKey(configuration))
  if (listed) return listed
  const [narrowest, widest] = config.width_mult_range
  if (configuration.width < narrowest || configuration.width > widest) {
    throw new MnVideoError(
      'usage',
      `width ${configuration.width} is outside the range that ${run.folder} is built for. Give --width from ${narrowest} to ${widest}.`,
    )
  }
  const { macs, params } = resolve(network, configuration)
  return { ...configuration, macs, params }
}

function positive(name: string, value: number): number {
  if (value > 0) return value
  throw new MnVideoError('usage', `--${name} must be a number above 0, not ${value}.`)
}

/** The most recently used plans, at most `PLANS_KEPT`. */
function keepPlans(run: Run, engine: Engine) {
  const plans = new Map<string, Promise<Plan>>()
  const { mean, std } = run.config
  const compile = async (entry: TableEntry) =>
    engine.compile(resolve(run.network, entry), run.weights, {
      normalisation: { mean, std },
      statistics: await readStatistics(run, entry),
    })
  return {
    async of(entry: TableEntry): Promise<Plan> {
      const key = configurationKey(entry)
      const plan = plans.get(key) ?? compile(entry)
      plans.delete(key)
      plans.set(key, plan)
      plan.catch(() => plans.delete(key))
      for (const [oldest, unused] of plans) {
        if (plans.size <= PLANS_KEPT) break
        plans.delete(oldest)
        void unused.then((plan) => plan.dispose())
      }
      return plan
    },
    dispose() {
      for (const plan of plans.values()) {
        plan.then(
          (compiled) => compiled.dispose(),
          () => {},
        )
      }
      plans.clear()
    },
  }
}
