/** Looking at a network in the middle or at the end of training: calibrate, evaluate, write what a run needs. */
import type { Config } from '../config/index.ts'
import { parseViews } from '../config/views.ts'
import type { TrainingLoader } from '../data/loading/loader.ts'
import type { Dataset } from '../data/sets/dataset.ts'
import type { Engine, Trainer } from '../engines/engine.ts'
import { calibrate, calibrationClips } from '../evaluation/calibrate.ts'
import { metricsOf, sweep } from '../evaluation/sweep.ts'
import type { Configuration, Network } from '../network/graph.ts'
import { configurationKey, resolve } from '../network/resolve.ts'
import type { BatchNormStatistics, ParameterStore } from '../network/store.ts'
import { type Conditions, conditionsOf } from '../runs/conditions.ts'
import { wilson } from '../runs/interval.ts'
import type { BadFileEvent, ProgressEvent } from '../runs/log.ts'
import { type QueryTable, TABLE_FORMAT, type TableEntry } from '../runs/query-table.ts'
import { statisticsFile } from '../runs/run-files.ts'
import { largestConfiguration } from './draw.ts'

/** An entry with what was measured of it. */
export type ValidatedEntry = TableEntry & Readonly<Record<'top1' | 'top5' | 'samples', number>>

export interface Validation {
  /** Of each sample, as `1x1`. */
  readonly views: string
  readonly entries: readonly ValidatedEntry[]
  readonly statistics: ReadonlyMap<string, BatchNormStatistics>
  /** Samples that the accuracies are of, and samples that could not be read, at most over all sizes. */
  readonly samples: number
  readonly unreadable: number
  readonly conditions: Conditions
}

/**
 * The configurations that training looks at: every width of `width_mult_list` at full frames and size, and the
 * cheapest of all. `independent` trains one alone.
 */
export function validatedConfigurations(config: Config): Configuration[] {
  const full = largestConfiguration(config)
  if (config.method === 'independent') return [full]
  const all = [
    ...config.width_mult_list.toSorted((a, b) => b - a).map((width) => ({ ...full, width })),
    {
      width: config.width_mult_range[0],
      frames: Math.min(...config.frames_list),
      size: Math.min(...config.resolution_list),
    },
  ]
  return [...new Map(all.map((configuration) => [configurationKey(configuration), configuration])).values()]
}

/** Calibrates and evaluates the validated configurations with the weights as they are. */
export async function validate(
  context: {
    readonly engine: Engine
    readonly network: Network
    readonly config: Config
    readonly loader: TrainingLoader
    readonly dataset: Dataset
    /** Of these weights. */
    readonly trainer: Trainer
    readonly weights: ParameterStore
    /** What calibration with the loader's batches is called (`calibrationOf`). */
    readonly calibration: string
  },
  onEvent: (event: ProgressEvent | BadFileEvent) => void,
  signal?: AbortSignal,
): Promise<Validation> {
  const { engine, network, config, loader, dataset, trainer, weights, calibration } = context
  const configurations = validatedConfigurations(config)
  const total = config.calibration_batches
  const statistics = await calibrate(
    trainer,
    network,
    configurations,
    calibrationClips(loader, total),
    (done) => onEvent({ event: 'progress', what: 'calibration', done, total }),
  )
  const entries: ValidatedEntry[] = []
  let samples = Number.POSITIVE_INFINITY
  let unreadable = 0
  const conditions = await conditionsOf(config, dataset)
  const results = sweep({ engine, network, config, weights, statistics }, dataset, configurations, {
    views: parseViews(config.views),
    onProgress: (done, all) => onEvent({ event: 'progress', what: 'validation', done, total: all }),
    onBad: (file, reason) => onEvent({ event: 'bad-file', split: 'val', file, reason }),
    ...(signal && { signal }),
  })
  for await (const { configuration, scored, ...left } of results) {
    const { top1, top5 } = metricsOf(network.classes, scored)
    const { macs, params } = resolve(network, configuration)
    samples = Math.min(samples, scored.length)
    unreadable = Math.max(unreadable, left.unreadable)
    entries.push({
      ...configuration,
      ...{ macs, params, top1, top5, samples: scored.length },
      top1Interval: wilson(top1, scored.length),
      calibration,
      statistics: statisticsFile(configuration, calibration),
    })
  }
  return { views: config.views, entries, statistics, samples, unreadable, conditions }
}

/** The query table of a validation, and its statistics by file. */
export function tableOf(network: Network, { views, entries, statistics, conditions }: Validation) {
  const table: QueryTable = {
    format: TABLE_FORMAT,
    network: network.name,
    trained: true,
    views,
    ...conditions,
    entries: entries.toSorted((a, b) => a.macs - b.macs),
  }
  const files = new Map(entries.map((entry) => [entry.statistics!, statistics.get(configurationKey(entry))!]))
  return { table, statistics: files }
}
