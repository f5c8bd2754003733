/**
 * Testing a run: many configurations calibrated, evaluated on the validation set and timed, and the query table
 * made of them. What is done is in the run's files as soon as it is done, so an interrupted test goes on.
 */
import { type Dataset, openDatasets, passedOverLines } from '../data/dataset.ts'
import { openTrainingLoader } from '../data/loader.ts'
import type { Engine } from '../engines/engine.ts'
import { type EngineName, type EngineOptions, openEngine } from '../engines/index.ts'
import { checkPrecision, describeEngine, type Precision } from '../engines/precision.ts'
import { MnVideoError, throwIfCancelled } from '../errors.ts'
import type { Configuration, Network } from '../network/graph.ts'
import { configurationKey, resolve } from '../network/resolve.ts'
import type { BatchNormStatistics } from '../network/store.ts'
import * as option from '../options.ts'
import { checkOptions, type OptionTable } from '../options.ts'
import { useLauncher } from '../video/launch.ts'
import { formatViews, parseViews } from '../video/sampling.ts'
import { calibrate, calibrationClips } from './calibrate.ts'
import { frontierOf } from './frontier.ts'
import { adoptLabels } from './labels.ts'
import { measureLatency } from './latency.ts'
import { topClasses } from './metrics.ts'
import { checkPath } from './options.ts'
import { writePredictions } from './predictions.ts'
import { configurationsOf, type Metric, type QueryTable, type TableEntry } from './query-table.ts'
import {
  findStatistics,
  findTable,
  pruneStatistics,
  readWeightedRun,
  saveStatistics,
  statisticsFile,
  type WeightedRun,
  writeTable,
} from './run-folder.ts'
import { meanAveragePrecisionOf, metricsOf, type Scored, sweep } from './sweep.ts'
import { type AnyResult, appendSweep, readSweepBy } from './sweep-results.ts'

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

const TEST_OPTIONS: OptionTable<TestOptions> = {
  ...{ widths: option.numbers, sizes: option.numbers, frames: option.numbers, views: option.text },
  ...{ set: option.texts, engine: option.text, backend: option.text, threads: option.any },
  ...{ precision: option.text, signal: option.signal, onEvent: option.callback },
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
      /** Already there from before. */
      readonly done: number
    }
  | {
      readonly event: 'progress'
      readonly what: 'calibration' | 'validation'
      readonly done: number
      readonly total: number
    }
  | { readonly event: 'result'; readonly result: AnyResult }

export interface Tested {
  /** With these views, all that is known of these weights. */
  readonly results: readonly AnyResult[]
  /** The run's query table. */
  readonly table: QueryTable
}

/**
 * Tests configurations of a run and writes its query table: every result of its weights so far, with batch-norm
 * statistics for those on the frontier. A configuration that is asked for alone keeps its statistics in any case, so
 * that whoever wants just this one can run it. A table is of one number of views and one precision: a sweep with another
 * one makes a new table, and a single configuration that is tested with another one leaves the table as it is.
 *
 * @throws MnVideoError `run`, `config`, `data`, `network` or `engine`, naming what is wrong
 */
export async function testRun(folder: string, options: TestOptions = {}): Promise<Tested> {
  checkPath(folder, 'the run to test')
  checkOptions('testRun', options, TEST_OPTIONS)
  throwIfCancelled(options.signal, 'testRun')
  const run = await readWeightedRun(folder, options.set ?? [])
  if (options.views !== undefined && run.network.media === 'image')
    throw new MnVideoError('usage', '--views is for videos; an image has one view.')
  const views = formatViews(parseViews(options.views ?? run.config.views))
  const { precision = 'float32' } = options
  const asked = askedConfigurations(run, options)
  useLauncher()
  const engine = await openEngine(options.engine, options)
  checkPrecision(engine, precision)
  const datasets = await openDatasets(run.config, { anyLabels: true })
  const metric = datasets.val.labels ? 'mAP' : 'top-1'
  const known = await readSweepBy(folder, metric, { weights: run.weightsId, views, precision })
  const done = new Set(known.map(configurationKey))
  const missing = asked.filter((configuration) => !done.has(configurationKey(configuration)))
  await adoptLabels(folder, run.config, datasets.val)
  options.onEvent?.({
    event: 'start',
    network: run.network.name,
    engine: describeEngine(engine, precision),
    samples: datasets.val.size,
    configurations: asked.length,
    passedOver: passedOverLines(datasets),
    done: asked.length - missing.length,
  })
  const results = [...known]
  if (missing.length > 0) {
    const statistics = await calibrateMissing(run, engine, datasets.train, missing, options)
    for await (const result of evaluate(run, engine, datasets.val, missing, statistics, views, options)) {
      results.push(result)
      options.onEvent?.({ event: 'result', result })
    }
  }
  const table = await tableOf(run)
  const isOther =
    table?.views !== undefined &&
    (table.views !== views ||
      (table.precision ?? 'float32') !== precision ||
      (table.metric ?? 'top-1') !== metric)
  if (isOther && asked.length === 1) {
    await pruneStatistics(folder, table)
    return { results, table }
  }
  const before = table && !isOther ? table.entries : []
  const pinned = pinnedOf(before, asked)
  const frontier = new Set(frontierOf(results))
  const usable = results.filter((result) => frontier.has(result) || pinned.has(configurationKey(result)))
  // Those of an earlier test may have been removed when it ended.
  await calibrateMissing(run, engine, datasets.train, usable, options)
  return {
    results,
    table: await keepTable(run, { views, precision, metric }, before, results, usable, pinned),
  }
}

