/**
 * Lists of files with any number of labels each: `path 3;17;80` a line, `path -` for none. Lists with one label
 * are `lists.ts`'s business, and its reader refuses these.
 */
import { dirname, resolve } from 'node:path'
import { MnVideoError } from '../../errors.ts'
import { formatList, parseList, type ReadListOptions } from './lists.ts'

/** A file with all that happens in it. */
export interface MultiLabelEntry {
  readonly path: string
  /** Whole numbers from 0, ascending, each once; possibly none. */
  readonly labels: readonly number[]
}

/** @throws MnVideoError 'data' for a path that no line can hold */
export function formatMultiLabelList(entries: Iterable<MultiLabelEntry>): string {
  let text = ''
  for (const { path, labels } of entries) {
    // The one place that knows how paths are quoted writes the line.
    const line = formatList([{ path, label: 0 }]).slice(0, -2)
    text += `${line}${labels.length === 0 ? '-' : labels.join(';')}\n`
  }
  return text
}

/** Whether a list's files have any number of labels: a line with several (`3;17`) or none (`-`) says so of all. */
export const isMultiLabelText = (text: string): boolean =>
  /^(?!\uFEFF?[ \t]*#).*[ \t,](?:-|\d+(?:;\d+)+)[ \t]*\r?$/m.test(text)

/** The entries of a list's text with absolute paths. */
export const readMultiLabelText = (
  text: string,
  file: string,
  options: ReadListOptions = {},
): { readonly path: string; readonly label: readonly number[] }[] =>
  parseMultiLabelList(text, file, options.classes).map(({ path, labels }) => ({
    path: resolve(options.root ?? dirname(file), path),
    label: labels,
  }))

/**
 * The entries of a list's text, with paths as they are written.
 *
 * @param name the list's name in messages
 * @param classes labels must be below
 * @throws MnVideoError 'data' naming list and line
 */
export function parseMultiLabelList(text: string, name: string, classes?: number): MultiLabelEntry[] {
  const sets: number[][] = []
  const single = text
    .split('\n')
    .map((line, index) => {
      if (/^\uFEFF?\s*(?:#|$)/.test(line)) return ''
      const match = /^(.*[ \t,])(-|\d{1,9}(?:;\d{1,9})*)[ \t\r]*$/.exec(line)
      if (!match) {
        throw new MnVideoError(
          'data',
          `${name}:${index + 1}: must be a path and its labels, such as "a.mp4 3;17" ("a.mp4 -" for none).`,
        )
      }
      const labels = match[2] === '-' ? [] : match[2]!.split(';').map(Number)
      const wrong = labels.find((label) => label >= (classes ?? Number.POSITIVE_INFINITY))
      if (wrong !== undefined) {
        throw new MnVideoError(
          'data',
          `${name}:${index + 1}: label ${wrong}, but there are ${classes} classes, so labels go from 0 to ${classes! - 1}.`,
        )
      }
      sets.push([...new Set(labels)].sort((a, b) => a - b))
      return `${match[1]}${sets.length - 1}`
    })
    .join('\n')
  return parseList(single, name).map(({ path, label }) => ({ path, labels: sets[label] ?? [] }))
}
