/**
 * What a list of labelled files is, in a few numbers: two people who have the same fingerprint have trained on the
 * same data. It lies beside its list (`train.csv` → `train.fingerprint.json`), and training copies it to its log.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, relative, sep } from 'node:path'
import { z } from 'zod'
import { writeAtomically } from '../checkpoints/atomic.ts'

const counts = z.record(z.string(), z.int())
const schema = z.object({
  /** Files of the list. */
  files: z.int(),
  /** Different labels that occur. */
  classes: z.int(),
  /** SHA-256 of the sorted lines `path<TAB>label`, paths relative to the folder that all files have in common. */
  sha256: z.string(),
  /** What `mn-video data check` found in the files; absent before. */
  seconds: z
    .object({ total: z.number(), shortest: z.number(), median: z.number(), longest: z.number() })
    .optional(),
  /** Files by `WIDTHxHEIGHT`, the most frequent first. */
  sizes: counts.optional(),
  codecs: counts.optional(),
})

export type Fingerprint = z.infer<typeof schema>

/** A file with one label, or (multi-label data sets) any number. */
export interface LabelledFile {
  readonly path: string
  readonly label: number | readonly number[]
}

/** What the files themselves say. */
export interface FileFacts {
  readonly seconds: number
  readonly width: number
  readonly height: number
  readonly codec: string
}

/** Paths count from the folder that all files have in common, so that moving the data does not change the hash. */
export function fingerprintOf(files: readonly LabelledFile[], facts?: readonly FileFacts[]): Fingerprint {
  const root = commonFolder(files.map(({ path }) => path))
  const lines = files.map(({ path, label }) => {
    return `${relative(root, path).split(sep).join('/')}\t${[label].flat().join(';')}\n`
  })
  const hash = createHash('sha256')
  for (const line of lines.sort(byCodeUnits)) hash.update(line)
  return {
    files: files.length,
    classes: new Set(files.flatMap(({ label }) => label)).size,
    sha256: hash.digest('hex'),
    ...(facts && facts.length > 0 && contents(facts)),
  }
}

/** Where the fingerprint of a list lies. */
export const fingerprintFile = (list: string): string => `${list.replace(/\.[^./\\]+$/, '')}.fingerprint.json`

export async function writeFingerprint(list: string, fingerprint: Fingerprint): Promise<void> {
  await writeAtomically(fingerprintFile(list), [Buffer.from(`${JSON.stringify(fingerprint, null, 2)}\n`)])
}

/** The fingerprint beside a list; undefined where there is none that can be read. */
export async function readFingerprint(list: string): Promise<Fingerprint | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(fingerprintFile(list), 'utf8')))
  } catch {
    return undefined
  }
}

/** More different sizes are counted as `other`. */
const MOST_SIZES = 20

function contents(facts: readonly FileFacts[]): Pick<Fingerprint, 'seconds' | 'sizes' | 'codecs'> {
  const seconds = facts.map((each) => each.seconds).sort((a, b) => a - b)
  const rounded = (value: number) => Math.round(value * 1000) / 1000
  const sizes = Object.entries(tally(facts.map(({ width, height }) => `${width}x${height}`)))
  const others = sizes.slice(MOST_SIZES).reduce((sum, [, count]) => sum + count, 0)
  return {
    seconds: {
      total: rounded(seconds.reduce((sum, each) => sum + each, 0)),
      shortest: rounded(seconds[0]!),
      median: rounded(seconds[seconds.length >> 1]!),
      longest: rounded(seconds.at(-1)!),
    },
    sizes: { ...Object.fromEntries(sizes.slice(0, MOST_SIZES)), ...(others > 0 && { other: others }) },
    codecs: tally(facts.map(({ codec }) => codec)),
  }
}

/** The deepest folder that all files lie in. */
function commonFolder(paths: readonly string[]): string {
  let common = dirname(paths[0] ?? '').split(sep)
  for (const path of paths) {
    const folders = dirname(path).split(sep)
    const length = common.findIndex((folder, i) => folder !== folders[i])
    if (length >= 0) common = common.slice(0, length)
  }
  return common.join(sep) || sep
}

/** How often each text occurs, the most frequent first. */
function tally(texts: readonly string[]): Record<string, number> {
  const found = new Map<string, number>()
  for (const text of texts) found.set(text, (found.get(text) ?? 0) + 1)
  return Object.fromEntries([...found].sort((a, b) => b[1] - a[1] || byCodeUnits(a[0], b[0])))
}

const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