/** The run's table where it is of these weights. One that cannot be read is replaced, as the error of reading it says. */
async function tableOf({ folder, network, weightsId }: WeightedRun): Promise<QueryTable | undefined> {
  const table = await findTable(folder, network).catch(() => undefined)
  return table?.trained && table.weights === weightsId ? table : undefined
}

/** The keys of configurations that were asked for alone, now or before. */
const pinnedOf = (before: readonly TableEntry[], asked: readonly Configuration[]): Set<string> =>
  new Set(
    [...before.filter(({ pinned }) => pinned), ...(asked.length === 1 ? asked : [])].map(configurationKey),
  )

/** Every combination that was asked for, from the dearest to the cheapest. */
function askedConfigurations(
  { folder, config, network }: WeightedRun,
  options: TestOptions,
): Configuration[] {
  const widths = options.widths ?? config.width_mult_list
  const [narrowest, widest] = config.width_mult_range
  const outside = widths.find((width) => width < narrowest || width > widest)
  if (outside !== undefined) {
    throw new MnVideoError(
      'usage',
      `width ${outside} is outside the range that the run was trained in. Give widths from ${narrowest} to ${widest}.`,
    )
  }
  const frames = options.frames ?? config.frames_list
  const tooMany = frames.find((count) => count > network.frames)
  if (tooMany !== undefined) {
    throw new MnVideoError(
      'usage',
      `frames ${tooMany} is more than a clip of ${folder} has. Give 1 to ${network.frames} frames.`,
    )
  }
  return configurationsOf({
    widths,
    frames,
    sizes: options.sizes ?? config.resolution_list,
  })
    .map((configuration) => ({ configuration, macs: resolve(network, configuration).macs }))
    .sort((a, b) => b.macs - a.macs)
    .map(({ configuration }) => configuration)
}

/** The statistics of configurations by key: those that are kept, and the others estimated and kept. */
async function calibrateMissing(
  run: WeightedRun,
  engine: Engine,
  dataset: Dataset,
  configurations: readonly Configuration[],
  { signal, onEvent }: TestOptions,
): Promise<Map<string, BatchNormStatistics>> {
  const { config, network, weights, weightsId, folder } = run
  const found = new Map<string, BatchNormStatistics>()
  for (const configuration of configurations) {
    const kept = await findStatistics(run, configuration)
    if (kept) found.set(configurationKey(configuration), kept)
  }
  const missing = configurations.filter((configuration) => !found.has(configurationKey(configuration)))
  if (missing.length === 0) return found
  const loader = openTrainingLoader(dataset, network, config, { ...(signal && { signal }) })
  const { mean, std } = config
  const trainer = await engine.openTrainer(network, weights, {
    momentum: 0,
    nesterov: false,
    weightDecay: 0,
    normalisation: { mean, std },
  })
  try {
    const total = config.calibration_batches
    const estimated = await calibrate(trainer, network, missing, calibrationClips(loader, total), (done) =>
      onEvent?.({ event: 'progress', what: 'calibration', done, total }),
    )
    for (const configuration of missing) {
      const key = configurationKey(configuration)
      found.set(key, estimated.get(key)!)
      await saveStatistics(folder, configuration, estimated.get(key)!, weightsId)
    }
    return found
  } finally {
    trainer.dispose()
  }
}

