/** The losses of mutual learning, in double precision on the host: batch × classes are few numbers. */
import { logSoftmax } from './scores.ts'

/** What the logits of a batch are compared with. */
export type Target =
  /** Cross entropy with class indices; with smoothing ε every class gets ε / classes, the label 1 − ε more. */
  | { readonly labels: Int32Array; readonly labelSmoothing?: number }
  /** Kullback–Leibler divergence from a teacher's softmax, [batch, classes], summed over classes. */
  | { readonly probabilities: Float32Array }

export interface Loss {
  /** The mean over the batch. */
  readonly loss: number
  /** d loss / d logits, [batch, classes]. */
  readonly gradient: Float32Array
}

/** @param logits [batch, classes], row-major */
export function lossOf(logits: Float32Array, classes: number, target: Target): Loss {
  const batch = logits.length / classes
  const gradient = new Float32Array(logits.length)
  let sum = 0
  for (let n = 0; n < batch; n++) {
    const logQ = logSoftmax(logits.subarray(n * classes, (n + 1) * classes))
    for (let k = 0; k < classes; k++) {
      const p = probability(target, n, k, classes)
      if (p > 0) sum += p * (('probabilities' in target ? Math.log(p) : 0) - logQ[k]!)
      gradient[n * classes + k] = (Math.exp(logQ[k]!) - p) / batch
    }
  }
  return { loss: sum / batch, gradient }
}

function probability(target: Target, n: number, k: number, classes: number): number {
  if ('probabilities' in target) return target.probabilities[n * classes + k]!
  const smoothing = target.labelSmoothing ?? 0
  return smoothing / classes + (target.labels[n] === k ? 1 - smoothing : 0)
}
