/** Writing a file so that readers see the old one or the whole new one, also after a power failure. */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** A write of more than 2 GiB at once fails. */
const CHUNK_BYTES = 2 ** 28

/** The file that a temporary name stands for; undefined for other names. */
export const unfinishedName = (name: string): string | undefined =>
  /^\.(.+)\.[0-9a-f-]{36}\.tmp$/.exec(name)?.[1]

/** Writes the parts one after the other under a temporary name beside the file, syncs, and renames. */
export async function writeAtomically(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.${randomUUID()}.tmp`)
  try {
    const file = await open(temporary, 'wx')
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
    await rename(temporary, path)
    await syncFolder(folder)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
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
