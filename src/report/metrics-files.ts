/** Metrics as tables for other programs. */
import type { ClassMetrics, Confusion } from '../evaluation/confusion.ts'
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