/** Accuracy, latency and answers of configurations, kept as they come. */
async function* evaluate(
  run: WeightedRun,
  engine: Engine,
  dataset: Dataset,
  configurations: readonly Configuration[],
  statistics: ReadonlyMap<string, BatchNormStatistics>,
  views: string,
  { signal, onEvent, precision = 'float32' }: TestOptions,
): AsyncGenerator<AnyResult> {
  const { config, network, weights, folder } = run
  const subject = { engine, network, config, weights, statistics, precision }
  const writer = await appendSweep(folder)
  try {
    const results = sweep(subject, dataset, configurations, {
      views: parseViews(views),
      ...(signal && { signal }),
      onProgress: (done, total) => onEvent?.({ event: 'progress', what: 'validation', done, total }),
    })
    for await (const { configuration, plan, scored, failed } of results) {
      // What is kept of each sample is what float32 answers.
      if (precision === 'float32' && !dataset.labels)
        await keepPredictions(folder, configuration, views, dataset, scored)
      const { median, fastest, slowest } = await measureLatency(plan)
      const { macs, params } = plan.subNetwork
      const result: AnyResult = {
        ...configuration,
        ...{ macs, params, views },
        ...accuraciesOf(network, dataset, scored),
        samples: scored.length,
        ...(failed.size > 0 && { unreadable: failed.size }),
        latencyMs: rounded(median),
        latencyRangeMs: [rounded(fastest), rounded(slowest)],
        ...(precision === 'bf16' && { precision }),
        weights: run.weightsId,
      }
      await writer.append(result)
      yield result
    }
  } finally {
    await writer.close()
  }
}

/** What samples with any number of labels, or with one each, say of a configuration. */
function accuraciesOf({ classes }: Network, { labels }: Dataset, scored: readonly Scored[]) {
  if (labels) return { metric: 'mAP' as const, map: meanAveragePrecisionOf(classes, scored) }
  const { top1, top5, meanClassAccuracy, ece } = metricsOf(classes, scored)
  return { top1, top5, meanClassAccuracy, ece }
}

async function keepPredictions(
  folder: string,
  configuration: Configuration,
  views: string,
  dataset: Dataset,
  scored: readonly Scored[],
): Promise<void> {
  const predictions = scored.map(({ sample, label, scores }) => {
    const classes = topClasses(scores)
    return {
      sample: dataset.name(sample),
      label,
      classes,
      scores: classes.map((k) => Number(scores[k]!.toFixed(6))),
    }
  })
  await writePredictions(folder, configuration, views, predictions)
}

/**
 * All results as entries, those that are `usable` with their statistics; the others' are removed. What the run's table
 * had of these weights and was not tested stays.
 */
async function keepTable(
  run: WeightedRun,
  {
    views,
    precision,
    metric,
  }: { readonly views: string; readonly precision: Precision; readonly metric: Metric },
  before: readonly TableEntry[],
  results: readonly AnyResult[],
  usable: readonly AnyResult[],
  pinned: ReadonlySet<string>,
): Promise<QueryTable> {
  const tested = new Set(results.map(configurationKey))
  const calibrated = new Set(usable.map(configurationKey))
  const entries = [
    ...before.filter((entry) => !tested.has(configurationKey(entry))),
    ...results.map((result): TableEntry => {
      const { width, frames, size, macs, params, latencyMs } = result
      const configuration = { width, frames, size }
      return {
        ...configuration,
        ...{ macs, params },
        ...(result.metric ? { map: result.map } : { top1: result.top1, top5: result.top5 }),
        ...(latencyMs !== undefined && { latencyMs }),
        ...(pinned.has(configurationKey(configuration)) && { pinned: true as const }),
        ...(calibrated.has(configurationKey(configuration)) && { statistics: statisticsFile(configuration) }),
      }
    }),
  ].sort((a, b) => a.macs - b.macs)
  const table: QueryTable = {
    format: 'mn-video query table 1',
    network: run.network.name,
    trained: true,
    weights: run.weightsId,
    views,
    ...(metric === 'mAP' && { metric }),
    ...(precision === 'bf16' && { precision }),
    entries,
  }
  await writeTable(run.folder, table, new Map())
  await pruneStatistics(run.folder, table)
  return table
}

const rounded = (milliseconds: number): number => Number(milliseconds.toPrecision(4))
