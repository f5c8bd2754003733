/**
 * Batch-norm statistics of configurations: every configuration's activations are distributed in their own way,
 * so each needs its own, re-estimated from training batches once the weights are settled.
 */
import { roundedToHalf } from '../checkpoints/half.ts'
import type { TrainingLoader } from '../data/loading/loader.ts'
import type { Trainer } from '../engines/engine.ts'
import type { FrameBatch } from '../frames/batch.ts'
import { toInputs } from '../frames/inputs.ts'
import { BATCH_NORM_EPSILON } from '../network/builder.ts'
import type { Configuration, Network } from '../network/graph.ts'
import { configurationKey, resolve, trainedSize } from '../network/resolve.ts'
import type { BatchNormStatistics } from '../network/store.ts'

/**
 * Estimates the statistics of configurations: the plain average of the means and unbiased variances of some
 * batches, each run in training mode (Yu and Huang 2019, section 3.3; momentum 1/(t+1) in batch t is that average).
 * They are rounded to half precision, as files keep them, so that what is evaluated is what is deployed.
 *
 * @param batches full clips; each is used for all configurations
 * @returns by `configurationKey`
 */
export async function calibrate(
  trainer: Trainer,
  network: Network,
  configurations: readonly Configuration[],
  batches: AsyncIterable<FrameBatch>,
  onBatch?: (done: number) => void,
): Promise<Map<string, BatchNormStatistics>> {
  const averages = new Map<string, BatchNormStatistics>()
  let done = 0
  for await (const clips of batches) {
    for (const configuration of configurations) {
      const trained = trainedSize(network, configuration)
      const found = await trainer.statistics(resolve(network, trained), toInputs(network, trained, clips))
      const key = configurationKey(configuration)
      const average = averages.get(key)
      if (average) moveTowards(average, found, 1 / (done + 1))
      else averages.set(key, found)
    }
    onBatch?.(++done)
  }
  return new Map([...averages].map(([key, average]) => [key, roundedStatistics(average)]))
}

/** Calibration batches: full training clips of epochs that training has not, the same ones every time. */
export async function* calibrationClips(
  loader: TrainingLoader,
  batches: number,
): AsyncGenerator<FrameBatch, void, void> {
  let given = 0
  for (let epoch = -1; given < batches; epoch--) {
    for await (const { clips } of loader.epoch(epoch)) {
      yield clips
      if (++given === batches) return
    }
  }
}

function moveTowards(average: BatchNormStatistics, found: BatchNormStatistics, share: number): void {
  for (const [name, { mean, variance }] of average) {
    const batch = found.get(name)!
    for (let i = 0; i < mean.length; i++) mean[i]! += share * (batch.mean[i]! - mean[i]!)
    for (let i = 0; i < variance.length; i++) variance[i]! += share * (batch.variance[i]! - variance[i]!)
  }
}

/** Of a channel's standard deviation: how far rounding may move its mean. */
const LARGEST_MOVE = 0.01
/** Statistics in half precision; a tensor that half precision does not hold well stays as it is. */
export function roundedStatistics(statistics: BatchNormStatistics): BatchNormStatistics {
  return new Map(
    [...statistics].map(([name, { mean, variance }]) => {
      const halfMean = roundedToHalf(mean)
      const halfVariance = roundedToHalf(variance)
      const isNear = halfMean.every(
        (value, i) =>
          Math.abs(value - mean[i]!) <= LARGEST_MOVE * Math.sqrt(variance[i]! + BATCH_NORM_EPSILON),
      )
      return [
        name,
        {
          mean: isNear ? halfMean : mean,
          variance: halfVariance.every(Number.isFinite) ? halfVariance : variance,
        },
      ]
    }),
  )
}
