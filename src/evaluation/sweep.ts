/** Accuracies of many configurations of one network on a validation set. */
import type { Config } from '../config/index.ts'
import type { Views } from '../config/views.ts'
import { reasonFor, refuseBadEvaluation } from '../data/loading/bad-files.ts'
import { type EvaluationRequest, evaluationClips } from '../data/loading/evaluation-clips.ts'
import { createFrameIndexes } from '../data/loading/frame-indexes.ts'
import { decodedSize } from '../data/loading/test-clips.ts'
import type { Dataset } from '../data/sets/dataset.ts'
import type { Engine, Plan, Precision } from '../engines/engine.ts'
import { MnVideoError } from '../errors.ts'
import type { FrameBatch } from '../frames/batch.ts'
import { toInputs } from '../frames/inputs.ts'
import type { Configuration, Network } from '../network/graph.ts'
import { configurationKey, resolve } from '../network/resolve.ts'
import type { BatchNormStatistics, ParameterStore } from '../network/store.ts'
import { createMultiLabelMetrics } from './average-precision.ts'
import { createMetrics } from './metrics.ts'

/** What is evaluated. */
export interface EvaluatedNetwork {
  readonly engine: Engine
  readonly network: Network
  readonly config: Config
  readonly weights: ParameterStore
  /** Batch-norm statistics by `configurationKey`. */
  readonly statistics: ReadonlyMap<string, BatchNormStatistics>
  readonly precision?: Precision
}

export interface SweepOptions {
  readonly views: Views
  readonly signal?: AbortSignal
  /** Samples decoded, of all: each size decodes its own. */
  readonly onProgress?: (done: number, total: number) => void
  /** Told of each sample that cannot be read, once. */
  readonly onBad?: (file: string, reason: string) => void
}

/**
 * The scores of one validation sample: the softmax averaged over its views; of samples with any number of labels the
 * largest sigmoid of its views, as PySlowFast scores Charades.
 */
export interface Scored {
  readonly sample: number
  readonly label: number
  /** All labels, where samples have any number of them. */
  readonly labels?: readonly number[]
  /** [classes], summing to 1; of samples with any number of labels each from 0 to 1. */
  readonly scores: Float32Array
}

/** One configuration's answers on the validation set, at least one, in the order of the set; files that cannot be read are left out. */
export interface ConfigurationScores {
  readonly configuration: Configuration
  /** Usable until the next result is asked for. */
  readonly plan: Plan
  readonly scored: readonly Scored[]
  /** Samples that could not be read, and are not among the scored. */
  readonly unreadable: number
}

/** Pixels of a run: enough to keep all threads busy, few enough to stay in the caches. */
const PIXELS_PER_RUN = 16 * 224 * 224
const LARGEST_RUN = 64

/**
 * Runs configurations on a validation set, those whose clips are decoded at one size together: each clip is decoded
 * once per size. Results come size by size, so that a caller can keep them as they come.
 *
 * @throws MnVideoError `data` naming files, where more of them than `max_bad_fraction` cannot be read, or all
 */
export async function* sweep(
  evaluated: EvaluatedNetwork,
  dataset: Dataset,
  configurations: readonly Configuration[],
  options: SweepOptions,
): AsyncGenerator<ConfigurationScores> {
  const sizeOf = (configuration: Configuration) => decodedSize(evaluated.network, configuration.size)
  const sizes = [...new Set(configurations.map(sizeOf))]
  const indexes = createFrameIndexes()
  const bad = new Set<string>()
  const onBad = (file: string, reason: string) => {
    if (!bad.has(file)) options.onBad?.(file, reason)
    bad.add(file)
  }
  for (const [i, size] of sizes.entries()) {
    const group = configurations.filter((configuration) => sizeOf(configuration) === size)
    const plans = await compileAll(evaluated, group)
    try {
      yield* sweepSize(evaluated, dataset, plans, {
        ...options,
        size,
        indexes,
        onBad,
        onProgress: (done) => options.onProgress?.(i * dataset.size + done, sizes.length * dataset.size),
      })
    } finally {
      for (const plan of plans) plan.dispose()
    }
  }
}

/** The metrics of scored samples. */
export function metricsOf(classes: number, scored: readonly Scored[]) {
  const metrics = createMetrics(classes)
  for (const { scores, label } of scored) metrics.add(scores, label)
  return metrics.result()
}

/** The mean average precision of scored samples with any number of labels. */
export function meanAveragePrecisionOf(classes: number, scored: readonly Scored[]): number {
  const metrics = createMultiLabelMetrics(classes)
  for (const { scores, labels = [] } of scored) metrics.add(scores, labels)
  return metrics.result().meanAveragePrecision
}

