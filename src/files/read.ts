/**
 * Files that are read whole: weights, lists, class names, configurations, tables. Whatever a path leads to, reading it ends:
 * nothing waits for a named pipe's writer, nothing reads a device without end.
 */
import { constants, type Stats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/** How a shell passes on what a command prints: `<(…)`, `| … /dev/stdin`. It is a pipe whose writer is there. */
const SHELL_PIPE = /^\/(?:dev\/stdin|dev\/fd\/\d+|proc\/self\/fd\/\d+)$/

/** No read asks the system for more at once: some refuse 2 GiB. */
const CHUNK_BYTES = 2 ** 28

/**
 * Opens a regular file.
 *
 * @throws the system's error, or one that says what else it is
 */
export function openFile(path: string): Promise<FileHandle> {
  return openChecked(path, false)
}

/**
 * The bytes of a file, or of what a shell pipes in, of at most so many.
 *
 * @throws the system's error, or one that says what is wrong, for `reasonOf`
 */
export async function readWhole(path: string, maxBytes: number): Promise<Buffer> {
  const file = await openChecked(path, SHELL_PIPE.test(path))
  try {
    // The size is a start: a pipe has none, and a file may grow while it is read.
    const { size } = await file.stat()
    if (size > maxBytes) throw tooLarge(maxBytes)
    let buffer: Buffer<ArrayBufferLike> = Buffer.allocUnsafeSlow(size + 1)
    for (let length = 0; ; ) {
      const room = Math.min(CHUNK_BYTES, buffer.length - length)
      const { bytesRead } = await file.read(buffer, length, room)
      if (bytesRead === 0) return buffer.subarray(0, length)
      length += bytesRead
      if (length > maxBytes) throw tooLarge(maxBytes)
      if (length === buffer.length) buffer = grown(buffer, Math.min(Math.max(2 * length, 4096), maxBytes + 1))
    }
  } finally {
    await file.close()
  }
}

/**
 * A file's text in UTF-8, without a byte order mark.
 *
 * @throws as `readWhole` and `textOf` do
 */
export async function readText(path: string, maxBytes: number): Promise<string> {
  return textOf(await readWhole(path, maxBytes))
}

/** @throws what the bytes are, where they are not text in UTF-8 */
export function textOf(bytes: Uint8Array): string {
  const [first, second] = bytes
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new Error('its text is UTF-16, not UTF-8')
  }
  if (bytes.includes(0)) throw new Error('it is not a text file')
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new Error('its text is not UTF-8')
  }
}

const tooLarge = (maxBytes: number) => new Error(`it is larger than ${Math.round(maxBytes / 2 ** 20)} MiB`)

/** What a path leads to where it is not a regular file, as an error. */
export function otherThanFile(found: Stats): Error | undefined {
  if (found.isFile()) return undefined
  if (found.isDirectory()) return new Error('it is a folder, not a file')
  return new Error(
    `it is a ${found.isFIFO() ? 'named pipe' : found.isSocket() ? 'socket' : 'device'}, not a file`,
  )
}

async function openChecked(path: string, isShellPipe: boolean): Promise<FileHandle> {
  // Without waiting, so that a named pipe without a writer is refused below.
  const waiting = isShellPipe ? 0 : (constants.O_NONBLOCK ?? 0)
  const file = await open(path, constants.O_RDONLY | waiting)
  try {
    const found = await file.stat()
    const other = otherThanFile(found)
    if (other && !(isShellPipe && found.isFIFO())) throw other
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

function grown(buffer: Buffer, bytes: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(bytes)
  buffer.copy(larger)
  return larger
}
