/**
 * What a user means by LIST or DIR: the files of a list (with one label each or several), of a folder of class
 * folders, or simply all videos and images below a folder.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { MnVideoError, reasonOf } from '../errors.ts'
import type { LabelledFile } from './fingerprint.ts'
import { CLASSES_FILE, EXTENSIONS, readClassFolders, readClassNames } from './folders.ts'
import { formatList, readList } from './lists.ts'
import { formatMultiLabelList, parseMultiLabelList } from './multi-label-lists.ts'

export interface Gathered {
  /** With absolute paths. */
  readonly files: readonly LabelledFile[]
  /** Names in label order, where known. */
  readonly classes: readonly string[] | undefined
  /** The folder that paths are relative to. */
  readonly root: string
  /** Whether the files have labels at all. */
  readonly isLabelled: boolean
}

/** @throws MnVideoError 'data' naming the list or folder */
export async function gather(source: string, options: { readonly root?: string } = {}): Promise<Gathered> {
  const found = await stat(source).catch((error: unknown) => {
    throw new MnVideoError('data', `${source}: ${reasonOf(error)}. Give a list or a folder.`)
  })
  return found.isDirectory() ? fromFolder(source) : fromList(source, options.root ?? dirname(source))
}

/** Files as a list that gather reads back, relative to a root where one is given. */
export function asList(files: readonly LabelledFile[], written: (path: string) => string): string {
  const isMulti = files.some(({ label }) => typeof label !== 'number')
  if (!isMulti) {
    return formatList(files.map(({ path, label }) => ({ path: written(path), label: label as number })))
  }
  return formatMultiLabelList(
    files.map(({ path, label }) => ({ path: written(path), labels: [label].flat() })),
  )
}

async function fromList(list: string, root: string): Promise<Gathered> {
  const text = await readFile(list, 'utf8').catch(() => '')
  const isMulti = /[ \t](?:-|\d+(?:;\d+)+)[ \t]*\r?$/m.test(text)
  const files = isMulti
    ? parseMultiLabelList(text, list).map(({ path, labels }) => ({
        path: resolve(root, path),
        label: labels,
      }))
    : await readList(list, { root })
  return {
    files,
    classes: await readClassNames(dirname(list)),
    root: resolve(root),
    isLabelled: true,
  }
}

async function fromFolder(folder: string): Promise<Gathered> {
  const root = resolve(folder)
  const all = await mediaBelow(root)
  if (all.length === 0) {
    throw new MnVideoError('data', `${folder}: has no videos or images (${EXTENSIONS.video.join(', ')}, …).`)
  }
  const isByClass = all.every((path) => dirname(dirname(path)) === root)
  if (isByClass) {
    const media = isVideoFile(all[0]!) ? 'video' : 'image'
    const classes = await readClassNames(root)
    const { entries, classes: names } = await readClassFolders(root, media, classes)
    return { files: entries, classes: names, root, isLabelled: true }
  }
  return { files: all.map((path) => ({ path, label: 0 })), classes: undefined, root, isLabelled: false }
}

/**
 * All videos and images below a folder, however deep, sorted by path. Hidden files and folders are passed over;
 * links to files count, links to folders count once.
 */
export async function mediaBelow(folder: string, extensions: readonly string[] = ALL): Promise<string[]> {
  const found: string[] = []
  const seen = new Set<string>()
  const visit = async (at: string): Promise<void> => {
    const { dev, ino } = await stat(at)
    if (seen.has(`${dev} ${ino}`)) return
    seen.add(`${dev} ${ino}`)
    const entries = await readdir(at, { withFileTypes: true }).catch((error: unknown) => {
      throw new MnVideoError('data', `${at}: cannot be read: ${reasonOf(error)}.`)
    })
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue
      const path = join(at, entry.name)
      const target = entry.isSymbolicLink() ? await stat(path).catch(() => undefined) : entry
      if (target?.isDirectory()) await visit(path)
      else if (target?.isFile() && extensions.includes(extname(entry.name).toLowerCase())) found.push(path)
    }
  }
  await visit(folder)
  return found.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

const ALL: readonly string[] = [...EXTENSIONS.video, ...EXTENSIONS.image]

export const isVideoFile = (path: string): boolean =>
  (EXTENSIONS.video as readonly string[]).includes(extname(path).toLowerCase())

/** The class names beside a list, as a file; one a line. */
export const classesFileBeside = (list: string): string => join(dirname(list), CLASSES_FILE)

/** `lists/train.csv` → `train`. */
export const listName = (list: string): string => basename(list).replace(/\.[^.]+$/, '')
