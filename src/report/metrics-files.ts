/** Metrics as text for other programs: CSV for tables, JSON for scripts. */

import type { ClassMetrics, Confusion } from '../evaluation/confusion.ts'
import type { MetricsResult } from '../evaluation/metrics.ts'
import { formatCsv } from '../files/csv.ts'

/** One line per class; `labels` are the classes' names. */
export const classReportCsv = (perClass: readonly ClassMetrics[], labels: readonly string[]): string =>
  formatCsv([
    ['index', 'class', 'support', 'guessed', 'right', 'precision', 'recall', 'f1'],
    ...perClass.map(({ index, support, guessed, right, precision, recall, f1 }) => [
      index,
      labels[index],
      support,
      guessed,
      right,
      precision,
      recall,
      f1,
    ]),
  ])

/** One line per label, one column per guess. */
export const confusionCsv = ({ classes, counts }: Confusion, labels: readonly string[]): string =>
  formatCsv([
    ['label \\ guess', ...labels],
    ...labels.map((label, row) => [label, ...counts.subarray(row * classes, (row + 1) * classes)]),
  ])

/** Everything, with the confusion matrix as one list per label. */
export function metricsJson(result: MetricsResult, labels: readonly string[]): string {
  const { confusion, perClass, ...rest } = result
  const { classes, counts } = confusion
  const document = {
    ...rest,
    perClass: perClass.map((one) => ({ ...one, class: labels[one.index] })),
    confusion: labels.map((_, row) => Array.from(counts.subarray(row * classes, (row + 1) * classes))),
  }
  return `${JSON.stringify(document, null, 2).replace(/\[\s+([\d,\s]+?)\s+\]/g, (_, row: string) => `[${row.replace(/\s+/g, ' ')}]`)}\n`
}
