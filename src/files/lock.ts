/**
 * Files that belong to one process at a time. Such a file comes into being whole (a finished private file is linked to
 * its name), names its owner, and goes when the owner gives it back. The file of a dead owner is passed on: whoever holds
 * the lock on *this very file*, named after its id, may put a file of its own in its place, nobody else; an id never
 * comes again. An owner that cannot be asked, in another container or on another machine, lives as long as it touches
 * its file.
 */
import { randomUUID } from 'node:crypto'
import { type FileHandle, link, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { mayBeRunning, ownerState, thisProcess } from './owner.ts'
import { readWhole } from './read.ts'
import { temporaryBeside } from './temporary.ts'

/** How often an owner touches its file, and how long after that it still counts. */
const TOUCH_MS = 10_000
export const TOUCHED_MS = 120_000
/** What a system says that has no hard links. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EACCES'])
/** Without links a file can be seen before its first line is written. */
const UNWRITTEN = { tries: 20, everyMs: 50 }

const MAX_BYTES = 2 ** 20

const recordSchema = z.object({
  pid: z.int().positive(),
  started: z.string(),
  place: z.string(),
  host: z.string(),
  id: z.string(),
})

export interface Lock {
  /** Whether the owner before was killed: what it was doing is not finished. */
  readonly inherited: boolean
  /** Whether the file is another's by now: a process that stood still for minutes counts as dead. */
  isLost(): Promise<boolean>
  /** Gives the file back; once is enough. */
  release(): Promise<void>
}

/** Who has the file. */
export interface Holder {
  readonly pid: number
  readonly host: string
  /** Set where it cannot be asked: milliseconds since it was last seen. */
  readonly silentMs?: number
}

/** Takes a file for this process, or says who has it. Other errors are the system's. */
export async function takeLock(path: string): Promise<Lock | Holder> {
  const id = randomUUID()
  const text = `${JSON.stringify({ ...thisProcess(), host: hostname(), id })}\n`
  const own = await temporaryBeside(path)
  try {
    await writeFile(own, text, { flag: 'wx' })
    const taken = await take(path, { own, text, id })
    if (typeof taken !== 'string') return taken
    await sweepHeirs(path)
    const handle = await open(path, 'r+')
    return held(path, id, handle, taken === 'inherited')
  } finally {
    await rm(own, { force: true }).catch(() => {})
  }
}

function held(path: string, id: string, handle: FileHandle, inherited: boolean): Lock {
  // Through the handle: if another has the name by now, its file is not written to.
  const touch = () => void handle.write('{', 0).catch(() => {})
  const timer = setInterval(touch, TOUCH_MS).unref()
  // A file that cannot be read, or is gone, is nobody else's.
  const nowThere = async () => (await read(path).catch(() => undefined))?.id
  return {
    inherited,
    isLost: async () => ![id, undefined].includes(await nowThere()),
    async release() {
      clearInterval(timer)
      await handle.close().catch(() => {})
      if ((await nowThere()) === id) await rm(path, { force: true })
    },
  }
}

async function replace(path: string, { text }: Own): Promise<void> {
  const copy = await temporaryBeside(path)
  try {
    await writeFile(copy, text, { flag: 'wx' })
    await rename(copy, path)
  } finally {
    await rm(copy, { force: true })
  }
}

interface Own {
  /** A private file with the record. */
  readonly own: string
  readonly text: string
  readonly id: string
}

async function take(path: string, mine: Own): Promise<'free' | 'inherited' | Holder> {
  for (;;) {
    const how = await create(path, mine)
    if (how === 'created') return 'free'
    const found = await read(path, how === 'taken without links')
    if (!found) continue
    // A link over a network can be made though its answer is lost.
    if (found.id === mine.id) return 'free'
    const holder = await holderOf(found, mine.own)
    if (holder) return holder
    const heir = `${path}.${found.id}`
    const second = await take(heir, mine)
    if (typeof second !== 'string') return second
    try {
      if ((await read(path))?.id === found.id) {
        await replace(path, mine)
        return 'inherited'
      }
    } finally {
      await rm(heir, { force: true })
    }
  }
}

async function create(
  path: string,
  { own, text }: Own,
): Promise<'created' | 'taken' | 'taken without links'> {
  try {
    await link(own, path)
    return 'created'
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return 'taken'
    if (!NO_LINKS.has(code)) throw error
  }
  try {
    await writeFile(path, text, { flag: 'wx' })
    return 'created'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return 'taken without links'
    throw error
  }
}

interface Found {
  readonly id: string
  readonly modifiedMs: number
  readonly owner?: z.infer<typeof recordSchema>
  /** As earlier versions wrote it: a number alone. */
  readonly bare?: number
}

/** What lies under a name; undefined where nothing does. */
async function read(path: string, mayBeUnwritten = false): Promise<Found | undefined> {
  for (let tries = mayBeUnwritten ? UNWRITTEN.tries : 0; ; tries--) {
    const [text, there] = await Promise.all([
      readWhole(path, MAX_BYTES).catch(orGone),
      stat(path).catch(orGone),
    ])
    if (text === undefined || there === undefined) return undefined
    const owner = recordIn(text.toString())
    if (owner) return { id: owner.id, modifiedMs: there.mtimeMs, owner }
    if (tries > 0) {
      await new Promise((resolve) => setTimeout(resolve, UNWRITTEN.everyMs))
      continue
    }
    const bare = /^\d+$/.test(`${text}`.trim()) ? Number(text) : 0
    return { id: `${there.ino}-${Math.floor(there.mtimeMs)}-${bare}`, modifiedMs: there.mtimeMs, bare }
  }
}

function orGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

function recordIn(text: string): z.infer<typeof recordSchema> | undefined {
  try {
    return recordSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** Who has a file that is there; undefined where its owner is dead. */
async function holderOf(found: Found, own: string): Promise<Holder | undefined> {
  const { owner, bare = 0, modifiedMs } = found
  if (!owner) return mayBeRunning(bare) ? { pid: bare, host: hostname() } : undefined
  const state = ownerState(owner)
  if (state === 'gone') return undefined
  if (state === 'running') return owner
  // Both times are of the clock that the folder's machine has.
  const now = await touched(own)
  const silentMs = Math.max(0, now - modifiedMs)
  return silentMs < TOUCHED_MS ? { ...owner, silentMs } : undefined
}

async function touched(file: string): Promise<number> {
  const handle = await open(file, 'r+')
  try {
    await handle.write('{', 0)
    return (await handle.stat()).mtimeMs
  } finally {
    await handle.close()
  }
}

/**
 * Removes locks on former files, of processes that were killed while they held one; a living one's is not missed, because
 * the file that it is about does not come again.
 */
async function sweepHeirs(path: string): Promise<void> {
  const names = await readdir(dirname(path)).catch(() => [])
  const heirs = names.filter((name) => isHeir(name, basename(path)))
  await Promise.all(heirs.map((name) => rm(join(dirname(path), name), { force: true }).catch(() => {})))
}

/** Whether a name is of a lock on a former file of a lock. */
export const isHeir = (name: string, lock: string): boolean =>
  name.startsWith(`${lock}.`) && /^[0-9a-f.-]+$/.test(name.slice(lock.length + 1))
