/** A run's query table on disk: believed in its accuracies, its costs counted again. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MnVideoError } from '../errors.ts'
import { isThere } from '../files/exists.ts'
import { writeAtomically } from '../files/write.ts'
import type { Network } from '../network/graph.ts'
import { resolve } from '../network/resolve.ts'
import type { NewRun } from './create-run.ts'
import { digestOf, parseQueryTable, type QueryTable } from './query-table.ts'
import { STATISTICS, TABLE, textIn, writing } from './run-files.ts'
import { writeStatistics } from './run-tensors.ts'

/** Writes the query table of a run after the statistics that it names, in place of those that were there. */
export async function writeTable(
  folder: string,
  table: QueryTable,
  statistics: NonNullable<NewRun['statistics']>,
): Promise<void> {
  await writing(folder, async () => {
    if (statistics.size > 0) await mkdir(join(folder, STATISTICS), { recursive: true })
    for (const [file, values] of statistics) {
      await writeStatistics(join(folder, file), values, table.weights)
    }
    await writeAtomically(join(folder, TABLE), [Buffer.from(formatTable(table))])
  })
}

/** A run's query table, its costs checked against the network; undefined where it has none yet. */
export const findTable = async (folder: string, network: Network): Promise<QueryTable | undefined> =>
  (await isThere(join(folder, TABLE))) ? readTable(folder, network) : undefined

export async function readTable(folder: string, network: Network): Promise<QueryTable> {
  const file = join(folder, TABLE)
  const table = parseQueryTable(await textIn(folder, TABLE), file)
  checkTable(table, network, file)
  return table
}

/** A table is believed in its accuracies; what a configuration costs is counted again. */
function checkTable(table: QueryTable, network: Network, file: string): void {
  const fail = (what: string) =>
    new MnVideoError(
      'run',
      `${file}: ${what}. The table belongs to another run; copy or create this one again.`,
    )
  if (table.network !== network.name)
    throw fail(`is of ${table.network}, the run's network is ${network.name}`)
  for (const { width, frames, size, macs, params } of table.entries) {
    const what = `width ${width}, frames ${frames}, size ${size}`
    if (width > network.maxWidth) throw fail(`${what}: ${network.name} is at most ${network.maxWidth} wide`)
    const counted = resolve(network, { width, frames, size })
    if (counted.macs !== macs || counted.params !== params) {
      throw fail(
        `${what}: says ${macs} MACs and ${params} parameters, but it has ${counted.macs} and ${counted.params}`,
      )
    }
  }
}

/** JSON with one entry a line: readable, and small in diffs. */
function formatTable(table: QueryTable): string {
  const { entries, ...head } = { ...table, digest: digestOf(table) }
  const lines = entries.map((entry) => `    ${JSON.stringify(entry)}`)
  const start = JSON.stringify(head, null, 2).slice(0, -2)
  return `${start},\n  "entries": [\n${lines.join(',\n')}\n  ]\n}\n`
}
