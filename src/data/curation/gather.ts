/**
 * What a user means by LIST or DIR: the files of a list (with one label each or several), of a folder of class
 * folders, or simply all videos and images below a folder.
 */
import { stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { MnVideoError, reasonOf } from '../../errors.ts'
import { shownPath } from '../../files/media-file.ts'
import { writeAtomically } from '../../files/write.ts'
import {
  CLASSES_FILE,
  classFoldersOf,
  clearMedia,
  filesBelow,
  isByClass,
  layoutOf,
  readClassNames,
  surveyFolder,
} from '../sets/folders.ts'
import { formatList, readListOf, readListText } from '../sets/lists.ts'
import {
  countPassedOver,
  describePassedOver,
  type Media,
  mediaOfAll,
  type PassedOver,
  whyNot,
} from '../sets/media.ts'
import { formatMultiLabelList, isMultiLabelText, readMultiLabelText } from '../sets/multi-label-lists.ts'
import type { LabelledFile } from './fingerprint.ts'

export interface Gathered {
  /** With absolute paths. */
  readonly files: readonly LabelledFile[]
  /** Names in label order, where known. */
  readonly classes: readonly string[] | undefined
  /** The folder that paths are relative to. */
  readonly root: string
  /** Whether the files have labels at all. */
  readonly isLabelled: boolean
  /** Of files without labels: how they lie. */
  readonly layout?: string
  /** What a folder has besides. */
  readonly passedOver: readonly PassedOver[]
}

export interface GatherOptions {
  /** Where a list's relative paths start. */
  readonly root?: string
  /** What samples of a folder are; default: what most files are. */
  readonly media?: Media
}

/** @throws MnVideoError 'data' naming the list or folder */
export async function gather(source: string, options: GatherOptions = {}): Promise<Gathered> {
  const found = await stat(source).catch((error: unknown) => {
    throw new MnVideoError('data', `${shownPath(source)}: ${reasonOf(error)}. Give a list or a folder.`)
  })
  return found.isDirectory()
    ? fromFolder(source, options.media)
    : fromList(source, options.root ?? dirname(source))
}

/**
 * Files as a list that gather reads back, relative to a root where one is given. A name that a spreadsheet would take for
 * a formula is written from its folder on, `./=name`.
 */
export function asList(files: readonly LabelledFile[], writtenPath: (path: string) => string): string {
  const written = (path: string) => writtenPath(path).replace(/^[=+\-@]/, './$&')
  const isMulti = files.some(({ label }) => typeof label !== 'number')
  if (!isMulti) {
    return formatList(files.map(({ path, label }) => ({ path: written(path), label: label as number })))
  }
  return formatMultiLabelList(
    files.map(({ path, label }) => ({ path: written(path), labels: [label].flat() })),
  )
}

async function fromList(list: string, root: string): Promise<Gathered> {
  const text = await readListText(list)
  const files = isMultiLabelText(text)
    ? readMultiLabelText(text, list, { root })
    : readListOf(text, list, { root })
  return {
    files,
    classes: await readClassNames(dirname(list)),
    root: resolve(root),
    isLabelled: true,
    passedOver: [],
  }
}

/** The labels that a source must have to be divided or counted. */
export function requireLabels(source: string, { isLabelled, layout }: Gathered): void {
  if (isLabelled) return
  throw new MnVideoError(
    'data',
    `${shownPath(source)}: its files have no labels: ${layout}. Move them to CLASS/FILE, or give a list.`,
  )
}

async function fromFolder(folder: string, media: Media | undefined): Promise<Gathered> {
  const root = resolve(folder)
  const survey = await surveyFolder(root)
  const all = [...survey.inClass, ...survey.elsewhere]
  const usable = all.filter((file) => file.media !== undefined)
  if (usable.length === 0) {
    const others = describePassedOver(
      countPassedOver(all.map(({ path }) => ({ path, why: whyNot(undefined) }))),
    )
    throw new MnVideoError(
      'data',
      `${shownPath(folder)}: has no videos or images${others && ` (${others})`}.`,
    )
  }
  if (isByClass(survey)) {
    const classes = await readClassNames(root)
    const { entries, classes: names, passedOver } = classFoldersOf(survey, { media, classes })
    return { files: entries, classes: names, root, isLabelled: true, passedOver }
  }
  // Files without labels are looked at one by one: what they are a set of is for whoever asks.
  const files = media === undefined ? usable : usable.filter((file) => file.media === media)
  const others = all.filter((file) => !files.includes(file))
  return {
    files: files.map(({ path }) => ({ path, label: 0 })).sort((a, b) => byCodePoints(a.path, b.path)),
    classes: undefined,
    root,
    isLabelled: false,
    layout: layoutOf(survey),
    passedOver: countPassedOver(others.map((file) => ({ path: file.path, why: whyNot(file.media) }))),
  }
}

/** All videos or pictures below a folder, however deep, sorted by path. */
export async function mediaBelow(folder: string, wanted: Media): Promise<string[]> {
  const all = await filesBelow(folder)
  const media = await mediaOfAll(all)
  return all.filter((_, i) => media[i] === wanted)
}

/**
 * What the samples of a list or folder are, decided by all of them.
 *
 * @throws MnVideoError 'data' for a mixture
 */
export async function mediaOfFiles(
  source: string,
  files: readonly LabelledFile[],
  asked: Media | undefined,
): Promise<{
  readonly media: Media
  readonly isOf: ReadonlySet<LabelledFile>
  readonly passedOver: PassedOver[]
}> {
  const kinds = await mediaOfAll(files.map(({ path }) => path))
  const count = (of: Media) => kinds.filter((kind) => kind === of).length
  const media = asked ?? clearMedia(source, count('video'), count('image'))
  const others = files.flatMap(({ path }, i) =>
    kinds[i] === undefined || kinds[i] === media ? [] : [{ path, why: whyNot(kinds[i]) }],
  )
  // What is neither is kept: that it cannot be read is told with its reason.
  const isOf = new Set(files.filter((_, i) => kinds[i] === undefined || kinds[i] === media))
  return { media, isOf, passedOver: countPassedOver(others) }
}

const byCodePoints = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

/**
 * Writes class names beside a list, so that they go where it goes.
 *
 * @throws MnVideoError 'data' where other names are there, which other lists may need
 */
export async function keepClassesBeside(list: string, classes: readonly string[]): Promise<void> {
  const file = classesFileBeside(list)
  const there = await readClassNames(dirname(file))
  if (there === undefined) await writeAtomically(file, [Buffer.from(`${classes.join('\n')}\n`)])
  else if (there.join('\n') !== classes.join('\n')) {
    throw new MnVideoError(
      'data',
      `${shownPath(file)}: has other classes than the list that would be written beside it. Give another folder.`,
    )
  }
}

/** The class names beside a list, as a file; one a line. */
export const classesFileBeside = (list: string): string => join(dirname(list), CLASSES_FILE)
