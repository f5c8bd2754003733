/**
 * What a classifier's scores are worth on labelled samples: top-1, top-5, mean class accuracy, the confusion
 * matrix, a report per class and the expected calibration error. Counts alone are kept, so that a validation set
 * of any length can be added sample by sample.
 */
import { MnVideoError } from '../errors.ts'
import {
  addToBins,
  type Bin,
  type CalibrationBins,
  calibrationError,
  createBins,
  describeBins,
} from './calibration-error.ts'
import {
  type ClassMetrics,
  type Confusion,
  classReport,
  createConfusion,
  meanClassAccuracy,
} from './confusion.ts'

export interface Metrics {
  /**
   * Counts one sample.
   *
   * @param scores one probability per class
   * @throws MnVideoError `usage` when the scores are not one number per class, or the label is no class
   */
  add(scores: Float32Array, label: number): void
  /** Of the samples so far. */
  result(): MetricsResult
}

/** Shares are from 0 to 1; of no samples they are 0. */
export interface MetricsResult {
  readonly samples: number
  /** Share of samples whose label has the highest score. */
  readonly top1: number
  /** Share of samples whose label is among the five highest scores; of fewer classes, among all. */
  readonly top5: number
  /** Recall averaged over the classes that have samples, so that rare classes count as much as frequent ones. */
  readonly meanClassAccuracy: number
  /** Expected calibration error of the highest scores, 15 bins. */
  readonly ece: number
  readonly calibration: readonly Bin[]
  readonly confusion: Confusion
  readonly perClass: readonly ClassMetrics[]
}

const TOP = 5

export function createMetrics(classes: number): Metrics {
  const confusion = createConfusion(classes)
  const bins: CalibrationBins = createBins()
  let samples = 0
  let right1 = 0
  let right5 = 0
  return {
    add(scores, label) {
      checkSample(scores, label, classes)
      const rank = rankOf(scores, label)
      const guess = argmax(scores)
      samples++
      if (rank < 1) right1++
      if (rank < TOP) right5++
      confusion.counts[label * classes + guess]!++
      addToBins(bins, scores[guess]!, guess === label)
    },
    result: () => ({
      samples,
      top1: share(right1, samples),
      top5: share(right5, samples),
      meanClassAccuracy: meanClassAccuracy(confusion),
      ece: calibrationError(bins),
      calibration: describeBins(bins),
      confusion: { classes, counts: confusion.counts.slice() },
      perClass: classReport(confusion),
    }),
  }
}

/**
 * How many classes come before the label's. Of equal scores the class with the lower index comes first, as in
 * `classify` and in PyTorch's argmax: a network that says nothing (all scores equal) is right for class 0 alone,
 * where counting ties for the label would make it perfect. PyTorch's topk leaves the order of ties open.
 */
export function rankOf(scores: Float32Array, label: number): number {
  const own = scores[label]!
  let before = 0
  for (let k = 0; k < scores.length; k++) {
    if (scores[k]! > own || (scores[k]! === own && k < label)) before++
  }
  return before
}

/** The indices of the highest scores, the highest first; of equal ones the lower index. */
export function topClasses(scores: Float32Array, count = TOP): number[] {
  return Array.from(scores.keys())
    .sort((a, b) => scores[b]! - scores[a]! || a - b)
    .slice(0, count)
}

function argmax(scores: Float32Array): number {
  let best = 0
  for (let k = 1; k < scores.length; k++) if (scores[k]! > scores[best]!) best = k
  return best
}

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)

function checkSample(scores: Float32Array, label: number, classes: number): void {
  if (scores.length !== classes || !scores.every(Number.isFinite)) {
    throw new MnVideoError(
      'usage',
      `scores must be ${classes} numbers, one per class; got ${scores.length}${scores.length === classes ? ', not all of them numbers' : ''}.`,
    )
  }
  if (!Number.isInteger(label) || label < 0 || label >= classes) {
    throw new MnVideoError('usage', `label ${label} is no class: give 0 to ${classes - 1}.`)
  }
}
