/** Spans of films as files that others read: JSON Lines, CSV, WebVTT. */

import { formatCsv } from '../files/csv.ts'
import type { FilmSpans, NamedSpan } from '../inference/streaming/spans.ts'

/** One span as a line of JSON: seconds, and scores from 0 to 1. */
export const spanLine = (file: string, { start, end, label, index, score, peak }: NamedSpan): string =>
  JSON.stringify({
    file,
    start: rounded(start),
    end: rounded(end),
    label,
    index,
    score: rounded(score),
    peak: rounded(peak),
  })

export const spansCsv = (films: readonly FilmSpans[]): string =>
  formatCsv([
    ['file', 'start', 'end', 'label', 'index', 'score', 'peak'],
    ...films.flatMap(({ file, spans }) =>
      spans.map(({ start, end, label, index, score, peak }) => [
        ...[file, rounded(start), rounded(end), label],
        ...[index, rounded(score), rounded(peak)],
      ]),
    ),
  ])

/** Subtitles that any player shows: one cue a span, in order of their beginnings. */
export function spansVtt({ spans }: FilmSpans): string {
  const cues = [...spans]
    .sort((a, b) => a.start - b.start || a.end - b.end)
    .map(
      ({ start, end, label, score }) =>
        `${cueTime(start)} --> ${cueTime(end)}\n${cueText(label)} ${(100 * score).toFixed(0)} %\n`,
    )
  return ['WEBVTT\n', ...cues].join('\n')
}

/** `01:02:03.450`. */
export function cueTime(seconds: number): string {
  const milliseconds = Math.round(seconds * 1000)
  const [s, minutes] = [Math.floor(milliseconds / 1000), Math.floor(milliseconds / 60_000)]
  const two = (value: number) => String(value).padStart(2, '0')
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}:${two(s % 60)}.${String(milliseconds % 1000).padStart(3, '0')}`
}

/** A cue's text is markup, and a line break ends its line. */
const cueText = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll(/[\r\n]+/g, ' ')

const rounded = (value: number): number => Number(value.toFixed(4))
