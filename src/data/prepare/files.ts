/** What all preparations share: finding the files that annotations name, and reading annotations. */
import { readdir, stat } from 'node:fs/promises'
import { basename, extname, join, relative, resolve } from 'node:path'
import type { z } from 'zod'
import { MnVideoError, reasonOf } from '../../errors.ts'
import { isFile, isThere } from '../../files/exists.ts'
import { readText as readTextFile, readWhole } from '../../files/read.ts'
import { fingerprintFile } from '../curation/fingerprint.ts'
import { mediaBelow } from '../curation/gather.ts'
import type { Media } from '../sets/media.ts'
import type { Finding } from './recipe.ts'

/** The media files of a data set by a key made of their names, and which of them annotations asked for. */
export class FileTable {
  readonly #root: string
  readonly #byKey = new Map<string, string[]>()
  readonly #taken = new Set<string>()
  readonly findings: Finding[] = []

  private constructor(root: string) {
    this.#root = root
  }

  /**
   * Lists a folder to its depths.
   *
   * @param keyOf of a path's file; undefined for one that can never be asked for. The name without extension by
   * default.
   */
  static async of(
    folder: string,
    media: Media,
    keyOf: (path: string) => string | undefined = stemOf,
  ): Promise<FileTable> {
    const table = new FileTable(resolve(folder))
    for (const path of await mediaBelow(resolve(folder), media)) {
      const key = keyOf(path)
      if (key === undefined) continue
      const others = table.#byKey.get(sameName(key))
      if (others) others.push(path)
      else table.#byKey.set(sameName(key), [path])
    }
    return table
  }

  get size(): number {
    return this.#byKey.size
  }

  /**
   * The file that an annotation means. One that is not there, or there twice, becomes a finding.
   *
   * @param hint where several have the key, one with this folder in its path is taken first
   */
  take(key: string, hint = ''): string | undefined {
    const paths = this.#byKey.get(sameName(key))
    if (!paths) {
      this.findings.push({ kind: 'missing', what: key, why: 'annotated, but there is no such file' })
      return undefined
    }
    const inFolder = paths.filter(
      (path) => hint !== '' && relative(this.#root, path).split('/').includes(hint),
    )
    const chosen = inFolder[0] ?? paths[0]!
    if (!this.#taken.has(chosen)) {
      for (const other of paths) {
        if (other === chosen) continue
        const isElsewhere = inFolder.length > 0 && !inFolder.includes(other)
        // The same clip in another split's folder may be asked for yet.
        if (!isElsewhere) {
          this.findings.push({
            kind: 'repeated',
            what: this.#shown(other),
            why: `${this.#shown(chosen)} is taken`,
          })
          this.#taken.add(other)
        }
      }
    }
    this.#taken.add(chosen)
    return chosen
  }

  has(key: string): boolean {
    return this.#byKey.has(sameName(key))
  }

  /** Files that no annotation has asked for become findings. */
  reportExtra(): void {
    for (const paths of this.#byKey.values()) {
      for (const path of paths) {
        if (this.#taken.has(path)) continue
        this.findings.push({ kind: 'extra', what: this.#shown(path), why: 'there, but not annotated' })
      }
    }
  }

  #shown(path: string): string {
    return relative(this.#root, path)
  }
}

/** Names are compared in one form of Unicode: macOS unpacks archives in another than Linux. */
const sameName = (name: string): string => name.normalize('NFC')

export const stemOf = (path: string): string => basename(path, extname(path))

/** Remembers what was annotated and tells what was so twice. */
export class Annotated {
  readonly #seen = new Map<string, string>()
  readonly findings: Finding[] = []

  /** @returns whether this is the first time; a second becomes a finding */
  isNew(key: string, meaning: string): boolean {
    const before = this.#seen.get(sameName(key))
    if (before === undefined) {
      this.#seen.set(sameName(key), meaning)
      return true
    }
    const why =
      before === meaning ? 'annotated twice' : `annotated twice: ${before} is taken, ${meaning} is left out`
    this.findings.push({ kind: 'repeated', what: key, why })
    return false
  }
}

/**
 * Finds an annotation file by the form of its name, in some folders and their direct subfolders.
 *
 * @throws MnVideoError 'data' saying what was looked for and where
 */
export async function findAnnotation(
  folders: readonly (string | undefined)[],
  form: RegExp,
  expected: string,
): Promise<string> {
  const found = await findAnnotations(folders, form)
  if (found[0] !== undefined) return found[0]
  const places = folders.filter((each) => each !== undefined).join(' or ')
  throw new MnVideoError(
    'data',
    `${places}: has no ${expected}. Download it from the owner's page (run the command without a folder to see it), or give --annotations DIR.`,
  )
}

/** All that match, sorted by name within each folder; lists that an earlier preparation left there are none. */
export async function findAnnotations(
  folders: readonly (string | undefined)[],
  form: RegExp,
): Promise<string[]> {
  const found: string[] = []
  for (const folder of new Set(folders)) {
    if (folder === undefined) continue
    const entries = await entriesOf(folder)
    const names = entries.map(({ name }) => name).sort()
    found.push(...names.filter((name) => form.test(name)).map((name) => join(folder, name)))
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (!entry.isDirectory() || entry.name.startsWith('.')) continue
      const inner = await entriesOf(join(folder, entry.name))
      const matching = inner.map(({ name }) => name).filter((name) => form.test(name))
      found.push(...matching.sort().map((name) => join(folder, entry.name, name)))
    }
  }
  const files: string[] = []
  for (const path of found) {
    if ((await isFile(path)) && !(await isThere(fingerprintFile(path)))) files.push(path)
  }
  return files
}

async function entriesOf(folder: string) {
  return readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw new MnVideoError('data', `${folder}: cannot be read: ${reasonOf(error)}.`)
  })
}

/** @throws MnVideoError 'data' for a folder that is not there */
export async function requireFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined)
  if (found?.isDirectory()) return
  throw new MnVideoError(
    'data',
    `${folder}: ${found ? 'is not a folder' : 'no such folder'}. Give the folder of the data set.`,
  )
}

