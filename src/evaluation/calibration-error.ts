/**
 * Whether scores can be taken at their word: the expected calibration error, the gap between how sure a network
 * is and how often it is right, over samples that are about as sure. Guo et al. 2017, "On Calibration of Modern
 * Neural Networks", equations 2 to 5, with its 15 bins.
 */

/** Bin m of M holds the samples whose highest score is in ((m − 1) / M, m / M]. */
export interface CalibrationBins {
  readonly samples: Uint32Array
  readonly right: Uint32Array
  /** Sums of highest scores. */
  readonly confidence: Float64Array
}

export interface Bin {
  readonly from: number
  readonly to: number
  readonly samples: number
  /** Share of its samples that are right; 0 for none. */
  readonly accuracy: number
  /** Mean of their highest scores; 0 for none. */
  readonly confidence: number
}

export function createBins(count = 15): CalibrationBins {
  return {
    samples: new Uint32Array(count),
    right: new Uint32Array(count),
    confidence: new Float64Array(count),
  }
}

/** @param confidence the highest score, a probability */
export function addToBins(
  { samples, right, confidence: sums }: CalibrationBins,
  confidence: number,
  isRight: boolean,
): void {
  const count = samples.length
  const bin = Math.min(count - 1, Math.max(0, Math.ceil(confidence * count) - 1))
  samples[bin]!++
  if (isRight) right[bin]!++
  sums[bin]! += confidence
}

/** Σ (samples of the bin / all samples) · |accuracy − confidence|; 0 of no samples. */
export function calibrationError(bins: CalibrationBins): number {
  const all = bins.samples.reduce((sum, n) => sum + n, 0)
  if (all === 0) return 0
  return bins.samples.reduce((sum, _, m) => sum + Math.abs(bins.right[m]! - bins.confidence[m]!) / all, 0)
}

export const describeBins = ({ samples, right, confidence }: CalibrationBins): Bin[] =>
  Array.from(samples, (n, m) => ({
    from: m / samples.length,
    to: (m + 1) / samples.length,
    samples: n,
    accuracy: n === 0 ? 0 : right[m]! / n,
    confidence: n === 0 ? 0 : confidence[m]! / n,
  }))
