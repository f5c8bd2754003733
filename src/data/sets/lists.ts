/**
 * Lists of labelled files as text: one `path label` a line, as PySlowFast and most video data sets have them.
 * What a data set is made of is `dataset.ts`'s business; here are only the lines.
 */
import { dirname, resolve } from 'node:path'
import { MnVideoError, reasonOf } from '../../errors.ts'
import { readText } from '../../files/read.ts'

/** One labelled file. */
export interface ListEntry {
  readonly path: string
  /** A whole number from 0. */
  readonly label: number
  /** The line of the list, from 1. */
  readonly line: number
}

export interface ListOptions {
  /** How many classes there are: labels must be below. */
  readonly classes?: number
}

export interface ReadListOptions extends ListOptions {
  /** Where relative paths start; default: the folder of the list. */
  readonly root?: string
}

/** Lists of a million paths are a tenth of this. */
const MAX_BYTES = 2 ** 28

/**
 * The entries of a list's text (`readListText`) in order, at least one, with absolute paths; whether the files exist is
 * not looked at.
 *
 * @throws MnVideoError 'data' naming the list and, where a line is to blame, its number
 */
export function readListOf(text: string, file: string, options: ReadListOptions = {}): ListEntry[] {
  const root = options.root ?? dirname(file)
  return parseList(text, file, options).map((entry) => ({ ...entry, path: resolve(root, entry.path) }))
}

/**
 * The entries of a list's text, at least one, with paths as they are written. The label is what stands behind the
 * last space, tab or comma of a line. A path may be in double quotes (a quote inside doubled, as in CSV) or
 * single ones, and must be where it starts with `#`, ends in a space or comma, or has such quotes itself. Empty
 * lines and lines that start with `#` are skipped.
 *
 * @param name the list's name in messages
 * @throws MnVideoError 'data' naming list and line
 */
export function parseList(text: string, name: string, options: ListOptions = {}): ListEntry[] {
  const entries: ListEntry[] = []
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  for (const [index, raw] of lines.entries()) {
    const written = trim(raw)
    if (written === '' || written.startsWith('#')) continue
    entries.push(parseLine(written, name, index + 1))
  }
  if (entries.length === 0) {
    throw new MnVideoError('data', `${name}: has no samples. Give one "path label" a line.`)
  }
  if (options.classes !== undefined) requireBelow(entries, name, options.classes)
  return entries
}

/**
 * Entries as text that `parseList` reads back the same: a path is quoted where it must be.
 *
 * @throws MnVideoError 'data' for a path with a line break, which no line can hold
 */
export function formatList(entries: Iterable<Pick<ListEntry, 'path' | 'label'>>): string {
  let text = ''
  for (const { path, label } of entries) text += `${quoted(path)} ${label}\n`
  return text
}

function parseLine(written: string, name: string, line: number): ListEntry {
  const separator = Math.max(...[' ', '\t', ','].map((mark) => written.lastIndexOf(mark)))
  const label = written.slice(separator + 1)
  const path = unquoted(trim(trim(written.slice(0, Math.max(0, separator + 1))).replace(/,$/, '')))
  if (path === '' || !/^\d{1,9}$/.test(label)) {
    const heading = line === 1 && /^[a-z]/i.test(label) ? ' If it is a heading, remove it.' : ''
    throw new MnVideoError(
      'data',
      `${name}:${line}: must be a path and a label, a whole number from 0, not ${shown(written)}.${heading}`,
    )
  }
  return { path, label: Number(label), line }
}

function requireBelow(entries: readonly ListEntry[], name: string, classes: number): void {
  const first = entries.find(({ label }) => label >= classes)
  if (!first) return
  let [lowest, highest] = [first.label, 0]
  for (const { label } of entries) {
    lowest = Math.min(lowest, label)
    highest = Math.max(highest, label)
  }
  const wayOut =
    lowest > 0
      ? `The lowest label is ${lowest}: do the labels start at ${lowest}? They must start at 0. Otherwise give num_classes: ${highest + 1}.`
      : `Give num_classes: ${highest + 1}, or another list.`
  throw new MnVideoError(
    'data',
    `${name}:${first.line}: label ${first.label}, but num_classes is ${classes}, so labels go from 0 to ${classes - 1}.\n${wayOut}`,
  )
}

/** A list's text. */
export async function readListText(file: string): Promise<string> {
  try {
    return await readText(file, MAX_BYTES)
  } catch (error) {
    throw new MnVideoError(
      'data',
      `${file}: the list cannot be read: ${reasonOf(error)}. Give a text file in UTF-8 with one "path label" a line.`,
    )
  }
}

/** Only spaces and tabs: other white space may belong to a name. */
const trim = (text: string): string => text.replace(/^[ \t]+/, '').replace(/(?<![ \t])[ \t]+$/, '')

function unquoted(written: string): string {
  if (/^".*"$/s.test(written) && written.length > 1) return written.slice(1, -1).replaceAll('""', '"')
  if (/^'.*'$/s.test(written) && written.length > 1) return written.slice(1, -1)
  return written
}

function quoted(path: string): string {
  if (path.includes('\n') || path === '') {
    throw new MnVideoError(
      'data',
      `${JSON.stringify(path)}: cannot stand in a list: it has a line break or is empty. Rename the file.`,
    )
  }
  return /[\s,"']|^#/.test(path) ? `"${path.replaceAll('"', '""')}"` : path
}

const shown = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text)
