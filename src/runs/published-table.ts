/** Published query tables for imported weights: what their authors measured, until they are measured here. */
import { type Config, loadConfig } from '../config/index.ts'
import { buildNetwork } from '../models/index.ts'
import type { Network } from '../network/graph.ts'
import { fullConfiguration, resolve } from '../network/resolve.ts'
import { configurationOf, loadPublished, publishedNames } from './published.ts'
import type { TableEntry } from './query-table.ts'

/**
 * The published query table of MutualNet's weights for a network; none where there is none for its name, data set,
 * classes and size. Whether weights are the ones that were measured cannot be known from them: entries say that
 * their accuracies are published.
 */
export async function publishedTable(network: Network, config: Config): Promise<TableEntry[]> {
  for (const name of await publishedNames()) {
    const { dataset, series } = await loadPublished(name)
    for (const { query_table, recipe, points } of series) {
      if (!query_table || recipe !== config.model || dataset !== config.dataset) continue
      const measured = buildNetwork(await loadConfig(recipe))
      if (measured.classes !== network.classes || !costsAlike(measured, network)) continue
      return points.map((point): TableEntry => {
        const configuration = configurationOf(point)!
        const { macs, params } = resolve(network, configuration)
        return {
          ...configuration,
          macs,
          params,
          top1: Number((point.top1 / 100).toFixed(6)),
          source: 'published',
        }
      })
    }
  }
  return []
}

const costsAlike = (a: Network, b: Network): boolean =>
  a.size === b.size && resolve(a, fullConfiguration(a)).macs === resolve(b, fullConfiguration(b)).macs