function compileAll(
  { engine, network, config, weights, statistics, precision }: EvaluatedNetwork,
  group: readonly Configuration[],
) {
  const { mean, std } = config
  return Promise.all(
    group.map((configuration) => {
      const found = statistics.get(configurationKey(configuration))
      if (!found) {
        throw new MnVideoError(
          'run',
          `width ${configuration.width}, frames ${configuration.frames}, size ${configuration.size} has no batch-norm statistics, and without them it only guesses. Calibrate it first.`,
        )
      }
      return engine.compile(resolve(network, configuration), weights, {
        normalisation: { mean, std },
        statistics: found,
        ...(precision && { precision }),
      })
    }),
  )
}

/** Clips of some samples, waiting to be run together. */
interface Waiting {
  readonly sample: number
  readonly label: number
  readonly clips: readonly FrameBatch[]
}

async function* sweepSize(
  { network, config }: EvaluatedNetwork,
  dataset: Dataset,
  plans: readonly Plan[],
  {
    size,
    views,
    signal,
    indexes,
    onProgress,
    onBad,
  }: SweepOptions & Pick<EvaluationRequest, 'size' | 'indexes'>,
): AsyncGenerator<ConfigurationScores> {
  const scored = plans.map((): Scored[] => [])
  const failed = new Map<string, string>()
  let waiting: Waiting[] = []
  let done = 0
  const flush = async () => {
    const clips = waiting.flatMap((sample) => sample.clips)
    if (clips.length === 0) return
    for (const [i, plan] of plans.entries()) {
      const scores = await scoresOf(plan, network, clips, dataset.labels ? 'labelScores' : 'scores')
      let first = 0
      for (const { sample, label, clips } of waiting) {
        const views = scores.slice(first, first + clips.length)
        scored[i]!.push(
          dataset.labels
            ? { sample, label, labels: dataset.labels(sample), scores: largest(views) }
            : { sample, label, scores: average(views) },
        )
        first += clips.length
      }
    }
    waiting = []
  }
  const request = { size, views, ...(signal && { signal }), ...(indexes && { indexes }) }
  for await (const item of evaluationClips(dataset, network, config, request)) {
    if ('error' in item) {
      const name = dataset.name(item.sample)
      const reason = reasonFor(name, item.error.message)
      onBad?.(name, reason)
      failed.set(name, reason)
      refuseBadEvaluation(dataset, config.max_bad_fraction, failed, done + 1)
    } else {
      waiting.push(item)
      if (waiting.length * item.clips.length >= runLength(item.clips[0]!)) await flush()
    }
    onProgress?.(++done, dataset.size)
  }
  await flush()
  for (const [i, plan] of plans.entries()) {
    yield { configuration: plan.subNetwork.configuration, plan, scored: scored[i]!, unreadable: failed.size }
  }
}

const runLength = ({ frames, height, width }: FrameBatch): number =>
  Math.min(LARGEST_RUN, Math.max(1, Math.floor(PIXELS_PER_RUN / (frames * height * width))))

/** Scores of each clip, run in batches. */
async function scoresOf(
  plan: Plan,
  network: Network,
  clips: readonly FrameBatch[],
  which: 'scores' | 'labelScores',
): Promise<Float32Array[]> {
  const length = runLength(clips[0]!)
  const scores: Float32Array[] = []
  for (let start = 0; start < clips.length; start += length) {
    const batch = joinBatches(clips.slice(start, start + length))
    const result = await plan.run(toInputs(network, plan.subNetwork.configuration, batch))
    for (let n = 0; n < batch.batch; n++) {
      scores.push(result[which].slice(n * network.classes, (n + 1) * network.classes))
    }
  }
  return scores
}

function joinBatches(parts: readonly FrameBatch[]): FrameBatch {
  const [first] = parts
  if (parts.length === 1) return first!
  const data = new Uint8Array(parts.reduce((sum, part) => sum + part.data.length, 0))
  let at = 0
  for (const part of parts) {
    data.set(part.data, at)
    at += part.data.length
  }
  return { ...first!, data, batch: parts.reduce((sum, part) => sum + part.batch, 0) }
}

function average(rows: readonly Float32Array[]): Float32Array {
  if (rows.length === 1) return rows[0]!
  return rows[0]!.map((_, k) => rows.reduce((sum, row) => sum + row[k]!, 0) / rows.length)
}

/** Of each class its largest score. */
const largest = (rows: readonly Float32Array[]): Float32Array =>
  rows[0]!.map((_, k) => Math.max(...rows.map((row) => row[k]!)))
