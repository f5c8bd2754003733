/** Comma-separated values as RFC 4180 has them. */

/** One line per row, each ended by CRLF; a cell with a comma, quote or line break is quoted, quotes doubled. */
export const formatCsv = (rows: readonly (readonly (string | number | undefined)[])[]): string =>
  rows.map((row) => `${row.map(cellText).join(',')}\r\n`).join('')

function cellText(cell: string | number | undefined): string {
  const text = cell === undefined ? '' : String(cell)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
