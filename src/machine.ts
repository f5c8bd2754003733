/**
 * What of the machine this process may use. In a container that is less than the machine has: control groups (version
 * 1 or 2) limit memory and processor time, which the totals of the system do not show.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'

/** Bytes of memory that this process may use at most. */
export function memoryLimit(root = '/'): number {
  // What Node.js knows is 0 or undefined where there is no limit.
  const known = process.constrainedMemory() || Number.POSITIVE_INFINITY
  const limits = groupLimits(root, 'memory', (folder) => {
    const [bytes] = [...numbersIn(folder, 'memory.max'), ...numbersIn(folder, 'memory.limit_in_bytes')]
    return bytes
  })
  return Math.min(totalmem(), known, ...limits)
}

/**
 * Threads that can run at the same time: the processors that this process may use, or the processor time that its
 * control groups leave it where that is less, at least 1. More threads would be stopped in the middle of their work.
 */
export function processorLimit(root = '/'): number {
  const limits = groupLimits(root, 'cpu', (folder) => {
    const [quota, period] =
      numbersIn(folder, 'cpu.max').length === 2
        ? numbersIn(folder, 'cpu.max')
        : [...numbersIn(folder, 'cpu.cfs_quota_us'), ...numbersIn(folder, 'cpu.cfs_period_us')]
    return quota! / period!
  })
  return Math.max(1, Math.floor(Math.min(availableParallelism(), ...limits)))
}

/**
 * The limits that the groups of this process, and those above them, set. What is no positive number (`max` in version
 * 2, -1 in version 1) is no limit.
 *
 * @param root the folder that `proc` and `sys` are in
 */
function groupLimits(
  root: string,
  controller: 'cpu' | 'memory',
  limitOf: (folder: string) => number | undefined,
): number[] {
  return read(join(root, 'proc/self/cgroup'))
    .split('\n')
    .flatMap((line) => {
      const [, controllers, ...path] = line.split(':')
      if (controllers === undefined) return []
      const isSecond = controllers === ''
      if (!isSecond && !controllers.split(',').includes(controller)) return []
      const mounts = isSecond ? ['', 'unified'] : [controller, controllers]
      return mounts.flatMap((mount) =>
        ancestors(path.join(':')).map((group) => limitOf(join(root, 'sys/fs/cgroup', mount, group))),
      )
    })
    .filter((limit): limit is number => limit !== undefined && limit > 0)
}

/** A group and those above it, up to the one that is mounted, which is all of them that a container sees. */
function ancestors(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '..')
  return Array.from({ length: names.length + 1 }, (_, i) => names.slice(0, names.length - i).join('/'))
}

/** The numbers in a group's file; none where there is no such file. */
function numbersIn(folder: string, file: string): number[] {
  const text = read(join(folder, file)).trim()
  return text === '' ? [] : text.split(' ').map(Number)
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
