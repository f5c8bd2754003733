/** The data sets that can be prepared, and writing what preparing gave. */
import { mkdir } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import { MnVideoError, reasonOf } from '../../errors.ts'
import { isThere } from '../../files/exists.ts'
import { shownPath } from '../../files/media-file.ts'
import { writeTogether } from '../../files/write.ts'
import { suggestion } from '../../suggestion.ts'
import {
  type Fingerprint,
  fingerprintFile,
  fingerprintOf,
  formatFingerprint,
} from '../curation/fingerprint.ts'
import { asList } from '../curation/gather.ts'
import { CLASSES_FILE } from '../sets/folders.ts'
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
 * dataset_dir. What an earlier preparation wrote is replaced; a list without a fingerprint beside it is not one of those.
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
  // Lists last, and together: those of two preparations may have files in common.
  const written = new Map<string, readonly Uint8Array[]>()
  const put = (file: string, text: string) => written.set(file, [Buffer.from(text)])
  const places = splits.length > 0 ? splits : [{ name: '', lists: {} }]
  for (const { name } of places) put(join(out, name, CLASSES_FILE), `${classes.join('\n')}\n`)
  for (const [name, fingerprint] of Object.entries(fingerprints ?? {})) {
    put(fingerprintFile(join(out, name)), formatFingerprint(fingerprint))
  }
  for (const [name, bytes] of extra ?? []) {
    written.set(join(out, name), [bytes])
    files.push(join(out, name))
  }
  const report = findings.length > 0 ? join(out, 'findings.txt') : undefined
  if (report) put(report, findings.map(({ kind, what, why }) => `${kind}\t${what}\t${why}\n`).join(''))
  for (const split of places) {
    for (const [name, entries] of Object.entries(split.lists)) {
      if (entries.length === 0) continue
      const file = join(out, split.name, `${name}.csv`)
      const fingerprint = fingerprintOf(entries)
      put(fingerprintFile(file), formatFingerprint(fingerprint))
      put(
        file,
        asList(entries, (path) => writtenPath(path, root)),
      )
      lists.push({ file, fingerprint })
    }
  }
  for (const [name, fingerprint] of Object.entries(fingerprints ?? {})) {
    lists.push({ file: join(out, name), fingerprint })
  }
  for (const file of written.keys()) if (file.endsWith('.csv')) await requireOwnList(file)
  try {
    for (const { name } of places) await mkdir(join(out, name), { recursive: true })
    await writeTogether(written)
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

/** Annotations may have the name of a list: they are what was read, and must not be written over. */
async function requireOwnList(file: string): Promise<void> {
  if (!(await isThere(file)) || (await isThere(fingerprintFile(file)))) return
  throw new MnVideoError(
    'data',
    `${shownPath(file)}: is there already, and no preparation wrote it (there is no fingerprint beside it). Give another --out.`,
  )
}
