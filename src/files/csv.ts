/** Comma-separated values as RFC 4180 has them. */

/** Text that spreadsheets would take for a formula, which a file's name could bring in. */
const FORMULA = /^[=+\-@\t\r]/

/**
 * One line per row, each ended by CRLF; a cell with a comma, quote or line break is quoted, quotes doubled. Text that a
 * spreadsheet would compute gets an apostrophe before it; numbers stay numbers.
 */
export const formatCsv = (rows: readonly (readonly (string | number | undefined)[])[]): string =>
  rows.map((row) => `${row.map(cellText).join(',')}\r\n`).join('')

function cellText(cell: string | number | undefined): string {
  const plain = cell === undefined ? '' : String(cell)
  const text = typeof cell === 'string' && FORMULA.test(plain) ? `'${plain}` : plain
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
