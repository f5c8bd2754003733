/**
 * Testing a run: many configurations calibrated, evaluated on the validation set and timed, and the query table
 * made of them. What is done is in the run's files as soon as it is done, so an interrupted test goes on.
 */
import type { Config, KeyName } from '../config/index.ts'
import { openTrainingLoader } from '../data/loading/loader.ts'
import { type Dataset, openTestDatasets, passedOverLines, type Split } from '../data/sets/dataset.ts'
import type { Engine, Plan } from '../engines/engine.ts'
import { type EngineName, type EngineOptions, openEngine } from '../engines/index.ts'
import { checkPrecision, describeEngine, type Precision, skippedLines } from '../engines/precision.ts'
import { MnVideoError, throwIfCancelled } from '../errors.ts'
import type { Configuration, Network } from '../network/graph.ts'
import { configurationKey, fullConfiguration, resolve } from '../network/resolve.ts'
import { initialStatistics } from '../network/store.ts'
import * as option from '../options.ts'
import { checkOptions, checkPath, type OptionTable } from '../options.ts'
import { type Conditions, calibrationOf, conditionsOf, isOutdated, settingsOf } from '../runs/conditions.ts'
import { envelopeOf, frontierOf } from '../runs/frontier.ts'
import { wilson } from '../runs/interval.ts'
import { adoptLabels } from '../runs/labels.ts'
import { machineOf, measureLatency } from '../runs/latency.ts'
import { writePredictions } from '../runs/predictions.ts'
import { configurationsOf, type Metric, type QueryTable, type TableEntry } from '../runs/query-table.ts'
import {
  findStatistics,
  findTable,
  givenStatistics,
  type KeptStatistics,
  pruneStatistics,
  readRunConfig,
  readWeightedRun,
  saveStatistics,
  statisticsFile,
  type WeightedRun,
  writeTable,
} from '../runs/run-folder.ts'
import { type AnyResult, appendSweep, readSweepBy } from '../runs/sweep-results.ts'
import { useLauncher } from '../video/launch.ts'
import { formatViews, parseViews } from '../video/sampling.ts'
import { calibrate, calibrationClips } from './calibrate.ts'
import { topClasses } from './metrics.ts'
import { meanAveragePrecisionOf, metricsOf, type Scored, sweep } from './sweep.ts'

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

export interface Tested {
  /** Under these conditions, all that is known of these weights. */
  readonly results: readonly AnyResult[]
  /** The run's query table; absent where it has none yet and these results make none. */
  readonly table?: QueryTable
  readonly media: 'video' | 'image'
  /** What of the conditions keeps these results out of the table; none where they are in it. */
  readonly aside: readonly Aside[]
}

/** In what results differ from those of the run's query table. */
export type Aside = 'views' | 'precision' | 'data' | 'settings' | 'metric'

