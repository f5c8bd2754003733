/** Data sets as a folder per class, `DIR/CLASS/FILE`: ImageNet's layout, and the common one for videos. */
import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { MnVideoError, reasonOf } from '../../errors.ts'
import { shownPath } from '../../files/media-file.ts'
import { readText } from '../../files/read.ts'
import type { ListEntry } from './lists.ts'
import {
  countPassedOver,
  describePassedOver,
  EXTENSIONS,
  isClear,
  type Media,
  mediaOfAll,
  type PassedOver,
  whyNot,
} from './media.ts'

/** The names of classes in label order, one a line, that a data set may have beside its lists or folders. */
export const CLASSES_FILE = 'classes.txt'

export interface ClassFolders {
  readonly media: Media
  /** Names in label order. */
  readonly classes: readonly string[]
  /** By class, then by name. */
  readonly entries: readonly Omit<ListEntry, 'line'>[]
  readonly passedOver: readonly PassedOver[]
}

export interface ClassFoldersOptions {
  /** What samples are; default: what most files are. */
  readonly media?: Media | undefined
  /** Names in label order; by default those of the folders, sorted by code point. */
  readonly classes?: readonly string[] | undefined
  /** Whether a class that has files, but none of the media, is refused; default: where the media is not given. */
  readonly everyClass?: boolean
}

/**
 * Lists a folder of class folders. Hidden files and folders are passed over without a word, other files than
 * `CLASS/FILE` of the media are counted.
 *
 * @throws MnVideoError 'data' for a folder that is missing, has no class folders, files of the media or a class
 * too many, and for one that is a mixture: of media, or of layouts
 */
export async function readClassFolders(
  folder: string,
  options: ClassFoldersOptions = {},
): Promise<ClassFolders> {
  const survey = await surveyFolder(folder)
  if (survey.folders.length === 0) throw noClassFolders(folder, survey)
  return classFoldersOf(survey, options)
}

/** What lies in a folder. */
export interface Survey {
  readonly folder: string
  /** The names of the folders in it, sorted by code point. */
  readonly folders: readonly string[]
  /** Files that lie as `CLASS/FILE`. */
  readonly inClass: readonly FoundFile[]
  /** Files that lie deeper, or in the folder itself. */
  readonly elsewhere: readonly FoundFile[]
}

export interface FoundFile {
  readonly path: string
  /** The name of the topmost folder that it is in; '' for none. */
  readonly within: string
  readonly media: Media | undefined
}

/** All files below a folder but hidden ones and `classes.txt`, and what each is. */
export async function surveyFolder(folder: string): Promise<Survey> {
  const folders = (await list(folder, (entry) => entry.isDirectory())).sort(byCodePoints)
  const found: { path: string; within: string; isDirect: boolean }[] = []
  for (const name of (await list(folder, (entry) => entry.isFile())).sort()) {
    if (name !== CLASSES_FILE) found.push({ path: join(folder, name), within: '', isDirect: false })
  }
  for (const within of folders) {
    const place = join(folder, within)
    for (const name of (await list(place, (entry) => !entry.isDirectory())).sort()) {
      found.push({ path: join(place, name), within, isDirect: true })
    }
    for (const deeper of (await list(place, (entry) => entry.isDirectory())).sort()) {
      for (const path of await filesBelow(join(place, deeper))) found.push({ path, within, isDirect: false })
    }
  }
  const media = await mediaOfAll(found.map(({ path }) => path))
  const files = found.map((file, i) => ({ ...file, media: media[i] }))
  return {
    folder,
    folders,
    inClass: files.filter(({ isDirect }) => isDirect),
    elsewhere: files.filter(({ isDirect }) => !isDirect),
  }
}

/** Whether a folder's files lie in class folders, but for a few. */
export function isByClass({ inClass, elsewhere }: Survey): boolean {
  const [inside, outside] = [mediaIn(inClass).length, mediaIn(elsewhere).length]
  return inside > 0 && isClear(outside, inside + outside)
}

/** `of its 9 videos and pictures 4 lie as CLASS/FILE, 5 deeper or beside (such as a/b/c.mp4)`. */
export function layoutOf({ inClass, elsewhere }: Survey): string {
  const [inside, outside] = [mediaIn(inClass), mediaIn(elsewhere)]
  const example = outside[0] === undefined ? '' : ` (such as ${shownPath(outside[0].path)})`
  return `of its ${inside.length + outside.length} videos and pictures ${inside.length} lie as CLASS/FILE, ${outside.length} deeper or beside${example}`
}

const mediaIn = (files: readonly FoundFile[]) => files.filter(({ media }) => media !== undefined)

