/** What a run has to show beside others: its results, its answers to single samples, its training, its set-up. */
import { resolve as absolute, basename } from 'node:path'
import { type Config, formatConfig } from '../config/index.ts'
import { MnVideoError } from '../errors.ts'
import type { Configuration, Network } from '../network/graph.ts'
import { shownPath } from '../video/paths.ts'
import { type Confusion, confusionOf } from './confusion.ts'
import type { RunResults } from './curves.ts'
import { frontierOf } from './frontier.ts'
import { labelsOfRun } from './labels.ts'
import { type Prediction, readPredictions } from './predictions.ts'
import type { QueryTable, TableEntry } from './query-table.ts'
import { findTable, readRunHead } from './run-folder.ts'
import { isStep, readLog, type StepEvent } from './run-log.ts'
import { readSweep, type SweepResult } from './sweep-results.ts'

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
  readonly steps: readonly StepEvent[]
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
    const kinds = new Set(sweep.map(({ weights, views, precision }) => `${weights} ${views} ${precision}`))
    if (kinds.size !== 1) throw error
    return { results: sweep, source: measured }
  }
  const { weights, views, precision = 'float32' } = table ?? {}
  const sweep = await readSweep(folder, { ...(weights && { weights }), ...(views && { views }), precision })
  if (sweep.length > 0) return { results: sweep, source: measured }
  const entries = table?.entries ?? []
  const results = entries.flatMap((entry) => {
    const { top1, top5, latencyMs } = entry
    return top1 === undefined
      ? []
      : [
          {
            ...costOf(entry),
            top1,
            ...(top5 !== undefined && { top5 }),
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

const costOf = ({ width, frames, size, macs, params }: TableEntry) => ({ width, frames, size, macs, params })

async function answersOf(
  folder: string,
  network: Network,
  results: readonly ComparedResult[],
): Promise<Answers | undefined> {
  // The most accurate first; most sweeps keep the answers of the frontier alone.
  const candidates = [...frontierOf(results).reverse(), ...results]
  for (const { width, frames, size, views } of candidates) {
    const configuration = { width, frames, size }
    const predictions = await readPredictions(folder, configuration, views)
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