/** Everything that a test works with. */
interface Bench {
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

/**
 * Tests configurations of a run and writes its query table: every result of its weights so far, with batch-norm
 * statistics for those that no other beats, the full network, and what came with the weights. A configuration that is asked
 * for alone keeps its statistics in any case, so that whoever wants just this one can run it.
 *
 * Results count only under the conditions that they were measured under: weights, validation data, the keys behind the
 * evaluation, what calibration was done with, views, precision. A table is of one of these: a sweep under others makes a
 * new table, and a single configuration under others leaves the table as it is. So does every test with other keys
 * behind the evaluation than the run has, because the run would not be used with them.
 *
 * @throws MnVideoError `run`, `config`, `data`, `network` or `engine`, naming what is wrong
 */
export async function testRun(folder: string, options: TestOptions = {}): Promise<Tested> {
  checkPath(folder, 'the run to test')
  checkOptions('testRun', options, TEST_OPTIONS)
  throwIfCancelled(options.signal, 'testRun')
  const own = await readRunConfig(folder)
  const bench = await openBench(folder, options)
  const { run, validation, training } = bench
  const { media } = run.network
  const table = await tableOf(run)
  const { asked, withoutStatistics } = await testable(bench, table, options)
  const sweepOfWeights = await readSweepBy(folder, bench.metric, ({ weights }) => weights === run.weightsId)
  const known = await readSweepBy(folder, bench.metric, (result) => differing(bench, result).length === 0)
  const done = new Set(known.map(configurationKey))
  const missing = asked.filter((configuration) => !done.has(configurationKey(configuration)))
  await adoptLabels(folder, run.config, validation)
  options.onEvent?.({
    event: 'start',
    network: run.network.name,
    engine: describeEngine(bench.engine, bench.precision),
    samples: validation.size,
    configurations: asked.length,
    skipped: skippedLines(bench.engine),
    passedOver: passedOverLines(training ? [training, validation] : [validation]),
    done: asked.length - missing.length,
    other: otherResults(bench, missing, sweepOfWeights),
    withoutStatistics,
  })
  const results = await timedHere(bench, known, asked)
  if (missing.length > 0) {
    const statistics = await calibrateMissing(bench, missing, options)
    for await (const result of evaluate(bench, missing, statistics, options)) {
      results.push(result)
      options.onEvent?.({ event: 'result', result })
    }
  }
  const aside = asideOf(bench, table, own)
  if (aside.includes('settings') || (aside.length > 0 && asked.length === 1 && table?.views !== undefined)) {
    if (table) await pruneStatistics(folder, table)
    return { results, ...(table && { table }), media, aside }
  }
  const isNew = table !== undefined && (aside.length > 0 || isOutdated(table, own))
  const before = isNew ? untested(bench, table) : (table?.entries ?? [])
  const pinned = pinnedOf(before, asked)
  const unbeaten = new Set([...envelopeOf(results), ...frontierOf(results)])
  const full = configurationKey(fullConfiguration(run.network))
  const usable = results.filter((result) => {
    const key = configurationKey(result)
    return unbeaten.has(result) || pinned.has(key) || key === full || bench.given.has(key)
  })
  // Those of an earlier test may have been removed when it ended.
  const statistics = training
    ? await calibrateMissing(bench, usable, options)
    : await findAllStatistics(bench, usable)
  // What an earlier version measured does not say under which conditions, nor does what is added to it.
  const isOfNow = isNew || table?.views === undefined || table.data !== undefined
  const head = {
    ...(isOfNow && bench.conditions),
    ...changesFrom(own, run.config),
    machine: bench.machine,
    views: bench.views,
    ...(bench.metric === 'mAP' && { metric: bench.metric }),
    ...(bench.precision === 'bf16' && { precision: bench.precision }),
  } as const
  const entries = [...entriesOf(before, table?.machine === bench.machine), ...results.map(entryOf)]
  return { results, table: await keepTable(run, head, entries), media, aside: [] }

  /** A result as an entry, with its statistics where they are kept. */
  function entryOf(result: AnyResult): TableEntry {
    const { width, frames, size, macs, params, samples, latencyMs, machine } = result
    const key = configurationKey(result)
    const found = statistics.get(key)
    const configuration = { width, frames, size }
    return {
      ...configuration,
      ...{ macs, params, samples },
      ...(result.metric ? { map: result.map } : { top1: result.top1, top5: result.top5 }),
      ...(!result.metric && result.top1Interval && { top1Interval: result.top1Interval }),
      ...(latencyMs !== undefined && machine === bench.machine && { latencyMs }),
      ...(pinned.has(key) && { pinned: true as const }),
      ...(result.calibration !== undefined && { calibration: result.calibration }),
      ...(found && { statistics: statisticsFile(configuration, found.calibration) }),
    }
  }
}

async function openBench(folder: string, options: TestOptions): Promise<Bench> {
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
function differing(bench: Bench, result: AnyResult): string[] {
  const { run, views, precision, conditions, calibration, given } = bench
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
function otherResults(bench: Bench, missing: readonly Configuration[], sweep: readonly AnyResult[]) {
  const keys = new Set(missing.map(configurationKey))
  const other = sweep.filter((result) => keys.has(configurationKey(result)))
  const found = other.map((result) => differing(bench, result))
  return { configurations: other.length, differing: [...new Set(found.flat())] }
}

/** In what the conditions are not those of the run's table, or of its configuration. */
function asideOf(
  { views, metric, precision, conditions }: Bench,
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

/** Of the entries of a table of other conditions: the full network and what came with the weights, without accuracies. */
function untested({ run, given }: Bench, { entries }: QueryTable): TableEntry[] {
  const full = configurationKey(fullConfiguration(run.network))
  return entries
    .filter(
      (entry) => entry.statistics && (configurationKey(entry) === full || given.has(configurationKey(entry))),
    )
    .map(({ width, frames, size, macs, params, calibration, statistics }) => ({
      ...{ width, frames, size, macs, params },
      ...(calibration !== undefined && { calibration }),
      ...(statistics !== undefined && { statistics }),
    }))
}

/** Entries from before; latencies of another machine do not compare with those of this one. */
const entriesOf = (before: readonly TableEntry[], isSameMachine: boolean): TableEntry[] =>
  before.map(({ latencyMs, ...entry }) => ({
    ...entry,
    ...(isSameMachine && latencyMs !== undefined && { latencyMs }),
  }))

/** The keys that were changed, as `--set` takes them. */
function changesFrom(own: Config, now: Config): { set?: string[] } {
  const set = (Object.keys(now) as KeyName[])
    .filter((key) => JSON.stringify(own[key]) !== JSON.stringify(now[key]))
    .map((key) => `${key}=${Array.isArray(now[key]) ? `[${now[key].join(', ')}]` : now[key]}`)
  return set.length > 0 ? { set } : {}
}

/** What is asked for and can be tested. Without training data that is what has statistics; who asks for more is told. */
async function testable(
  bench: Bench,
  table: QueryTable | undefined,
  options: TestOptions,
): Promise<{ readonly asked: readonly Configuration[]; readonly withoutStatistics: number }> {
  const asked = askedConfigurations(bench.run, options)
  if (bench.training) return { asked, withoutStatistics: 0 }
  const ready = (table?.entries ?? []).filter(({ statistics }) => statistics).toReversed()
  const wanted = [options.widths, options.frames, options.sizes].some((list) => list !== undefined)
    ? asked
    : [...new Map([...ready, ...asked].map((one) => [configurationKey(one), one])).values()]
  const found = await findAllStatistics(bench, wanted)
  const [has, lacks] = [true, false].map((is) =>
    wanted.filter((one) => found.has(configurationKey(one)) === is),
  )
  if (has!.length === 0 || (wanted === asked && lacks!.length > 0))
    throw noTrainingData(bench, lacks![0]!, ready)
  return {
    asked: has!.map(({ width, frames, size }) => ({ width, frames, size })),
    withoutStatistics: lacks!.length,
  }
}

function noTrainingData({ run }: Bench, lacking: Configuration, ready: readonly TableEntry[]): MnVideoError {
  const { width, frames, size } = lacking
  const names = ready.slice(0, 3).map((entry) => `${entry.width} × ${entry.frames} × ${entry.size}`)
  return new MnVideoError(
    'data',
    `${run.folder}: width ${width}, frames ${frames}, size ${size} has no batch-norm statistics, and there is no training data to estimate them from.\n` +
      `Give --set train_list=FILE or --set dataset_dir=FOLDER${ready.length > 0 ? `, or test what has statistics (width × frames × size: ${names.join(', ')}${ready.length > 3 ? ', …' : ''})` : ''}.`,
  )
}

/** Known results, those asked for with latencies of this machine and engine: the accuracies hold, the times do not. */
async function timedHere(
  { run, engine, precision, machine }: Bench,
  known: readonly AnyResult[],
  asked: readonly Configuration[],
): Promise<AnyResult[]> {
  const keys = new Set(asked.map(configurationKey))
  if (!known.some((result) => keys.has(configurationKey(result)) && result.machine !== machine))
    return [...known]
  const { network, weights, folder, config } = run
  const writer = await appendSweep(folder)
  try {
    const results: AnyResult[] = []
    for (const result of known) {
      if (result.machine === machine || !keys.has(configurationKey(result))) {
        results.push(result)
        continue
      }
      const subNetwork = resolve(network, result)
      const plan = await engine.compile(subNetwork, weights, {
        normalisation: { mean: config.mean, std: config.std },
        // Of whatever values: they take as long.
        statistics: initialStatistics(subNetwork),
        precision,
      })
      try {
        const timed = { ...result, ...(await latencyOf(plan)), machine }
        await writer.append(timed)
        results.push(timed)
      } finally {
        plan.dispose()
      }
    }
    return results
  } finally {
    await writer.close()
  }
}

async function latencyOf(plan: Plan): Promise<Required<Pick<AnyResult, 'latencyMs' | 'latencyRangeMs'>>> {
  const { median, fastest, slowest } = await measureLatency(plan)
  return { latencyMs: rounded(median), latencyRangeMs: [rounded(fastest), rounded(slowest)] }
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

/** The statistics that are kept of configurations, by key. */
async function findAllStatistics(
  { run, calibration }: Bench,
  configurations: readonly Configuration[],
): Promise<Map<string, KeptStatistics>> {
  const found = new Map<string, KeptStatistics>()
  for (const configuration of configurations) {
    const kept = await findStatistics(run, configuration, calibration)
    if (kept) found.set(configurationKey(configuration), kept)
  }
  return found
}

/** The statistics of configurations by key: those that are kept, and the others estimated and kept. */
async function calibrateMissing(
  bench: Bench,
  configurations: readonly Configuration[],
  { signal, onEvent }: TestOptions,
): Promise<Map<string, KeptStatistics>> {
  const { run, engine, training, calibration } = bench
  const { config, network, weights, weightsId, folder } = run
  const found = await findAllStatistics(bench, configurations)
  const missing = configurations.filter((configuration) => !found.has(configurationKey(configuration)))
  if (missing.length === 0) return found
  if (!training) throw noTrainingData(bench, missing[0]!, [])
  const loader = openTrainingLoader(training, network, config, {
    ...(signal && { signal }),
    onBad: (file, reason) => onEvent?.({ event: 'bad-file', split: 'train', file, reason }),
  })
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
      const kept = { statistics: estimated.get(key)!, calibration }
      found.set(key, kept)
      await saveStatistics(folder, configuration, kept, weightsId)
    }
    return found
  } finally {
    trainer.dispose()
  }
}

/** Accuracy, latency and answers of configurations, kept as they come. */
async function* evaluate(
  { run, engine, validation, views, precision, conditions, machine }: Bench,
  configurations: readonly Configuration[],
  found: ReadonlyMap<string, KeptStatistics>,
  { signal, onEvent }: TestOptions,
): AsyncGenerator<AnyResult> {
  const { config, network, weights, folder } = run
  const statistics = new Map([...found].map(([key, kept]) => [key, kept.statistics]))
  const subject = { engine, network, config, weights, statistics, precision }
  const writer = await appendSweep(folder)
  try {
    const results = sweep(subject, validation, configurations, {
      views: parseViews(views),
      ...(signal && { signal }),
      onProgress: (done, total) => onEvent?.({ event: 'progress', what: 'validation', done, total }),
      onBad: (file, reason) => onEvent?.({ event: 'bad-file', split: 'val', file, reason }),
    })
    for await (const { configuration, plan, scored, unreadable } of results) {
      const { calibration } = found.get(configurationKey(configuration))!
      const { macs, params } = plan.subNetwork
      const result: AnyResult = {
        ...configuration,
        ...{ macs, params, views },
        ...accuraciesOf(network, validation, scored),
        samples: scored.length,
        ...(unreadable > 0 && { unreadable }),
        ...(await latencyOf(plan)),
        machine,
        ...(precision === 'bf16' && { precision }),
        weights: run.weightsId,
        ...conditions,
        ...(calibration !== undefined && { calibration }),
      }
      // What is kept of each sample is what float32 answers.
      if (precision === 'float32' && !validation.labels)
        await keepPredictions(folder, result, validation, scored)
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
  return { top1, top1Interval: wilson(top1, scored.length), top5, meanClassAccuracy, ece }
}

async function keepPredictions(
  folder: string,
  result: AnyResult,
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
  await writePredictions(folder, result, result.views, predictions)
}

/** Writes the table; of a configuration that is there twice the later entry counts. Statistics that it does not name go. */
async function keepTable(
  run: WeightedRun,
  head: Partial<QueryTable>,
  entries: readonly TableEntry[],
): Promise<QueryTable> {
  const byKey = new Map(entries.map((entry) => [configurationKey(entry), entry]))
  const table: QueryTable = {
    format: 'mn-video query table 1',
    network: run.network.name,
    trained: true,
    weights: run.weightsId,
    ...head,
    entries: [...byKey.values()].sort((a, b) => a.macs - b.macs),
  }
  await writeTable(run.folder, table, new Map())
  await pruneStatistics(run.folder, table)
  return table
}

const rounded = (milliseconds: number): number => Number(milliseconds.toPrecision(4))
