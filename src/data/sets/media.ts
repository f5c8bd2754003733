/**
 * Which files are videos and which are pictures: by the ending of their names where that tells, else by asking
 * FFmpeg and sharp. What a data set leaves out is counted by ending, so that it can be said.
 */
import { extname } from 'node:path'
import { MnVideoError } from '../../errors.ts'
import { shownPath } from '../../files/media-file.ts'
import { probeImage } from '../../image/decode.ts'
import { inParallel } from '../../in-parallel.ts'
import { probeVideo } from '../../video/probe.ts'

export type Media = 'video' | 'image'

/** Endings in lower case that tell what a file is. Any other file is asked. */
export const EXTENSIONS: Readonly<Record<Media, readonly string[]>> = {
  video: [
    ...[
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
    ...['.mts', '.m2ts', '.m2v', '.vob', '.asf', '.f4v', '.3g2', '.mxf', '.divx', '.qt', '.ogm'],
  ],
  image: ['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif', '.jpe', '.jfif'],
}

/** Endings that are neither, and are not asked. */
const NEITHER: readonly string[] = [
  '.svg',
  '.csv',
  '.tsv',
  '.txt',
  '.json',
  '.md',
  '.yml',
  '.yaml',
  '.html',
  '.xml',
]

/** What a file is by its name; undefined where the name does not tell. */
export function mediaByName(path: string): Media | undefined {
  const ending = endingOf(path)
  return EXTENSIONS.video.includes(ending) ? 'video' : EXTENSIONS.image.includes(ending) ? 'image' : undefined
}

/** What a file is; of one whose name does not tell, what sharp or FFmpeg find in it. */
export const mediaOf = async (path: string): Promise<Media | undefined> =>
  mediaByName(path) ?? (NEITHER.includes(endingOf(path)) ? undefined : await asked(path))

/** Files asked of an ending before all files of that ending are taken to be alike. */
const ASKED = 4
const AT_ONCE = 4

/**
 * What files are, in their order. Of the files with an ending that does not tell, a few from first to last are asked,
 * and all where these differ.
 */
export async function mediaOfAll(paths: readonly string[]): Promise<(Media | undefined)[]> {
  const result = paths.map(mediaByName)
  const unknown = new Map<string, number[]>()
  for (const [index, path] of paths.entries()) {
    if (result[index] !== undefined || NEITHER.includes(endingOf(path))) continue
    const same = unknown.get(endingOf(path))
    if (same) same.push(index)
    else unknown.set(endingOf(path), [index])
  }
  const ask = (indices: readonly number[]) =>
    inParallel(indices, AT_ONCE, async (index) => {
      result[index] = await asked(paths[index]!)
    })
  for (const indices of unknown.values()) {
    const count = Math.min(ASKED, indices.length)
    const few = Array.from(
      { length: count },
      (_, i) => indices[Math.floor((i * (indices.length - 1)) / Math.max(1, count - 1))]!,
    )
    await ask(few)
    const first = result[few[0]!]
    if (few.every((index) => result[index] === first)) for (const index of indices) result[index] = first
    else await ask(indices.filter((index) => !few.includes(index)))
  }
  return result
}

async function asked(path: string): Promise<Media | undefined> {
  const answers = async (probe: Promise<unknown>) => {
    try {
      await probe
      return true
    } catch (error) {
      if (error instanceof MnVideoError && (error.code === 'media' || error.code === 'missing')) return false
      throw error
    }
  }
  if (await answers(probeImage(path))) return 'image'
  return (await answers(probeVideo(path))) ? 'video' : undefined
}

const endingOf = (path: string): string => extname(path).toLowerCase()

/** Files that a data set leaves out, of one ending and for one reason. */
export interface PassedOver {
  /** In lower case, with its dot; '' for none. */
  readonly ending: string
  readonly why: string
  readonly files: number
  /** One of them. */
  readonly example: string
}

/** Counts what is left out, the most frequent first. */
export function countPassedOver(
  files: Iterable<{ readonly path: string; readonly why: string }>,
): PassedOver[] {
  const counts = new Map<string, PassedOver>()
  for (const { path, why } of files) {
    const ending = endingOf(path)
    const key = `${ending} ${why}`
    const before = counts.get(key)
    counts.set(
      key,
      before ? { ...before, files: before.files + 1 } : { ending, why, files: 1, example: path },
    )
  }
  return [...counts.values()].sort((a, b) => b.files - a.files)
}

const ENDINGS_SHOWN = 6

/** `passed over: 6 .jpg (pictures, such as a/b.jpg), 1 .txt (…)`; '' for nothing. */
export function describePassedOver(passedOver: readonly PassedOver[]): string {
  if (passedOver.length === 0) return ''
  const shown = passedOver
    .slice(0, ENDINGS_SHOWN)
    .map(
      ({ ending, why, files, example }) =>
        `${files} ${ending === '' ? 'without ending' : shownPath(ending)} (${why}, such as ${shownPath(example)})`,
    )
  const rest = passedOver.slice(ENDINGS_SHOWN).reduce((sum, { files }) => sum + files, 0)
  return `passed over: ${shown.join(', ')}${rest > 0 ? `, and ${rest} more` : ''}`
}

/** What a file that is not of the media wanted is called. */
export const whyNot = (media: Media | undefined): string =>
  media === undefined ? 'no video or picture that can be read' : media === 'video' ? 'videos' : 'pictures'

/** The most that may be of another kind than the rest, of all, before nobody can tell which is meant. */
const LARGEST_REST = 1 / 3

/** Whether so few of all files are of another kind that it is clear what is meant. */
export const isClear = (others: number, all: number): boolean => others <= LARGEST_REST * all
