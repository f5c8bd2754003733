/** What a test works with: run, engine, data, and the conditions that its results hold under. */
import type { Config } from '../config/index.ts'
import { formatViews, parseViews } from '../config/views.ts'
import { type Dataset, openTestDatasets, type Split } from '../data/sets/dataset.ts'
import type { Engine } from '../engines/engine.ts'
import { type EngineName, type EngineOptions, openEngine } from '../engines/index.ts'
import { checkPrecision, type Precision } from '../engines/precision.ts'
import { MnVideoError } from '../errors.ts'
import type { Configuration } from '../network/graph.ts'
import { configurationKey } from '../network/resolve.ts'
import { type Conditions, calibrationOf, conditionsOf, isOutdated, settingsOf } from '../runs/conditions.ts'
import { givenStatistics } from '../runs/kept-statistics.ts'
import { machineOf } from '../runs/latency.ts'
import type { Metric, QueryTable } from '../runs/query-table.ts'
import { readWeightedRun, type WeightedRun } from '../runs/run-folder.ts'
import type { AnyResult } from '../runs/sweep-results.ts'
import { useLauncher } from '../video/launch.ts'

export interface TestOptions extends EngineOptions {
  /** What to test; default: the lists of the run's configuration. */
  readonly widths?: readonly number[]
  readonly sizes?: readonly number[]
  readonly frames?: readonly number[]
  /** Of a video, as `parseViews` reads them; default: the configuration's. */
  readonly views?: string
  /** Configuration keys that say where the data lie now, as `key=value`. */
  readonly set?: readonly string[]
  readonly engine?: EngineName
  /** What dense layers multiply: `float32` (default), or `bf16`, which the native engine has. */
  readonly precision?: Precision
  readonly signal?: AbortSignal
  readonly onEvent?: (event: TestEvent) => void
}

export type TestEvent =
  | {
      readonly event: 'start'
      readonly network: string
      readonly engine: string
      readonly samples: number
      readonly configurations: number
      /** What is passed over in the folders of the data set, a line each. */
      readonly passedOver: readonly string[]
      /** Better engines that cannot be used here, and why. */
      readonly skipped: readonly string[]
      /** Already there from before. */
      readonly done: number
      /** Evaluated before, but under other conditions: kept, and measured again. */
      readonly other: { readonly configurations: number; readonly differing: readonly string[] }
      /** Not tested: without statistics of their own, and there is no training data to estimate them from. */
      readonly withoutStatistics: number
    }
  | {
      readonly event: 'progress'
      readonly what: 'calibration' | 'validation'
      readonly done: number
      readonly total: number
    }
  /** A sample that cannot be read: in training data another takes its place, of validation data it is left out. */
  | { readonly event: 'bad-file'; readonly split: Split; readonly file: string; readonly reason: string }
  | { readonly event: 'result'; readonly result: AnyResult }

/** In what results differ from those of the run's query table. */
export type Aside = 'views' | 'precision' | 'data' | 'settings' | 'metric'

/** Everything that a test works with. */
export interface TestSetup {
  readonly run: WeightedRun
  readonly engine: Engine
  readonly validation: Dataset
  /** Absent where the configuration names none. */
  readonly training: Dataset | undefined
  readonly views: string
  readonly metric: Metric
  readonly precision: Precision
  readonly conditions: Conditions
  /** What calibration would be of now; absent without training data. */
  readonly calibration: string | undefined
  readonly machine: string
  /** Keys of the configurations whose statistics came with the weights. */
  readonly given: ReadonlySet<string>
}

export async function openTestSetup(folder: string, options: TestOptions): Promise<TestSetup> {
  const run = await readWeightedRun(folder, options.set ?? [])
  const { config, network } = run
  if (options.views !== undefined && network.media === 'image')
    throw new MnVideoError('usage', '--views is for videos; an image has one view.')
  const views = formatViews(parseViews(options.views ?? config.views))
  const { precision = 'float32' } = options
  useLauncher()
  const engine = await openEngine(options.engine, options)
  checkPrecision(engine, precision)
  const { train: training, val: validation } = await openTestDatasets(config)
  return {
    ...{ run, engine, validation, training, views, precision },
    metric: validation.labels ? 'mAP' : 'top-1',
    conditions: await conditionsOf(config, validation),
    calibration: training && (await calibrationOf(config, training)),
    machine: machineOf(engine, precision),
    given: await givenStatistics(run),
  }
}

/** What a result was measured under that is not so now; empty where it counts. */
export function differing(setup: TestSetup, result: AnyResult): string[] {
  const { run, views, precision, conditions, calibration, given } = setup
  const isCalibrated = given.has(configurationKey(result))
    ? result.calibration === undefined
    : calibration === undefined || result.calibration === calibration
  return [
    ...(result.weights === run.weightsId ? [] : ['weights']),
    ...(result.views === views ? [] : ['views']),
    ...((result.precision ?? 'float32') === precision ? [] : ['precision']),
    ...(result.data === conditions.data ? [] : ['validation data']),
    ...(result.settings === conditions.settings ? [] : ['settings']),
    ...(isCalibrated ? [] : ['calibration']),
  ]
}

/** Which of the configurations to be measured were before, and what has changed since. */
export function otherResults(
  setup: TestSetup,
  missing: readonly Configuration[],
  sweep: readonly AnyResult[],
) {
  const keys = new Set(missing.map(configurationKey))
  const other = sweep.filter((result) => keys.has(configurationKey(result)))
  const found = other.map((result) => differing(setup, result))
  return { configurations: other.length, differing: [...new Set(found.flat())] }
}

/** In what the conditions are not those of the run's table, or of its configuration. */
export function asideOf(
  { views, metric, precision, conditions }: TestSetup,
  table: QueryTable | undefined,
  own: Config,
): Aside[] {
  const settings: Aside[] = settingsOf(own) === conditions.settings ? [] : ['settings']
  if (table?.views === undefined || isOutdated(table, own)) return settings
  return [
    ...settings,
    ...(table.views === views ? [] : ['views' as const]),
    ...((table.metric ?? 'top-1') === metric ? [] : ['metric' as const]),
    ...((table.precision ?? 'float32') === precision ? [] : ['precision' as const]),
    ...(table.data === undefined || table.data === conditions.data ? [] : ['data' as const]),
  ]
}
