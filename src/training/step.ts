/** One optimiser step of mutual learning: the losses of its sub-networks, their gradients, the descent. */
import type { Config } from '../config/index.ts'
import type { Batch } from '../data/loading/loader.ts'
import { randomAt } from '../data/loading/streams.ts'
import type { Trainer } from '../engines/engine.ts'
import type { Target } from '../engines/loss.ts'
import { softmax } from '../engines/scores.ts'
import { toInputs } from '../frames/inputs.ts'
import type { Network } from '../network/graph.ts'
import { resolve } from '../network/resolve.ts'
import { type Drawn, drawSubNetworks } from './draw.ts'

/** Streams of random numbers apart from the loader's, whose places start with an epoch. */
const DRAWS = 0x64726177
const DROPOUT = 0x64726f70

export interface StepResult {
  /** Each sub-network with its loss: the mean over the step's samples. */
  readonly losses: readonly (Drawn & { readonly loss: number })[]
  /** Share of the step's samples that the full network, in training mode, gets right. */
  readonly top1: number
  readonly samples: number
  /** The norm of all gradients, before clipping. */
  readonly gradientNorm: number
}

/**
 * Runs one step on one or more batches, whose gradients are averaged. The full sub-network learns the labels;
 * the others learn its softmax by KL divergence, no gradient passing through it; all gradients add up and one
 * descent follows (Yang et al. 2020, algorithm 1).
 *
 * What is drawn follows from the seed and the step's number alone. A sub-network whose loss is not finite ends
 * the step at once, before the weights are touched; its loss is the last one of the result.
 *
 * @param step the number of optimiser steps before this one
 */
export async function mutualStep(
  trainer: Trainer,
  network: Network,
  config: Config,
  batches: readonly Batch[],
  {
    step,
    learningRate,
    onPart,
  }: {
    readonly step: number
    readonly learningRate: number
    /** Called after each sub-network of each batch. */
    readonly onPart?: (done: number, total: number) => void
  },
): Promise<StepResult> {
  const drawn = drawSubNetworks(config, randomAt(config.random_seed, DRAWS, step))
  const sums = drawn.map(() => 0)
  let samples = 0
  let right = 0
  for (const [part, { clips, labels }] of batches.entries()) {
    let target: Target = { labels, labelSmoothing: config.label_smoothing }
    for (const [i, { configuration }] of drawn.entries()) {
      const { loss, logits } = await trainer.accumulate(
        resolve(network, configuration),
        toInputs(network, configuration, clips),
        target,
        {
          scale: 1 / batches.length,
          dropoutSeed: randomAt(config.random_seed, DROPOUT, step, part, i).integer(2 ** 24),
        },
      )
      sums[i]! += loss / batches.length
      onPart?.(part * drawn.length + i + 1, batches.length * drawn.length)
      if (!Number.isFinite(loss)) {
        const losses = drawn.slice(0, i + 1).map((one, k) => ({ ...one, loss: sums[k]! }))
        return { losses, top1: 0, samples, gradientNorm: Number.NaN }
      }
      if (i > 0) continue
      samples += labels.length
      right += countRight(logits, labels, network.classes)
      target = { probabilities: softmaxes(logits, network.classes) }
    }
  }
  const { gradientNorm } = await trainer.step({
    learningRate,
    ...(config.clip_gradient > 0 && { clipNorm: config.clip_gradient }),
  })
  const losses = drawn.map((one, i) => ({ ...one, loss: sums[i]! }))
  return { losses, top1: right / samples, samples, gradientNorm }
}

/** The softmax of each row of [batch, classes]. */
function softmaxes(logits: Float32Array, classes: number): Float32Array {
  const result = new Float32Array(logits.length)
  for (let start = 0; start < logits.length; start += classes) {
    result.set(softmax(logits.subarray(start, start + classes)), start)
  }
  return result
}

function countRight(logits: Float32Array, labels: Int32Array, classes: number): number {
  let right = 0
  labels.forEach((label, n) => {
    const row = logits.subarray(n * classes, (n + 1) * classes)
    if (row.every((logit, k) => k === label || logit < row[label]!)) right++
  })
  return right
}
