/**
 * Which process a file on disk belongs to, and whether that process still runs. A number alone does not say: numbers
 * are given again. On Linux a process is known by its number, the moment of its start and the place where both mean
 * something: this boot of the machine, this space of process numbers (a container has its own).
 */
import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename } from 'node:path'

export interface Owner {
  readonly pid: number
  /** Clock ticks from the machine's start to the process's; empty where the system does not tell. */
  readonly started: string
  /** Eight hexadecimal digits: the same where numbers and ticks can be compared. */
  readonly place: string
}

/** `unseen`: of another container, machine or boot, or the system does not tell a process from its successor. */
export type OwnerState = 'running' | 'gone' | 'unseen'

let self: Owner | undefined

/** This process. */
export function thisProcess(): Owner {
  self ??= {
    pid: process.pid,
    started: statOf('self')?.started ?? '',
    place: createHash('sha256')
      .update(`${textOf('/proc/sys/kernel/random/boot_id') || hostname()} ${numberSpace()}`)
      .digest('hex')
      .slice(0, 8),
  }
  return self
}

export function ownerState({ pid, started, place }: Owner): OwnerState {
  if (place !== thisProcess().place) return 'unseen'
  const stat = statOf(pid)
  if (stat && started !== '') return stat.started === started && !stat.hasEnded ? 'running' : 'gone'
  // Another user's process can be hidden; then this says that there is one.
  return isTaken(pid) ? 'unseen' : 'gone'
}

/** Whether a number that an earlier version wrote down, without anything beside it, may still be its process's. */
export function mayBeRunning(pid: number): boolean {
  if (pid === process.pid || !isTaken(pid)) return false
  try {
    return basename(readlinkSync(`/proc/${pid}/exe`)) === basename(process.execPath)
  } catch {
    return process.platform !== 'linux' || statOf(pid) === undefined
  }
}

function isTaken(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid < 1) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** The 3rd and 22nd field of `/proc/PID/stat`; the 2nd, the program's name, may have blanks and brackets. */
function statOf(pid: number | 'self'): { readonly started: string; readonly hasEnded: boolean } | undefined {
  const text = textOf(`/proc/${pid}/stat`)
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state = '', started] = [fields[0], fields[19]]
  return started === undefined ? undefined : { started, hasEnded: 'ZXx'.includes(state) }
}

function numberSpace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return ''
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return ''
  }
}
