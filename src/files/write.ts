/** Writing a file so that readers see the old one or the whole new one, also after a power failure. */
import { constants } from 'node:fs'
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { MnVideoError, shown } from '../errors.ts'
import { otherThanFile } from './read.ts'
import { temporaryBeside } from './temporary.ts'

/** A write of more than 2 GiB at once fails. */
const CHUNK_BYTES = 2 ** 28

/** Writes the parts one after the other under a temporary name beside the file, syncs, and renames. */
export async function writeAtomically(path: string, parts: readonly Uint8Array[]): Promise<void> {
  await writeTogether(new Map([[path, parts]]))
}

/**
 * Writes files that belong together, of which the last makes the set whole: where it is, the others are of the same
 * set. All are written first; then the last one of before goes, and the new ones take their names in order.
 */
export async function writeTogether(files: ReadonlyMap<string, readonly Uint8Array[]>): Promise<void> {
  const written: { readonly path: string; readonly temporary: string }[] = []
  try {
    for (const path of files.keys()) await requireReplaceable(path)
    for (const [path, parts] of files) {
      const temporary = await temporaryBeside(path)
      written.push({ path, temporary })
      await writeSynced(temporary, parts)
    }
    if (written.length > 1) await rm(written.at(-1)!.path, { force: true })
    for (const { path, temporary } of written) await rename(temporary, path)
    for (const folder of new Set(written.map(({ path }) => dirname(path)))) await syncFolder(folder)
  } catch (error) {
    await Promise.all(written.map(({ temporary }) => rm(temporary, { force: true }).catch(() => {})))
    throw error
  }
}

/** A rename would put a file in the place of a device or a pipe. */
async function requireReplaceable(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  const other = found && otherThanFile(found)
  if (other) throw other
}

/**
 * @param what the source, in the message
 * @throws MnVideoError 'usage' where what would be written is the file that was read
 */
export async function requireOtherFile(
  source: string,
  target: string,
  what = 'the source itself',
): Promise<void> {
  const [from, to] = await Promise.all([source, target].map((path) => stat(path).catch(() => undefined)))
  if (!from || !to || from.dev !== to.dev || from.ino !== to.ino) return
  throw new MnVideoError(
    'usage',
    `${shown(target)}: is ${what}, which would be written over. Give another place.`,
  )
}

async function writeSynced(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const file = await open(path, 'wx')
  try {
    let position = 0
    for (const part of parts) {
      await writeAll(file, part, position)
      position += part.length
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(CHUNK_BYTES, bytes.length - done)
    done += (await file.write(bytes, done, length, position + done)).bytesWritten
  }
}

/** A rename lasts once its folder is on disk; some systems cannot sync a folder, and need not. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY).catch(() => undefined)
  await handle?.sync().catch(() => {})
  await handle?.close()
}
