/** Data sets as a folder per class, `DIR/CLASS/FILE`: ImageNet's layout, and the common one for videos. */
import type { Dirent } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { MnVideoError, reasonOf } from '../errors.ts'
import type { ListEntry } from './lists.ts'

/** File names that count as samples, by their extension in lower case. */
export const EXTENSIONS = {
  video: [
    '.mp4',
    '.mkv',
    '.webm',
    '.avi',
    '.mov',
    '.m4v',
    '.mpg',
    '.mpeg',
    '.ts',
    '.flv',
    '.wmv',
    '.3gp',
    '.ogv',
  ],
  image: ['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif'],
} as const

/** The names of classes in label order, one a line, that a data set may have beside its lists or folders. */
export const CLASSES_FILE = 'classes.txt'

export interface ClassFolders {
  /** Names in label order. */
  readonly classes: readonly string[]
  /** By class, then by name. */
  readonly entries: readonly Omit<ListEntry, 'line'>[]
  /** Files passed over for their extension. */
  readonly ignored: number
}

/**
 * Lists a folder of class folders. Hidden files and folders are passed over; nothing below `CLASS/FILE` is
 * looked at.
 *
 * @param classes names in label order; by default those of the folders, sorted by code point
 * @throws MnVideoError 'data' for a folder that is missing, has no class folders, files of the media or a class
 * too many
 */
export async function readClassFolders(
  folder: string,
  media: keyof typeof EXTENSIONS,
  classes?: readonly string[],
): Promise<ClassFolders> {
  const found = await classFolders(folder)
  const names = classes ?? found
  const unknown = found.find((name) => !names.includes(name))
  if (unknown !== undefined) {
    throw new MnVideoError(
      'data',
      `${join(folder, unknown)}: is not one of the ${names.length} classes (${few(names)}). Rename or remove it.`,
    )
  }
  const accepted: readonly string[] = EXTENSIONS[media]
  const entries: { path: string; label: number }[] = []
  let ignored = 0
  let example = ''
  for (const [label, name] of names.entries()) {
    if (!found.includes(name)) continue
    const files = await list(join(folder, name), (entry) => !entry.isDirectory())
    for (const file of files.sort()) {
      if (accepted.includes(extname(file).toLowerCase()))
        entries.push({ path: join(folder, name, file), label })
      else {
        ignored++
        example ||= join(name, file)
      }
    }
  }
  if (entries.length === 0) {
    const others = ignored > 0 ? ` (${ignored} other files, such as ${example})` : ''
    throw new MnVideoError(
      'data',
      `${folder}: has no ${media}s in its class folders${others}. Expected CLASS/FILE with ${accepted.join(', ')}.`,
    )
  }
  return { classes: names, entries, ignored }
}

/** The class folders in a folder, sorted by code point (UTF-16 order differs from it for rare characters). */
export async function classFolders(folder: string): Promise<string[]> {
  const names = await list(folder, (entry) => entry.isDirectory())
  if (names.length === 0) {
    const files = (await list(folder, () => true)).length
    throw new MnVideoError(
      'data',
      files > 0
        ? `${folder}: has ${files} files but no class folders. Move each file into a folder named after its class.`
        : `${folder}: is empty. Expected a folder per class with its files.`,
    )
  }
  return names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

/** The class names in a folder's `classes.txt`; undefined where it has none. */
export async function readClassNames(folder: string, name = CLASSES_FILE): Promise<string[] | undefined> {
  const file = join(folder, name)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new MnVideoError('data', `${file}: cannot be read: ${reasonOf(error)}.`)
  }
  const names = text
    .replace(/^\uFEFF/, '')
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => line.trim())
  const twice = names.find((each, i) => names.indexOf(each) < i)
  if (twice !== undefined || names[0] === '') {
    throw new MnVideoError(
      'data',
      `${file}: ${names[0] === '' ? 'is empty' : `has ${JSON.stringify(twice)} twice`}. Give one class name a line, in label order.`,
    )
  }
  return names
}

/** The names in a folder that are kept; links count as what they lead to. */
async function list(
  folder: string,
  keep: (entry: Pick<Dirent, 'isDirectory'>) => boolean,
): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw new MnVideoError('data', `${folder}: cannot be read: ${reasonOf(error)}.`)
  })
  const names: string[] = []
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue
    const target = entry.isSymbolicLink()
      ? await stat(join(folder, entry.name)).catch(() => undefined)
      : entry
    if (target && keep(target)) names.push(entry.name)
  }
  return names
}

const few = (names: readonly string[]): string =>
  names.length > 4 ? `${names.slice(0, 3).join(', ')}, …` : names.join(', ')