/** The samples of a survey. */
export function classFoldersOf(survey: Survey, options: ClassFoldersOptions = {}): ClassFolders {
  const { folder, folders, inClass, elsewhere } = survey
  const names = options.classes ?? folders
  refuseOtherClasses(folder, folders, names)
  const media = options.media ?? mostOf(folder, inClass)
  const samples = inClass.filter((file) => file.media === media)
  const passedOver = countPassedOver([
    ...inClass
      .filter((file) => file.media !== media)
      .map((file) => ({ path: file.path, why: whyNot(file.media) })),
    ...elsewhere.map(({ path, within, media }) => ({
      path,
      why:
        media === undefined ? whyNot(media) : within === '' ? 'in no class folder' : 'deeper than CLASS/FILE',
    })),
  ])
  if (samples.length === 0) {
    const others = describePassedOver(passedOver)
    throw new MnVideoError(
      'data',
      `${shownPath(folder)}: has no ${media}s in its class folders${others && ` (${others})`}. Expected CLASS/FILE with ${EXTENSIONS[media].slice(0, 8).join(', ')}, ….`,
    )
  }
  if (!isByClass(survey)) {
    throw new MnVideoError(
      'data',
      `${shownPath(folder)}: ${layoutOf(survey)}. Which classes are meant?\nMove every file to CLASS/FILE, or give a list ("path label" a line).`,
    )
  }
  if (options.everyClass ?? options.media === undefined) refuseClassOfOthers(survey, media)
  const place = new Map(names.map((name, label) => [name, label]))
  const entries = samples
    .map(({ path, within }) => ({ path, label: place.get(within)! }))
    .sort((a, b) => a.label - b.label)
  return { media, classes: names, entries, passedOver }
}

/** What most files are, where the others are few. */
function mostOf(folder: string, files: readonly FoundFile[]): Media {
  const videos = files.filter(({ media }) => media === 'video').length
  const images = files.filter(({ media }) => media === 'image').length
  return clearMedia(folder, videos, images)
}

/**
 * What a source is of, so many of whose files are videos and pictures.
 *
 * @throws MnVideoError 'data' for a mixture
 */
export function clearMedia(source: string, videos: number, images: number): Media {
  if (isClear(images, videos + images)) return 'video'
  if (isClear(videos, videos + images)) return 'image'
  throw new MnVideoError(
    'data',
    `${shownPath(source)}: is a mixture of ${videos} videos and ${images} pictures, and a data set is of either.\nMove one kind elsewhere, or say which counts: --media video or --media image (in training the model says it).`,
  )
}

/** A class that has files, but none of the media, would be there without a sample. */
function refuseClassOfOthers({ folder, folders, inClass }: Survey, media: Media): void {
  for (const name of folders) {
    const others = inClass.filter((file) => file.within === name && file.media !== undefined)
    if (others.length === 0 || others.some((file) => file.media === media)) continue
    throw new MnVideoError(
      'data',
      `${shownPath(join(folder, name))}: has ${others.length} ${media === 'video' ? 'pictures' : 'videos'} and not one ${media}, though the set is of ${media}s. Remove the folder, or move it elsewhere.`,
    )
  }
}

function noClassFolders(folder: string, { elsewhere }: Pick<Survey, 'elsewhere'>): MnVideoError {
  return new MnVideoError(
    'data',
    elsewhere.length > 0
      ? `${shownPath(folder)}: has ${elsewhere.length} files but no class folders. Move each file into a folder named after its class.`
      : `${shownPath(folder)}: is empty. Expected a folder per class with its files.`,
  )
}

/** Every folder must be a class, written as the class is. */
function refuseOtherClasses(folder: string, found: readonly string[], names: readonly string[]): void {
  refuseBadNames(folder, found)
  const known = new Set(names)
  const unknown = found.find((name) => !known.has(name))
  if (unknown === undefined) return
  const lookalike = names.find((name) => looksLike(name, unknown))
  if (lookalike !== undefined) {
    throw new MnVideoError(
      'data',
      `${shownPath(join(folder, unknown))}: is written ${codePoints(unknown)}, the class ${codePoints(lookalike)}: the same letters in two forms of Unicode.\nGive both one name; on Linux: mv ${spelled(folder, unknown)} ${spelled(folder, lookalike)}`,
    )
  }
  throw new MnVideoError(
    'data',
    `${shownPath(join(folder, unknown))}: is not one of the ${names.length} classes (${few(names)}). Rename or remove it.`,
  )
}

