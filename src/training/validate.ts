/** Looking at a network in the middle or at the end of training: calibrate, evaluate, write what a run needs. */
import type { Config } from '../config/index.ts'
import type { Dataset } from '../data/dataset.ts'
import type { TrainingLoader } from '../data/loader.ts'
import type { Engine, Trainer } from '../engines/engine.ts'
import { calibrate, calibrationClips } from '../evaluation/calibrate.ts'
import type { QueryTable, TableEntry } from '../evaluation/query-table.ts'
import { statisticsFile } from '../evaluation/run-folder.ts'
import { metricsOf, sweep } from '../evaluation/sweep.ts'
import type { Configuration, Network } from '../network/graph.ts'
import { configurationKey, resolve } from '../network/resolve.ts'
import type { BatchNormStatistics, ParameterStore } from '../network/store.ts'
import { parseViews } from '../video/sampling.ts'
import { largestConfiguration } from './draw.ts'
import type { ProgressEvent } from './log.ts'

export interface Validation {
  /** Of each sample, as `1x1`. */
  readonly views: string
  readonly entries: readonly (TableEntry & { readonly top1: number; readonly top5: number })[]
  readonly statistics: ReadonlyMap<string, BatchNormStatistics>
  readonly samples: number
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
  },
  onProgress: (progress: ProgressEvent) => void,
  signal?: AbortSignal,
): Promise<Validation> {
  const { engine, network, config, loader, dataset, trainer, weights } = context
  const configurations = validatedConfigurations(config)
  const total = config.calibration_batches
  const statistics = await calibrate(
    trainer,
    network,
    configurations,
    calibrationClips(loader, total),
    (done) => onProgress({ event: 'progress', what: 'calibration', done, total }),
  )
  const entries: (TableEntry & { top1: number; top5: number })[] = []
  let samples = 0
  const results = sweep({ engine, network, config, weights, statistics }, dataset, configurations, {
    views: parseViews(config.views),
    onProgress: (done, all) => onProgress({ event: 'progress', what: 'validation', done, total: all }),
    ...(signal && { signal }),
  })
  for await (const { configuration, scored } of results) {
    const { top1, top5 } = metricsOf(network.classes, scored)
    const { macs, params } = resolve(network, configuration)
    samples = scored.length
    entries.push({ ...configuration, macs, params, top1, top5, statistics: statisticsFile(configuration) })
  }
  return { views: config.views, entries, statistics, samples }
}

/** The query table of a validation, and its statistics by file. */
export function tableOf(network: Network, { views, entries, statistics }: Validation) {
  const table: QueryTable = {
    format: 'mn-video query table 1',
    network: network.name,
    trained: true,
    views,
    entries: entries.toSorted((a, b) => a.macs - b.macs),
  }
  const files = new Map(
    entries.map((entry) => [statisticsFile(entry), statistics.get(configurationKey(entry))!]),
  )
  return { table, statistics: files }
}
