/** What a run has to show beside others: its results, its answers to single samples, its training, its set-up. */
import { resolve as absolute, basename } from 'node:path'
import { type Config, formatConfig } from '../config/index.ts'
import { MnVideoError } from '../errors.ts'
import { type Confusion, confusionOf } from '../evaluation/confusion.ts'
import { shownPath } from '../files/media-file.ts'
import type { Configuration, Network } from '../network/graph.ts'
import { configurationKey } from '../network/resolve.ts'
import { isOutdated } from '../runs/conditions.ts'
import { frontierOf } from '../runs/frontier.ts'
import { labelsOfRun } from '../runs/labels.ts'
import { isStep, type LoggedStep, readLog } from '../runs/log.ts'
import { type Prediction, readPredictions } from '../runs/predictions.ts'
import type { QueryTable, TableEntry } from '../runs/query-table.ts'
import { readRunHead } from '../runs/run-folder.ts'
import { readSweep, type SweepResult } from '../runs/sweep-results.ts'
import { findTable } from '../runs/table-file.ts'
import type { RunResults } from './curves.ts'

/** A result of the sweep or, of a run that was not swept here, what its query table says. */
export type ComparedResult = Pick<
  SweepResult,
  'width' | 'frames' | 'size' | 'macs' | 'params' | 'top1' | 'views'
> &
  Partial<SweepResult>

export interface ComparedRun extends RunResults {
  readonly folder: string
  readonly config: Config
  readonly network: Network
  readonly results: readonly ComparedResult[]
  /** The configuration as a file. */
  readonly configText: string
  readonly labels: readonly string[]
  /** Of the most accurate configuration whose answers were kept; absent where none were. */
  readonly answers?: Answers
  readonly steps: readonly LoggedStep[]
}

export interface Answers {
  readonly configuration: Configuration
  readonly predictions: readonly Prediction[]
  readonly confusion: Confusion
}

/**
 * Reads what runs have to show. Runs of the same name are told apart by their folders.
 *
 * @throws MnVideoError `run` for a folder that is no run, or one without any accuracy
 */
export async function readComparedRuns(folders: readonly string[]): Promise<ComparedRun[]> {
  const distinct = folders.filter(
    (folder, i) => folders.findIndex((other) => absolute(other) === absolute(folder)) === i,
  )
  const names = distinct.map((folder) => basename(absolute(folder)))
  return Promise.all(
    distinct.map((folder, i) =>
      readComparedRun(folder, names.filter((name) => name === names[i]).length === 1 ? names[i]! : folder),
    ),
  )
}

async function readComparedRun(folder: string, name: string): Promise<ComparedRun> {
  const { config, network } = await readRunHead(folder)
  const { results, source } = await resultsOf(folder, config, network)
  if (results.length === 0) {
    const table = await findTable(folder, network).catch(() => undefined)
    if (table?.metric === 'mAP') {
      throw new MnVideoError(
        'run',
        `${shownPath(folder)}: is measured by mean average precision, and curves draw top-1. Its accuracies are in query-table.json.`,
      )
    }
    throw new MnVideoError(
      'run',
      `${folder}: has no accuracies yet. Measure its configurations first: mn-video test ${folder}`,
    )
  }
  const answers = await answersOf(folder, network, results)
  return {
    name,
    folder,
    media: network.media,
    // Folders of samples are told apart by their names.
    dataset: config.dataset === 'folder' ? `folder ${basename(config.dataset_dir)}`.trim() : config.dataset,
    source,
    config,
    network,
    results: [...results].sort((a, b) => b.macs - a.macs),
    configText: formatConfig(config),
    labels: await labelsOfRun(folder, config),
    ...(answers && { answers }),
    steps: (await readLog(folder)).filter(isStep),
  }
}

async function resultsOf(
  folder: string,
  config: Config,
  network: Network,
): Promise<{ results: readonly ComparedResult[]; source: string }> {
  const measured = `measured: sweep of ${folder}`
  let table: QueryTable | undefined
  try {
    table = await findTable(folder, network)
  } catch (error) {
    // Without the table, which says what counts, a sweep of one kind still speaks for itself.
    const sweep = await readSweep(folder)
    const kinds = new Set(sweep.map(kindOf))
    if (kinds.size !== 1) throw error
    return { results: sweep, source: measured }
  }
  const { views } = table ?? {}
  const sweep = table
    ? await readSweep(folder, (result) => isBehind(table, result))
    : latestKind(await readSweep(folder))
  if (sweep.length > 0) {
    const isTimed = ({ machine }: SweepResult) => !table?.machine || machine === table.machine
    return {
      results: sweep.map((result) => (isTimed(result) ? result : { ...result, latencyMs: undefined })),
      source:
        table && isOutdated(table, config)
          ? `${measured}, with other settings than its config.yml has now`
          : measured,
    }
  }
  const entries = table?.entries ?? []
  const results = entries.flatMap((entry) => {
    const { top1, top5, samples, latencyMs } = entry
    return top1 === undefined
      ? []
      : [
          {
            ...costOf(entry),
            top1,
            ...(top5 !== undefined && { top5 }),
            ...(samples !== undefined && { samples }),
            ...(latencyMs !== undefined && { latencyMs }),
            views: views ?? config.views,
          },
        ]
  })
  const published = entries.some(({ source }) => source === 'published')
  return {
    results,
    source: published
      ? `published for MutualNet's weights, not measured on these: query table of ${folder}`
      : `query table of ${folder}`,
  }
}

const kindOf = ({ weights, views, precision, data, settings }: SweepResult): string =>
  JSON.stringify([weights, views, precision, data, settings])

/** Results that compare with each other: those measured as the last one was. */
const latestKind = (results: readonly SweepResult[]): SweepResult[] =>
  results.filter((result) => kindOf(result) === kindOf(results.at(-1)!))

/** Whether the table has a result's accuracy, or would have it: everything that it was measured under is the same. */
function isBehind(table: QueryTable, result: SweepResult): boolean {
  const { weights, views, precision, data, settings } = table
  const entry = table.entries.find((one) => configurationKey(one) === configurationKey(result))
  return (
    (weights === undefined || result.weights === weights) &&
    (views === undefined || result.views === views) &&
    result.precision === precision &&
    (views === undefined || (result.data === data && result.settings === settings)) &&
    (entry === undefined || result.calibration === entry.calibration)
  )
}

const costOf = ({ width, frames, size, macs, params }: TableEntry) => ({ width, frames, size, macs, params })

async function answersOf(
  folder: string,
  network: Network,
  results: readonly ComparedResult[],
): Promise<Answers | undefined> {
  // The most accurate first; most sweeps keep the answers of the frontier alone.
  const candidates = [...frontierOf(results).reverse(), ...results]
  for (const candidate of candidates) {
    const { width, frames, size, views } = candidate
    const configuration = { width, frames, size }
    const predictions = await readPredictions(folder, candidate, views)
    if (predictions.length === 0) continue
    const stranger = predictions.find(({ label, classes }) => Math.max(label, ...classes) >= network.classes)
    if (stranger) {
      throw new MnVideoError(
        'run',
        `${folder}: its predictions name class ${Math.max(stranger.label, ...stranger.classes)}, but it has ${network.classes} classes. Remove its predictions, or make them again.`,
      )
    }
    const pairs = predictions.map(({ label, classes }) => ({ label, guess: classes[0]! }))
    return { configuration, predictions, confusion: confusionOf(network.classes, pairs) }
  }
  return undefined
}