/** Names that no list can hold, and two of one folder or list that nobody can tell apart. */
function refuseBadNames(where: string, names: readonly string[]): void {
  const broken = names.find((name) => /[\r\n]/.test(name))
  if (broken !== undefined) {
    throw new MnVideoError(
      'data',
      `${shownPath(where)}: the class ${shownPath(broken)} has a line break in its name. Rename it.`,
    )
  }
  const byForm = new Map<string, string>()
  for (const name of names) {
    const form = name.normalize('NFC')
    const other = byForm.get(form)
    if (other === undefined) byForm.set(form, name)
    else if (other !== name) {
      throw new MnVideoError(
        'data',
        `${shownPath(where)}: has a class ${codePoints(other)} and a class ${codePoints(name)}: the same letters in two forms of Unicode.\nMake them one class, or give them names that differ.`,
      )
    }
  }
}

const looksLike = (a: string, b: string): boolean => a !== b && a.normalize('NFC') === b.normalize('NFC')

/** `"caf\u00e9"`: all but ASCII as escapes, which tell what looks alike apart. */
const codePoints = (name: string): string =>
  JSON.stringify(name).replace(/[^\x20-\x7e]/gu, (letter) => `\\u{${letter.codePointAt(0)!.toString(16)}}`)

/** A path as bash reads it, in any locale, with what looks alike told apart. */
const spelled = (folder: string, name: string): string => {
  const bytes = [...Buffer.from(join(folder, name))].map((byte) => {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x27 && byte !== 0x5c
    return isPlain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`
  })
  return `$'${bytes.join('')}'`
}

/** The class folders in a folder, sorted by code point (UTF-16 order differs from it for rare characters). */
export async function classFolders(folder: string): Promise<string[]> {
  const names = await list(folder, (entry) => entry.isDirectory())
  if (names.length === 0) {
    const files = await list(folder, () => true)
    throw noClassFolders(folder, { elsewhere: files.map((path) => ({ path, within: '', media: undefined })) })
  }
  refuseBadNames(folder, names)
  return names.sort(byCodePoints)
}

/** The lines of a text without what surrounds them; empty ones at the end do not count. */
export const linesOf = (text: string): string[] =>
  text
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => line.trim())

/** ImageNet-21k's names are a thirtieth of this. */
const MAX_CLASSES_BYTES = 2 ** 24

/** The class names in a folder's `classes.txt`; undefined where it has none. */
export async function readClassNames(folder: string, name = CLASSES_FILE): Promise<string[] | undefined> {
  const file = join(folder, name)
  let text: string
  try {
    text = await readText(file, MAX_CLASSES_BYTES)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new MnVideoError('data', `${shownPath(file)}: cannot be read: ${reasonOf(error)}.`)
  }
  const names = linesOf(text)
  const seen = new Set<string>()
  const twice = names.find((each) => seen.has(each) || !seen.add(each))
  const blank = names.indexOf('')
  if (twice !== undefined || blank >= 0) {
    const wrong = blank < 0 ? `has ${JSON.stringify(twice)} twice` : `line ${blank + 1} is empty`
    throw new MnVideoError(
      'data',
      `${shownPath(file)}: ${names.length === 1 && blank === 0 ? 'is empty' : wrong}. Give one class name a line, in label order.`,
    )
  }
  refuseBadNames(file, names)
  return names
}

/**
 * All files below a folder, however deep, sorted by path. Hidden files and folders are passed over; links to files
 * count, links to folders count once.
 */
export async function filesBelow(folder: string): Promise<string[]> {
  const found: string[] = []
  const seen = new Set<string>()
  const visit = async (at: string): Promise<void> => {
    const { dev, ino } = await stat(at)
    if (seen.has(`${dev} ${ino}`)) return
    seen.add(`${dev} ${ino}`)
    const entries = await readdir(at, { withFileTypes: true }).catch((error: unknown) => {
      throw new MnVideoError('data', `${shownPath(at)}: cannot be read: ${reasonOf(error)}.`)
    })
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue
      const path = join(at, entry.name)
      const target = entry.isSymbolicLink() ? await stat(path).catch(() => undefined) : entry
      if (target?.isDirectory()) await visit(path)
      else if (target?.isFile()) found.push(path)
    }
  }
  await visit(folder)
  return found.sort(byCodePoints)
}

/** The names in a folder that are kept; links count as what they lead to. */
async function list(
  folder: string,
  keep: (entry: Pick<Dirent, 'isDirectory' | 'isFile'>) => boolean,
): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw new MnVideoError('data', `${shownPath(folder)}: cannot be read: ${reasonOf(error)}.`)
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

const byCodePoints = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

const few = (names: readonly string[]): string =>
  (names.length > 4 ? `${names.slice(0, 3).join(', ')}, …` : names.join(', ')).slice(0, 120)
