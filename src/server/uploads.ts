/**
 * Files that requests bring or name. What they bring is written, piece by piece, to a folder that only this user can read
 * and that goes with the server; the next server takes away what one that was killed has left.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, open, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve, sep } from 'node:path'
import type { Readable } from 'node:stream'
import { MnVideoError, reasonOf, shown } from '../errors.ts'
import { temporaryBeside } from '../files/temporary.ts'
import { HttpError, Overloaded } from './errors.ts'

export interface ReceivedFile {
  /** Where it lies. */
  readonly path: string
  /** What its sender calls it, for messages. */
  readonly name: string
  /** Takes it away, if it was brought. */
  remove(): Promise<void>
}

/** Files of the largest size that may lie here at once. */
const MOST_HELD = 8
const AGAIN_SECONDS = 5

export class Uploads {
  readonly folder: string
  readonly #mostBytes: number
  /** Bytes that lie here. */
  #held = 0

  private constructor(folder: string, mostBytes: number) {
    this.folder = folder
    this.#mostBytes = mostBytes
  }

  /** Makes the folder, and takes away those of servers that have died. */
  static async open(mostBytes: number): Promise<Uploads> {
    const folder = await temporaryBeside(join(tmpdir(), 'mn-video-serve'))
    await mkdir(folder, { mode: 0o700 })
    return new Uploads(folder, mostBytes)
  }

  /** @throws HttpError 413 where a body says that it is larger than is taken */
  checkLength(contentLength: string | undefined): void {
    if (Number(contentLength) > this.#mostBytes) throw this.#tooLarge()
  }

  /**
   * Writes what a request brings.
   *
   * @throws Overloaded while others take all the room; HttpError 413 beyond the limit, 400 when it breaks off or is empty
   */
  async receive(body: Readable, name: string): Promise<ReceivedFile> {
    const path = join(this.folder, randomBytes(12).toString('hex'))
    let bytes = 0
    const remove = async () => {
      this.#held -= bytes
      bytes = 0
      await rm(path, { force: true })
    }
    const file = await open(path, 'wx', 0o600)
    try {
      // Not ended with the loop: its sender is to read why, on the same connection.
      for await (const piece of body.iterator({ destroyOnReturn: false })) {
        const { length } = piece as Buffer
        bytes += length
        this.#held += length
        if (bytes > this.#mostBytes) throw this.#tooLarge()
        if (this.#held > MOST_HELD * this.#mostBytes)
          throw new Overloaded('the server has no room for more files', AGAIN_SECONDS)
        await file.appendFile(piece as Buffer)
      }
      if (bytes === 0) throw new HttpError(400, 'the body is empty. Send a video or an image.')
      return { path, name, remove }
    } catch (error) {
      body.resume()
      const received = bytes
      await remove()
      if (error instanceof MnVideoError) throw error
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC')
        throw new HttpError(507, 'the server has no room for the file now.')
      throw new HttpError(400, `the body broke off after ${received} bytes: ${reasonOf(error)}.`)
    } finally {
      await file.close()
    }
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }

  #tooLarge(): HttpError {
    return new HttpError(
      413,
      `the file is larger than ${this.#mostBytes / 2 ** 20} MiB, the most that is taken.`,
    )
  }
}

/**
 * A file under the root, which no path leads out of: neither by `..` nor by links.
 *
 * @throws HttpError 403 without a root, 404 for what is not in it
 */
export async function fileUnder(root: string | undefined, path: string): Promise<ReceivedFile> {
  if (root === undefined)
    throw new HttpError(403, 'path: this server was started without --root; send the file itself.')
  const missing = () => new HttpError(404, `path: there is no ${shown(path, 200)} under the server's root.`)
  if (path.includes('\0')) throw missing()
  const base = await realpath(root)
  const inside = base.endsWith(sep) ? base : base + sep
  const wanted = resolve(base, path)
  // Asked of nothing outside, so that nobody learns what is there.
  if (!wanted.startsWith(inside)) throw missing()
  const real = await realpath(wanted).catch(() => undefined)
  if (real === undefined || !real.startsWith(inside)) throw missing()
  return { path: real, name: path, remove: async () => {} }
}
