/**
 * Files and folders that are not finished. Each lies beside what it is to become, under a hidden name that says which
 * process makes it: `.NAME.PID-START-PLACE-RANDOM.tmp`. A process that is killed cannot take its own away; the next one
 * that makes something in the same folder does.
 */
import { randomBytes } from 'node:crypto'
import { readdir, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { mayBeRunning, ownerState, thisProcess } from './owner.ts'

/** A longer name is cut, so that the temporary one is no longer than systems allow. */
const MAX_NAME = 50
/** What cannot be asked for its owner is nobody's when nothing was written to it for a day. */
const ABANDONED_MS = 24 * 3_600_000

const OWNED = /^\.(.+)\.(\d+)-(\d*)-([0-9a-f]{8})-[0-9a-f]{12}\.tmp$/
/** As earlier versions named them. */
const UNOWNED = /^\.?(.+)\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/
const MAKING = /^\.making-(\d+)$/

/** The name that a temporary one stands for (its start, where it is long); undefined for other names. */
export const unfinishedName = (name: string): string | undefined =>
  (OWNED.exec(name) ?? UNOWNED.exec(name))?.[1]

/**
 * Where to make a file or folder that will be renamed to `path`. Whoever asks removes it when that fails; and what
 * processes have left beside it that were killed is removed.
 */
export async function temporaryBeside(path: string): Promise<string> {
  const folder = dirname(path)
  await sweepOnce(folder)
  const { pid, started, place } = thisProcess()
  const name = basename(path).slice(0, MAX_NAME)
  return join(folder, `.${name}.${pid}-${started}-${place}-${randomBytes(6).toString('hex')}.tmp`)
}

const swept = new Map<string, Promise<void>>()

/** What this process has seen once needs no second look: others are killed seldom. */
function sweepOnce(folder: string): Promise<void> {
  const path = resolve(folder)
  const before = swept.get(path)
  if (before) return before
  const sweeping = sweep(path)
  swept.set(path, sweeping)
  return sweeping
}

/**
 * Removes what dead processes have left unfinished in a folder. What a living one makes stays; so does for a day what
 * a process of another machine or container may be making.
 *
 * @param isNobodys names (as `unfinishedName` gives them) that the caller knows nobody else is making
 */
export async function sweep(
  folder: string,
  isNobodys: (name: string) => boolean = () => false,
): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name)
      if (await isAbandoned(path, isNobodys)) await rm(path, { recursive: true, force: true }).catch(() => {})
    }),
  )
}

async function isAbandoned(path: string, isNobodys: (name: string) => boolean): Promise<boolean> {
  const name = basename(path)
  const making = MAKING.exec(name)
  if (making) return !mayBeRunning(Number(making[1]))
  const unfinished = unfinishedName(name)
  if (unfinished === undefined) return false
  const [, , pid, started = '', place = ''] = OWNED.exec(name) ?? []
  const state = pid === undefined ? 'unseen' : ownerState({ pid: Number(pid), started, place })
  if (state !== 'unseen') return state === 'gone'
  if (isNobodys(unfinished)) return true
  const { mtimeMs } = (await stat(path).catch(() => undefined)) ?? { mtimeMs: Number.POSITIVE_INFINITY }
  return Date.now() - mtimeMs > ABANDONED_MS
}
