/** Mean average precision, for samples that have several labels at once (Charades, AVA). */
import { MnVideoError } from '../errors.ts'

export interface MultiLabelMetrics {
  /**
   * Keeps one sample's scores: memory grows with samples × classes.
   *
   * @param scores one per class; only their order matters
   * @param labels the classes that the sample has; may be none
   */
  add(scores: Float32Array, labels: readonly number[]): void
  result(): MultiLabelResult
}

export interface MultiLabelResult {
  readonly samples: number
  /** Mean over the classes that some sample has (as PySlowFast counts Charades); 0 when none has any. */
  readonly meanAveragePrecision: number
  /** Average precision per class; undefined for a class that no sample has. */
  readonly averagePrecision: readonly (number | undefined)[]
}

export function createMultiLabelMetrics(classes: number): MultiLabelMetrics {
  const rows: Float32Array[] = []
  const positives: ReadonlySet<number>[] = []
  return {
    add(scores, labels) {
      const wrong = labels.find((label) => !Number.isInteger(label) || label < 0 || label >= classes)
      if (wrong !== undefined)
        throw new MnVideoError('usage', `label ${wrong} is no class: give 0 to ${classes - 1}.`)
      if (scores.length !== classes || !scores.every(Number.isFinite))
        throw new MnVideoError('usage', `scores must be ${classes} numbers, one per class.`)
      rows.push(scores.slice())
      positives.push(new Set(labels))
    },
    result() {
      const perClass = Array.from({ length: classes }, (_, k) =>
        averagePrecision(
          rows.map((row) => row[k]!),
          positives.map((labels) => labels.has(k)),
        ),
      )
      const known = perClass.filter((value) => value !== undefined)
      return {
        samples: rows.length,
        meanAveragePrecision: known.reduce((sum, value) => sum + value, 0) / Math.max(1, known.length),
        averagePrecision: perClass,
      }
    },
  }
}

/**
 * Σ (recall at n − recall at n − 1) · precision at n, over the distinct scores from the highest down (no
 * interpolation; scikit-learn's `average_precision_score`). Equal scores count together.
 *
 * @returns undefined when nothing is positive
 */
export function averagePrecision(
  scores: readonly number[],
  positive: readonly boolean[],
): number | undefined {
  const all = positive.filter(Boolean).length
  if (all === 0) return undefined
  const order = Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]!)
  let found = 0
  let counted = 0
  let area = 0
  order.forEach((index, at) => {
    if (positive[index]) found++
    const next = order[at + 1]
    if (next !== undefined && scores[next] === scores[index]) return
    area += ((found - counted) / all) * (found / (at + 1))
    counted = found
  })
  return area
}
