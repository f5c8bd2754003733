/** Whether a path that a user gave names a file of media. Looks at the file's kind and size, never at its content. */
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

/** A path as messages name it, on one line. */
export const shownPath = shown

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
