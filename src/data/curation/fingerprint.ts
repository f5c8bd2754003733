/**
 * What a list of labelled files is, in a few numbers: two people who have the same fingerprint have trained on the
 * same data. It lies beside its list (`train.csv` → `train.fingerprint.json`), and training copies it to its log.
 */
import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { dirname, sep } from 'node:path'
import { z } from 'zod'
import { readText } from '../../files/read.ts'
import { writeAtomically } from '../../files/write.ts'
import { inParallel } from '../../in-parallel.ts'

const counts = z.record(z.string(), z.int())
export const fingerprintSchema = z.object({
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

export type Fingerprint = z.infer<typeof fingerprintSchema>

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
  const start = commonStart(files)
  const lines = files.map(({ path, label }) => {
    return `${path.slice(start).replaceAll(sep, '/')}\t${[label].flat().join(';')}\n`
  })
  const classes = new Set<number>()
  for (const { label } of files) for (const each of [label].flat()) classes.add(each)
  const hash = createHash('sha256')
  lines.sort(byCodeUnits)
  // Some thousands at a time: one call for each of a million lines takes a second.
  for (let i = 0; i < lines.length; i += 4096) hash.update(lines.slice(i, i + 4096).join(''))
  return {
    files: files.length,
    classes: classes.size,
    sha256: hash.digest('hex'),
    ...(facts && facts.length > 0 && contents(facts)),
  }
}

/** Files that are asked for their state at the same time. */
const AT_ONCE = 32

/**
 * Tells files in this order from others, and from what they were: their labels, their paths (as `fingerprintOf` takes
 * them), sizes and times of change. Numbers that were measured on them are kept under it.
 */
export async function identityOfFiles(files: readonly LabelledFile[]): Promise<string> {
  const start = commonStart(files)
  const lines: string[] = Array(files.length)
  await inParallel(files, AT_ONCE, async ({ path, label }, i) => {
    const found = await stat(path, { bigint: true }).catch(() => undefined)
    const state = found ? `${found.size} ${found.mtimeNs}` : 'absent'
    lines[i] = `${path.slice(start).replaceAll(sep, '/')}\t${[label].flat().join(';')}\t${state}\n`
  })
  const hash = createHash('sha256')
  for (let i = 0; i < lines.length; i += 4096) hash.update(lines.slice(i, i + 4096).join(''))
  return hash.digest('hex').slice(0, 16)
}

/** Where the fingerprint of a list lies. */
export const fingerprintFile = (list: string): string => `${list.replace(/\.[^./\\]+$/, '')}.fingerprint.json`

export async function writeFingerprint(list: string, fingerprint: Fingerprint): Promise<void> {
  await writeAtomically(fingerprintFile(list), [Buffer.from(formatFingerprint(fingerprint))])
}

export const formatFingerprint = (fingerprint: Fingerprint): string =>
  `${JSON.stringify(fingerprint, null, 2)}\n`

const MAX_BYTES = 2 ** 20

/** The fingerprint beside a list; undefined where there is none that can be read. */
async function readFingerprint(list: string): Promise<Fingerprint | undefined> {
  try {
    return fingerprintSchema.parse(JSON.parse(await readText(fingerprintFile(list), MAX_BYTES)))
  } catch {
    return undefined
  }
}

/** The fingerprint of a list's files, with what a check has found out where the one beside the list is of these files. */
export async function fingerprintOfList(list: string, files: readonly LabelledFile[]): Promise<Fingerprint> {
  const fresh = fingerprintOf(files)
  const kept = await readFingerprint(list)
  return kept?.sha256 === fresh.sha256 ? kept : fresh
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

/** How long the name of the deepest folder is that all files lie in, with its separator. */
function commonStart(files: readonly LabelledFile[]): number {
  const startIn = (folder: string) => (folder.endsWith(sep) ? folder : `${folder}${sep}`)
  let folder = dirname(files[0]?.path ?? '')
  let start = startIn(folder)
  for (const { path } of files) {
    while (!path.startsWith(start)) {
      const above = dirname(folder)
      if (above === folder) return 0
      folder = above
      start = startIn(folder)
    }
  }
  return start.length
}

/** How often each text occurs, the most frequent first. */
function tally(texts: readonly string[]): Record<string, number> {
  const found = new Map<string, number>()
  for (const text of texts) found.set(text, (found.get(text) ?? 0) + 1)
  return Object.fromEntries([...found].sort((a, b) => b[1] - a[1] || byCodeUnits(a[0], b[0])))
}

const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