/** The largest file of annotations or pictures of any data set here is half of this. */
const MAX_BYTES = 2 ** 28

/** @throws MnVideoError 'data' for a file that cannot be read */
export async function readBytes(file: string): Promise<Buffer> {
  return readWhole(file, MAX_BYTES).catch((error: unknown) => {
    throw new MnVideoError('data', `${file}: cannot be read: ${reasonOf(error)}.`)
  })
}

/** @throws MnVideoError 'data' for a file that is not UTF-8 text */
export async function readText(file: string): Promise<string> {
  try {
    return await readTextFile(file, MAX_BYTES)
  } catch (error) {
    throw new MnVideoError('data', `${file}: cannot be read: ${reasonOf(error)}.`)
  }
}

/** The lines of a text file that are not empty, with their numbers from 1. */
export async function readLines(file: string): Promise<{ readonly text: string; readonly line: number }[]> {
  const lines = (await readText(file)).split(/\r?\n/)
  return lines.map((text, i) => ({ text: text.trim(), line: i + 1 })).filter(({ text }) => text !== '')
}

/** @throws MnVideoError 'data' for what is not JSON, or naming file and place of what has another form */
export async function readJson<T>(file: string, schema: z.ZodType<T>): Promise<T> {
  const text = await readText(file)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new MnVideoError('data', `${file}: is not JSON: ${reasonOf(error)}.`)
  }
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw new MnVideoError(
    'data',
    `${file}: ${issue?.path.join('.') || 'its content'}: ${issue?.message ?? 'has another form than expected'}. Give the owner's file unchanged.`,
  )
}

/** A row of a table, by its headings. */
export interface Row {
  readonly line: number
  /** '' where the row has no such column. */
  get(heading: string): string
}

/**
 * Reads comma-separated values with a heading (RFC 4180: quotes, doubled quotes, line breaks in quotes).
 *
 * @throws MnVideoError 'data' for a file without the headings that are needed
 */
export async function readTable(file: string, needed: readonly string[]): Promise<Row[]> {
  const [head, ...rows] = parseCsv(await readText(file))
  const headings = (head?.cells ?? []).map((cell) => cell.trim().toLowerCase())
  const missing = needed.filter((name) => !headings.includes(name))
  if (missing.length > 0) {
    throw new MnVideoError(
      'data',
      `${file}: its first line has no ${missing.join(', ')} (it has: ${headings.join(', ').slice(0, 100)}). Give the owner's file unchanged.`,
    )
  }
  return rows
    .filter(({ cells }) => cells.some((cell) => cell !== ''))
    .map(({ cells, line }) => ({ line, get: (heading) => cells[headings.indexOf(heading)]?.trim() ?? '' }))
}

function parseCsv(text: string): { readonly cells: string[]; readonly line: number }[] {
  const rows: { cells: string[]; line: number }[] = []
  const cell = /(?:"((?:[^"]|"")*)"|([^,\r\n]*))(,|\r?\n|\r|$)/gy
  let [line, cells] = [1, [] as string[]]
  while (cell.lastIndex < text.length || cells.length > 0) {
    const match = cell.exec(text)
    // A quote that is never closed: the rest of its line is taken as it is.
    if (!match) break
    cells.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '')
    if (match[3] === ',') continue
    rows.push({ cells, line })
    line += 1 + (match[1]?.match(/\n/g)?.length ?? 0)
    cells = []
    if (match[3] === '') break
  }
  return rows
}

/**
 * Checks that annotations and files have anything to do with each other.
 *
 * @throws MnVideoError 'data' where not one annotated file is there
 */
export function requireSome(found: number, folder: string, missing: readonly Finding[]): void {
  if (found > 0) return
  const example = missing.find(({ kind }) => kind === 'missing')?.what
  throw new MnVideoError(
    'data',
    `${folder}: not one annotated file is there${example ? ` (looked for ${example}, …)` : ''}. Is it the folder that the videos were unpacked to?`,
  )
}
