/** A run made of somebody else's weights: which configurations it can run at once, and which need calibration. */
import { type Imported, type ImportOptions, importWeights } from '../checkpoints/import/import-weights.ts'
import { mutualNet } from '../checkpoints/names/mutualnet.ts'
import { readWeightsFile, type WeightsFile } from '../checkpoints/weights-file.ts'
import { applyOverrides, type Config, givenKeysOf } from '../config/index.ts'
import type { Scaling } from '../frames/geometry.ts'
import { buildNetwork, initialisationOf } from '../models/index.ts'
import type { Network } from '../network/graph.ts'
import { configurationKey, fullConfiguration, resolve } from '../network/resolve.ts'
import type { BatchNormStatistics } from '../network/store.ts'
import type { NewRun } from './create-run.ts'
import { publishedTable } from './published-table.ts'
import { type QueryTable, TABLE_FORMAT, type TableEntry, untrainedTable } from './query-table.ts'
import { statisticsFile } from './run-files.ts'

export interface ImportedRun extends NewRun {
  readonly network: Network
  readonly file: WeightsFile
  readonly imported: Imported
}

/**
 * Reads a file of weights as the network of a configuration. Nothing is written: `writeRun` does that.
 *
 * @throws MnVideoError `weights` when the file is damaged, unsafe or another network's
 */
export async function importRun(
  path: string,
  given: Config,
  options: Pick<ImportOptions, 'head' | 'strict'> = {},
): Promise<ImportedRun> {
  const network = buildNetwork(given)
  const file = await readWeightsFile(path)
  const imported = importWeights(network, file, path, {
    ...options,
    widths: given.width_mult_list,
    seed: given.random_seed,
    initialisation: initialisationOf(given),
  })
  const config = withScaling(given, imported.report.scaling)
  return {
    config,
    network,
    file,
    imported,
    weights: imported.weights,
    ...(await tableOf(network, config, imported)),
  }
}

/** Preprocessing is a part of the weights: the run scales pictures as they were trained, unless it was told otherwise. */
const withScaling = (config: Config, scaling: Scaling = config.scaling): Config =>
  scaling === config.scaling || givenKeysOf(config).includes('scaling')
    ? config
    : applyOverrides(config, [`scaling=${scaling}`])

/**
 * Statistics are those of full frames and size at the widths that the file has them for. Where everything is
 * the file's, these configurations are the table, and beside them those that MutualNet published accuracies of;
 * where something is fresh, the run is untrained and has all configurations by cost.
 */
async function tableOf(network: Network, config: Config, { statistics, complete, report }: Imported) {
  const files = new Map<string, BatchNormStatistics>()
  const entries = statistics.map(({ width, statistics: values }): TableEntry => {
    const configuration = { ...fullConfiguration(network), width }
    const { macs, params } = resolve(network, configuration)
    const file = statisticsFile(configuration)
    files.set(file, values)
    return { ...configuration, macs, params, statistics: file }
  })
  // Statistics of several widths are what tells MutualNet's weights from a static network of the same layers.
  const mutual = complete && report.scheme === mutualNet.title && statistics.length > 1
  const published = mutual ? await publishedTable(network, config) : []
  const table: QueryTable = complete
    ? {
        format: TABLE_FORMAT,
        network: network.name,
        trained: true,
        entries: byCost(merged(entries, published)),
      }
    : withEntries(untrainedOf(network, config), entries)
  return { table, statistics: files }
}

const byCost = (entries: readonly TableEntry[]): TableEntry[] => [...entries].sort((a, b) => a.macs - b.macs)

/** What is known of each configuration from either. */
function merged(own: readonly TableEntry[], published: readonly TableEntry[]): TableEntry[] {
  const byKey = new Map(own.map((entry) => [configurationKey(entry), entry]))
  for (const entry of published) {
    const key = configurationKey(entry)
    byKey.set(key, { ...entry, ...byKey.get(key) })
  }
  return [...byKey.values()]
}

const untrainedOf = (network: Network, config: Config): QueryTable =>
  untrainedTable(network, {
    widths: config.width_mult_list,
    frames: config.frames_list,
    sizes: config.resolution_list,
  })

function withEntries(table: QueryTable, known: readonly TableEntry[]): QueryTable {
  const byKey = new Map(known.map((entry) => [configurationKey(entry), entry]))
  return { ...table, entries: table.entries.map((entry) => byKey.get(configurationKey(entry)) ?? entry) }
}
