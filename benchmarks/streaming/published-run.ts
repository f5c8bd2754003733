/**
 * A run of X3D-M with MutualNet's published query table and fresh weights: its answers mean nothing, its costs are those of
 * trained ones, and its accuracies what the paper's reach.
 */
import { readFileSync } from 'node:fs'
import { loadConfig } from '../../src/config/index.ts'
import { buildNetwork, freshWeights } from '../../src/models/index.ts'
import { resolve } from '../../src/network/resolve.ts'
import { writeRun } from '../../src/runs/create-run.ts'
import { configurationOf, parsePublished } from '../../src/runs/published.ts'
import { TABLE_FORMAT, type TableEntry } from '../../src/runs/query-table.ts'

/** Writes the run. @returns its configurations */
export async function makePublishedRun(folder: string): Promise<TableEntry[]> {
  // Class names are found beside the compiled program, which this is not.
  const config = { ...(await loadConfig('configs/x3d.yml')), labels: '' }
  const network = buildNetwork(config)
  const file = 'configs/published/x3d.json'
  const { series } = parsePublished(readFileSync(file, 'utf8'), file)
  const entries = series
    .filter(({ method }) => method === 'mutualnet')
    .flatMap(({ points }) => points)
    .map((point): TableEntry => {
      const configuration = configurationOf(point)!
      const { macs, params } = resolve(network, configuration)
      return { ...configuration, macs, params, top1: point.top1 / 100, source: 'published' }
    })
  await writeRun(folder, {
    config,
    weights: freshWeights(network, config),
    table: { format: TABLE_FORMAT, network: network.name, trained: false, entries },
  })
  return entries
}
