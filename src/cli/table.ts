/** Plain text tables: columns aligned, two spaces between them. */
import { shown } from '../errors.ts'
import { wilson } from '../runs/interval.ts'

/**
 * Numbers (and cells that start with a digit) go right, text goes left; the first row is the heading.
 *
 * @param longest characters of a cell: those of a name by default
 */
export function formatTable(rows: readonly (readonly (string | number)[])[], longest?: number): string {
  // Names of classes and files come from anywhere.
  const cells = rows.map((row) => row.map((cell) => shown(String(cell), longest)))
  const columns = Math.max(...cells.map((row) => row.length))
  const right = Array.from({ length: columns }, (_, c) =>
    cells.slice(1).every((row) => /^[-\d]/.test(row[c] ?? '-')),
  )
  const widths = Array.from({ length: columns }, (_, c) =>
    Math.max(...cells.map((row) => (row[c] ?? '').length)),
  )
  return cells
    .map((row) =>
      row
        .map((cell, c) => (right[c] ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** `3,794,274`. */
export const thousands = (value: number): string => value.toLocaleString('en-US')

/** `75.07 %` of a share from 0 to 1. */
export const percent = (share: number): string => `${(100 * share).toFixed(2)} %`

/** `71.2–79.3`: the 95 % interval of a share from 0 to 1 of so many samples, in percent. */
export function interval(share: number, samples: number): string {
  const [low, high] = wilson(share, samples)
  return `${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)}`
}
