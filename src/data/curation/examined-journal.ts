/**
 * What was found out about files, kept while it is found out: a check that is stopped goes on where it was.
 * One JSON line per file, appended; a line that is cut off or damaged is as if it were not there.
 */
import { appendFileSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import { readText } from '../../files/read.ts'
import { writeAtomically } from '../../files/write.ts'
import type { Examined } from './check.ts'

const schema = z.object({
  path: z.string(),
  state: z.string(),
  decoded: z.boolean(),
  failure: z.string().optional(),
  complaint: z.string().optional(),
  facts: z
    .object({
      media: z.enum(['video', 'image']),
      seconds: z.number(),
      promisedSeconds: z.number(),
      frames: z.int(),
      width: z.int(),
      height: z.int(),
      codec: z.string(),
      longestPause: z.number(),
      videoStreams: z.int(),
    })
    .optional(),
})

/** A string can hold no more; what a million files need. */
const MAX_BYTES = 2 ** 28

/** The files that a journal tells of, by path; of several lines for one the last counts. */
export async function readJournal(file: string): Promise<Map<string, Examined>> {
  const known = new Map<string, Examined>()
  const text = await readText(file, MAX_BYTES).catch(() => '')
  for (const line of text.split('\n')) {
    try {
      const examined = schema.parse(JSON.parse(line)) as Examined
      known.set(examined.path, examined)
    } catch {
      // Cut off where the program was stopped.
    }
  }
  return known
}

/** Adds what is now known of a file. */
export function appendToJournal(file: string, examined: Examined): void {
  mkdirSync(dirname(file), { recursive: true })
  // A line break first: the line before may have been cut off.
  appendFileSync(file, `\n${JSON.stringify(examined)}`)
}

/** Writes the journal anew with just these files, so that it does not grow from check to check. */
export async function rewriteJournal(file: string, all: Iterable<Examined>): Promise<void> {
  mkdirSync(dirname(file), { recursive: true })
  await writeAtomically(
    file,
    Array.from(all, (examined) => Buffer.from(`${JSON.stringify(examined)}\n`)),
  )
}
