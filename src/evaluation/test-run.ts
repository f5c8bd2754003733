/**
 * Testing a run: many configurations calibrated, evaluated on the validation set and timed, and the query table
 * made of them. What is done is in the run's files as soon as it is done, so an interrupted test goes on.
 */

import type { Config, KeyName } from '../config/index.ts'
import { passedOverLines } from '../data/sets/dataset.ts'
import { describeEngine, skippedLines } from '../engines/precision.ts'
import { throwIfCancelled } from '../errors.ts'
import type { Configuration } from '../network/graph.ts'
import { configurationKey, fullConfiguration } from '../network/resolve.ts'
import * as option from '../options.ts'
import { checkOptions, checkPath, type OptionTable } from '../options.ts'
import { isOutdated } from '../runs/conditions.ts'
import { envelopeOf, frontierOf } from '../runs/frontier.ts'
import { pruneStatistics } from '../runs/kept-statistics.ts'
import { adoptLabels } from '../runs/labels.ts'
import { type QueryTable, TABLE_FORMAT, type TableEntry } from '../runs/query-table.ts'
import { statisticsFile } from '../runs/run-files.ts'
import { readRunConfig, type WeightedRun } from '../runs/run-folder.ts'
import { type AnyResult, readSweepBy } from '../runs/sweep-results.ts'
import { findTable, writeTable } from '../runs/table-file.ts'
import { testable } from './test-configurations.ts'
import { evaluate, timedHere } from './test-results.ts'
import {
  type Aside,
  asideOf,
  differing,
  openTestSetup,
  otherResults,
  type TestOptions,
  type TestSetup,
} from './test-setup.ts'
import { calibrateMissing, findAllStatistics } from './test-statistics.ts'

const TEST_OPTIONS: OptionTable<TestOptions> = {
  ...{ widths: option.numbers, sizes: option.numbers, frames: option.numbers, views: option.text },
  ...{ set: option.texts, engine: option.text, backend: option.text, threads: option.any },
  ...{ precision: option.text, signal: option.signal, onEvent: option.callback },
}

export interface Tested {
  /** Under these conditions, all that is known of these weights. */
  readonly results: readonly AnyResult[]
  /** The run's query table; absent where it has none yet and these results make none. */
  readonly table?: QueryTable
  readonly media: 'video' | 'image'
  /** What of the conditions keeps these results out of the table; none where they are in it. */
  readonly aside: readonly Aside[]
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
  const setup = await openTestSetup(folder, options)
  const { run, validation, training } = setup
  const { media } = run.network
  const table = await tableOf(run)
  const { asked, withoutStatistics } = await testable(setup, table, options)
  const sweepOfWeights = await readSweepBy(folder, setup.metric, ({ weights }) => weights === run.weightsId)
  const known = await readSweepBy(folder, setup.metric, (result) => differing(setup, result).length === 0)
  const done = new Set(known.map(configurationKey))
  const missing = asked.filter((configuration) => !done.has(configurationKey(configuration)))
  await adoptLabels(folder, run.config, validation)
  options.onEvent?.({
    event: 'start',
    network: run.network.name,
    engine: describeEngine(setup.engine, setup.precision),
    samples: validation.size,
    configurations: asked.length,
    skipped: skippedLines(setup.engine),
    passedOver: passedOverLines(training ? [training, validation] : [validation]),
    done: asked.length - missing.length,
    other: otherResults(setup, missing, sweepOfWeights),
    withoutStatistics,
  })
  const results = await timedHere(setup, known, asked)
  if (missing.length > 0) {
    const statistics = await calibrateMissing(setup, missing, options)
    for await (const result of evaluate(setup, missing, statistics, options)) {
      results.push(result)
      options.onEvent?.({ event: 'result', result })
    }
  }
  const aside = asideOf(setup, table, own)
  if (aside.includes('settings') || (aside.length > 0 && asked.length === 1 && table?.views !== undefined)) {
    if (table) await pruneStatistics(folder, table)
    return { results, ...(table && { table }), media, aside }
  }
  const isNew = table !== undefined && (aside.length > 0 || isOutdated(table, own))
  const before = isNew ? untested(setup, table) : (table?.entries ?? [])
  const pinned = pinnedOf(before, asked)
  const unbeaten = new Set([...envelopeOf(results), ...frontierOf(results)])
  const full = configurationKey(fullConfiguration(run.network))
  const usable = results.filter((result) => {
    const key = configurationKey(result)
    return unbeaten.has(result) || pinned.has(key) || key === full || setup.given.has(key)
  })
  // Those of an earlier test may have been removed when it ended.
  const statistics = training
    ? await calibrateMissing(setup, usable, options)
    : await findAllStatistics(setup, usable)
  // What an earlier version measured does not say under which conditions, nor does what is added to it.
  const isOfNow = isNew || table?.views === undefined || table.data !== undefined
  const head = {
    ...(isOfNow && setup.conditions),
    ...changesFrom(own, run.config),
    machine: setup.machine,
    views: setup.views,
    ...(setup.metric === 'mAP' && { metric: setup.metric }),
    ...(setup.precision === 'bf16' && { precision: setup.precision }),
  } as const
  const entries = [...entriesOf(before, table?.machine === setup.machine), ...results.map(entryOf)]
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
      ...(latencyMs !== undefined && machine === setup.machine && { latencyMs }),
      ...(pinned.has(key) && { pinned: true as const }),
      ...(result.calibration !== undefined && { calibration: result.calibration }),
      ...(found && { statistics: statisticsFile(configuration, found.calibration) }),
    }
  }
}

/** Of the entries of a table of other conditions: the full network and what came with the weights, without accuracies. */
function untested({ run, given }: TestSetup, { entries }: QueryTable): TableEntry[] {
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

/** Writes the table; of a configuration that is there twice the later entry counts. Statistics that it does not name go. */
async function keepTable(
  run: WeightedRun,
  head: Partial<QueryTable>,
  entries: readonly TableEntry[],
): Promise<QueryTable> {
  const byKey = new Map(entries.map((entry) => [configurationKey(entry), entry]))
  const table: QueryTable = {
    format: TABLE_FORMAT,
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
