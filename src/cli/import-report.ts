/** What was taken of a file of weights, as lines. */
import type { Taken } from '../checkpoints/import/taken.ts'

/** Names listed in each part of the report. */
const LISTED = 8

export function describeTaken(taken: Taken): string[] {
  const { file, format, container, tensors, scheme, wrapper, network, classes } = taken
  const { matched, missing, unexpected, reshaped, folded, ignored, headReplaced } = taken
  const lines: (readonly [string, string])[] = [
    ['file', `${file}: ${format}${container && `, ${container}`}, ${tensors} tensors`],
    ['names', `${scheme}${wrapper && ` behind "${wrapper}"`}, read as ${network}`],
    ['matched', `${matched} tensors`],
    ['missing', list(missing, ', fresh in the network')],
    ['unexpected', list(unexpected, ', left out')],
    ['reshaped', list(reshaped.map(({ name, from, to }) => `${name} [${from}] → [${to}]`))],
  ]
  if (folded.length > 0)
    lines.push(['folded', `${folded.join(', ')}: its scale and shift are in the layers around it`])
  if (ignored > 0) lines.push(['left out', `${ignored} counters and optimiser tensors`])
  lines.push(['head', headReplaced === undefined ? `kept: ${classes} classes` : `FRESH: ${headReplaced}`])
  return lines.map(([label, text]) => reportLine(label, text))
}

export const reportLine = (label: string, text: string): string => `${label.padEnd(12)}${text}`

function list(names: readonly string[], what = ''): string {
  if (names.length === 0) return 'none'
  const shown = names.slice(0, LISTED).map((name) => `\n              ${name}`)
  return `${names.length}${what}${shown.join('')}${names.length > LISTED ? '\n              …' : ''}`
}
