/** The data sets that can be prepared, and writing what preparing gave. */
import { mkdir } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import { writeAtomically } from '../../checkpoints/atomic.ts'
import { suggestion } from '../../config/nearest.ts'
import { MnVideoError, reasonOf } from '../../errors.ts'
import { type Fingerprint, fingerprintOf, writeFingerprint } from '../fingerprint.ts'
import { CLASSES_FILE } from '../folders.ts'
import { asList } from '../gather.ts'
import { charades } from './charades.ts'
import { cifar } from './cifar.ts'
import { diving48 } from './diving48.ts'
import { hmdb51 } from './hmdb51.ts'
import { imagenet } from './imagenet.ts'
import { kinetics } from './kinetics.ts'
import type { Finding, PrepareOptions, Recipe } from './recipe.ts'
import { somethingSomething } from './something-something.ts'
import { ucf101 } from './ucf101.ts'

export const RECIPES: readonly Recipe[] = [
  ...kinetics,
  ucf101,
  hmdb51,
  somethingSomething,
  diving48,
  charades,
  imagenet,
  ...cifar,
]

/** @throws MnVideoError 'usage' for an unknown name */
export function recipeNamed(name: string): Recipe {
  const found = RECIPES.find((recipe) => recipe.name === name)
  if (found) return found
  const names = RECIPES.map((recipe) => recipe.name)
  throw new MnVideoError(
    'usage',
    `${name}: is no data set that can be prepared. ${suggestion(name, names, 'data set')}\nThere are: ${names.join(', ')}.`,
  )
}

export interface Written {
  readonly classes: number
  /** The lists written, with what is in them; of CIFAR, which has none, the names of its splits. */
  readonly lists: readonly { readonly file: string; readonly fingerprint: Fingerprint }[]
  /** Files that are not lists. */
  readonly files: readonly string[]
  readonly findings: readonly Finding[]
  /** Where all findings stand, one a line; undefined where there are none. */
  readonly report: string | undefined
}

export interface WriteOptions extends PrepareOptions {
  /** Paths below it are written relative to it; all are absolute without it. */
  readonly root?: string
}

/**
 * Prepares a data set and writes `train.csv`, `val.csv`, `classes.txt` and a fingerprint per list: OUT is then a
 * dataset_dir. Files of these names are replaced.
 *
 * @throws MnVideoError 'data'
 */
export async function prepareDataset(
  recipe: Recipe,
  folder: string,
  out: string,
  options: WriteOptions = {},
): Promise<Written> {
  const { classes, splits, findings, extra, fingerprints } = await recipe.prepare(resolve(folder), options)
  const lists: { file: string; fingerprint: Fingerprint }[] = []
  const files: string[] = []
  const root = options.root === undefined ? undefined : resolve(options.root)
  try {
    for (const split of splits.length > 0 ? splits : [{ name: '', lists: {} }]) {
      const place = join(out, split.name)
      await mkdir(place, { recursive: true })
      for (const [name, entries] of Object.entries(split.lists)) {
        if (entries.length === 0) continue
        const file = join(place, `${name}.csv`)
        await writeAtomically(file, [Buffer.from(asList(entries, (path) => writtenPath(path, root)))])
        const fingerprint = fingerprintOf(entries)
        await writeFingerprint(file, fingerprint)
        lists.push({ file, fingerprint })
      }
      await writeAtomically(join(place, CLASSES_FILE), [Buffer.from(`${classes.join('\n')}\n`)])
    }
    for (const [name, fingerprint] of Object.entries(fingerprints ?? {})) {
      const file = join(out, name)
      await writeFingerprint(file, fingerprint)
      lists.push({ file, fingerprint })
    }
    for (const [name, bytes] of extra ?? []) {
      await writeAtomically(join(out, name), [bytes])
      files.push(join(out, name))
    }
    const report = findings.length > 0 ? join(out, 'findings.txt') : undefined
    if (report) {
      const lines = findings.map(({ kind, what, why }) => `${kind}\t${what}\t${why}\n`)
      await writeAtomically(report, [Buffer.from(lines.join(''))])
    }
    return { classes: classes.length, lists, files, findings, report }
  } catch (error) {
    if (error instanceof MnVideoError) throw error
    throw new MnVideoError('data', `${out}: cannot be written: ${reasonOf(error)}.`)
  }
}

function writtenPath(path: string, root: string | undefined): string {
  if (root === undefined) return path
  const short = relative(root, path)
  return short === '..' || short.startsWith(`..${sep}`) ? path : short
}
