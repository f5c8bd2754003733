/**
 * Files of one JSON value a line, which grow while a program runs. A program that is killed while it writes
 * leaves a last line that is cut off: readers pass over it, a writer that goes on takes it away.
 */
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { z } from 'zod'
import { MnVideoError, reasonOf } from '../errors.ts'
import { readWhole } from './read.ts'

const LINE_BREAK = 0x0a
/** A sweep of a thousand configurations is a hundredth of this. */
const MAX_BYTES = 2 ** 30

/**
 * The values of a file; none where there is no file.
 *
 * @throws MnVideoError `run` naming the line that is not JSON or not what the schema says
 */
export async function readJsonLines<T>(path: string, schema: z.ZodType<T>): Promise<T[]> {
  const bytes = await readWhole(path, MAX_BYTES).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return Buffer.alloc(0)
    throw new MnVideoError('run', `${path}: cannot be read: ${reasonOf(error)}.`, { cause: error })
  })
  const values: T[] = []
  for (let start = 0, line = 1; start < bytes.length; line++) {
    const end = bytes.indexOf(LINE_BREAK, start)
    const text = bytes.toString('utf8', start, end < 0 ? bytes.length : end)
    const json = parseJson(text)
    if (json !== undefined) values.push(checked(json, schema, path, line))
    else if (end >= 0 && text.trim() !== '') throw damaged(path, line, 'is not JSON')
    start = end < 0 ? bytes.length : end + 1
  }
  return values
}

function checked<T>(json: unknown, schema: z.ZodType<T>, path: string, line: number): T {
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const { path: keys, message } = parsed.error.issues[0]!
  throw damaged(path, line, `has ${keys.join('.') || 'a value'}: ${message}`)
}

export interface JsonLinesWriter<T> {
  /**
   * Resolves when the line is in the file (not: on the disk).
   *
   * @throws MnVideoError `run` when it cannot be; nor can any later one then
   */
  append(value: T): Promise<void>
  close(): Promise<void>
}

/**
 * Opens a file to append to, making it and its folder where they are not there.
 *
 * @throws MnVideoError `run` when the file cannot be written
 */
export async function appendJsonLines<T>(path: string): Promise<JsonLinesWriter<T>> {
  try {
    await mkdir(dirname(path), { recursive: true })
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, 0o666)
    let end = await endOfLines(handle)
    const rest = await textFrom(handle, end)
    if (parseJson(rest) === undefined) await handle.truncate(end)
    else {
      // All but the line break: readers count it, so it stays.
      await handle.appendFile('\n')
      end += Buffer.byteLength(rest) + 1
    }
    let last: Promise<void> = Promise.resolve()
    const write = async (line: Buffer) => {
      try {
        await handle.appendFile(line)
        end += line.length
      } catch (error) {
        // A full disk takes the part of the line that it has room for.
        await handle.truncate(end).catch(() => {})
        throw unwritable(path, error)
      }
    }
    return {
      append(value) {
        const line = Buffer.from(`${JSON.stringify(value)}\n`)
        last = last.then(() => write(line))
        return last
      },
      async close() {
        await last.catch(() => {})
        await handle.close()
      },
    }
  } catch (error) {
    throw unwritable(path, error)
  }
}

/** The position behind the last line break: whole lines end there. */
async function endOfLines(handle: FileHandle): Promise<number> {
  const { size } = await handle.stat()
  const chunk = Buffer.alloc(2 ** 16)
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - chunk.length)
    await handle.read(chunk, 0, end - start, start)
    const found = chunk.subarray(0, end - start).lastIndexOf(LINE_BREAK)
    if (found >= 0) return start + found + 1
    end = start
  }
  return 0
}

async function textFrom(handle: FileHandle, start: number): Promise<string> {
  const { size } = await handle.stat()
  const bytes = Buffer.alloc(size - start)
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, start)
  return bytes.toString('utf8', 0, bytesRead)
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

const unwritable = (path: string, error: unknown): MnVideoError =>
  new MnVideoError('run', `${path}: cannot be written: ${reasonOf(error)}.`, { cause: error })

const damaged = (path: string, line: number, what: string): MnVideoError =>
  new MnVideoError(
    'run',
    `${path}: line ${line} ${what}. The file is damaged; remove the line, or make the file again.`,
  )
