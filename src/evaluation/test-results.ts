import { parseViews } from '../config/views.ts'
import type { Dataset } from '../data/sets/dataset.ts'
import type { Plan } from '../engines/engine.ts'
import type { Configuration, Network } from '../network/graph.ts'
import { configurationKey, resolve } from '../network/resolve.ts'
import { initialStatistics } from '../network/store.ts'
import { wilson } from '../runs/interval.ts'
import type { KeptStatistics } from '../runs/kept-statistics.ts'
import { measureLatency } from '../runs/latency.ts'
import { writePredictions } from '../runs/predictions.ts'
import { type AnyResult, appendSweep } from '../runs/sweep-results.ts'
import { topClasses } from './metrics.ts'
import { meanAveragePrecisionOf, metricsOf, type Scored, sweep } from './sweep.ts'
import type { TestOptions, TestSetup } from './test-setup.ts'

/** Known results, those asked for with latencies of this machine and engine: the accuracies hold, the times do not. */
export async function timedHere(
  { run, engine, precision, machine }: TestSetup,
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

/** Accuracy, latency and answers of configurations, kept as they come. */
export async function* evaluate(
  { run, engine, validation, views, precision, conditions, machine }: TestSetup,
  configurations: readonly Configuration[],
  found: ReadonlyMap<string, KeptStatistics>,
  { signal, onEvent }: TestOptions,
): AsyncGenerator<AnyResult> {
  const { config, network, weights, folder } = run
  const statistics = new Map([...found].map(([key, kept]) => [key, kept.statistics]))
  const evaluated = { engine, network, config, weights, statistics, precision }
  const writer = await appendSweep(folder)
  try {
    const results = sweep(evaluated, validation, configurations, {
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

const rounded = (milliseconds: number): number => Number(milliseconds.toPrecision(4))
