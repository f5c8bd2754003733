/**
 * Turns a path that a user gave into an argument that FFmpeg can only understand as one local file. It looks
 * at the file's kind and size, never at its content.
 */
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { MnVideoError, messageOf, shown } from '../errors.ts'
import { show } from '../options.ts'

/** A regular, non-empty file. */
export interface MediaFile {
  /** The path as given, fit for one line of a message. */
  readonly shown: string
  /** The absolute path. */
  readonly path: string
}

/**
 * Checks that a path names a regular, non-empty file. The name is taken as it is: `http://…`, `concat:…` or
 * `file:…` are names like any other.
 *
 * @throws MnVideoError 'media', one line naming the path
 */
export async function mediaFile(path: string): Promise<MediaFile> {
  if (typeof path !== 'string')
    throw new MnVideoError('usage', `the path of a video or image must be a string, not ${show(path)}.`)
  const shown = shownPath(path)
  if (path === '') throw new MnVideoError('media', 'the path of a video or image is empty. Give a file.')
  if (path === '-') {
    throw new MnVideoError('media', '-: standard input cannot be read, FFmpeg must seek. Give a file.')
  }
  const refuse = (reason: string) => new MnVideoError('media', `${shown}: ${reason}`)
  const found = await stat(path).catch((error: unknown) => {
    throw refuse(whyNoStat(error, path))
  })
  if (found.isDirectory()) throw refuse('is a folder. Give a file.')
  if (found.isFIFO()) throw refuse('is a pipe, which cannot be sought in. Save it to a file first.')
  if (found.isSocket()) throw refuse('is a socket. Give a file.')
  if (!found.isFile()) throw refuse('is a device. Give a file.')
  if (found.size === 0) throw refuse('is empty (0 bytes).')
  return { shown, path: resolve(path) }
}

/** FFmpeg's name for a file: no protocol name, option dash or `:` in the path has any meaning after `file:`. */
export function ffmpegName(file: MediaFile): string {
  return `file:${file.path}`
}

/**
 * Input options under which a file can name no other: only local files, and only containers that hold their
 * own data. Playlists and scripts (HLS, DASH, concat, SDP, image sequences) are not among them. Nor can a header that
 * counts to billions make a table of them: no piece of memory may be larger than the largest picture (MAX_PIXELS
 * of 8 bytes).
 */
export const INPUT_FENCE: readonly string[] = [
  ...['-max_alloc', `${2 ** 29 + 2 ** 20}`],
  ...['-protocol_whitelist', 'file'],
  ...[
    '-format_whitelist',
    [
      ...['mov', 'matroska', 'avi', 'mpegts', 'mpeg', 'flv', 'asf', 'ogg', 'mxf', 'nut', 'rm', 'wtv', 'ivf'],
      ...['mpegvideo', 'm4v', 'h263', 'h264', 'hevc', 'vvc', 'vc1', 'av1', 'obu', 'dv', 'mjpeg', 'swf'],
      ...['yuv4mpegpipe', 'gif', 'apng', 'mp3', 'wav', 'flac', 'aac'],
    ].join(','),
  ],
]

/** A path as messages name it, on one line. */
export const shownPath = shown

/** A text, cut where it is longer than a message should quote. */
export function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text
}

function whyNoStat(error: unknown, path: string): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return /^[a-z][a-z0-9+.-]+:\/\//i.test(path)
      ? 'no such file. Addresses are not opened: download the file first.'
      : 'no such file.'
  }
  if (code === 'EACCES') return 'may not be read (permission denied).'
  if (code === 'ERR_INVALID_ARG_VALUE') return 'a path cannot hold a null byte.'
  return messageOf(error)
}
