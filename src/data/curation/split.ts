/**
 * Divides a data set that has no official split: every class by the same share, files that belong together on one
 * side. Which side follows from a hash of the path, so that the same files are divided alike anywhere, and files that
 * are added later move few others.
 */
import { createHash } from 'node:crypto'
import { relative, sep } from 'node:path'
import { MnVideoError } from '../../errors.ts'
import type { LabelledFile } from './fingerprint.ts'

export interface SplitOptions {
  /** The share of each class that goes to the second list, above 0 and below 1. */
  readonly share: number
  readonly seed: number
  /** The folder that paths are taken relative to. */
  readonly root: string
  /** Of a path, what files that belong together have in common (its first group, or the whole match). */
  readonly group?: RegExp
}

/**
 * Divides by class. A class of at least two groups has files on both sides where its groups have no other class's; one
 * of a single group stays in training.
 *
 * @throws MnVideoError 'data' where nothing goes to one side
 */
export function splitFiles<T extends LabelledFile>(
  files: readonly T[],
  options: SplitOptions,
): { readonly train: T[]; readonly val: T[] } {
  const groupOf = (file: T) => {
    const path = relative(options.root, file.path).split(sep).join('/')
    const match = options.group?.exec(path)
    return match ? (match[1] ?? match[0]) : path
  }
  const groups = new Map<string, T[]>()
  for (const file of files) push(groups, groupOf(file), file)
  // Of a file with several labels the first stands for it; one without any makes a class of its own.
  const classOf = (file: T) => [file.label].flat()[0] ?? -1
  /** Of each class its groups, with how many of its files each has: a group may have files of several classes. */
  const byClass = new Map<number, Map<string, number>>()
  for (const [group, members] of groups) {
    for (const label of members.map(classOf)) {
      const files = byClass.get(label) ?? new Map<string, number>()
      byClass.set(label, files.set(group, (files.get(group) ?? 0) + 1))
    }
  }

  const val = new Set<string>()
  const classes = [...byClass.values()]
  /** Whether a class would have no group in training without this one. */
  const isLast = (group: string) =>
    classes.some(
      (files) => files.has(group) && [...files.keys()].every((each) => each === group || val.has(each)),
    )
  for (const label of [...byClass.keys()].sort((a, b) => a - b)) {
    const files = byClass.get(label)!
    const ordered = [...files.keys()].sort((a, b) =>
      place(options.seed, a) < place(options.seed, b) ? -1 : 1,
    )
    const total = [...files.values()].reduce((sum, count) => sum + count, 0)
    const wanted = Math.max(1, Math.round(total * options.share))
    // What went over with another class's share counts.
    let moved = ordered.reduce((sum, group) => sum + (val.has(group) ? files.get(group)! : 0), 0)
    for (const group of ordered) {
      if (moved >= wanted) break
      if (val.has(group) || isLast(group)) continue
      val.add(group)
      moved += files.get(group)!
    }
  }
  const sides = {
    train: files.filter((file) => !val.has(groupOf(file))),
    val: files.filter((file) => val.has(groupOf(file))),
  }
  if (sides.val.length === 0) {
    throw new MnVideoError(
      'data',
      `nothing can go to validation: every class has a single ${options.group ? 'group' : 'file'}.`,
    )
  }
  return sides
}

const place = (seed: number, group: string): string =>
  createHash('sha256').update(`${seed}\n${group}`).digest('hex')

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const values = map.get(key)
  if (values) values.push(value)
  else map.set(key, [value])
}
