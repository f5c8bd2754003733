/**
 * The folder of a run: the resolved configuration, the weights, the query table and the batch-norm statistics
 * of its configurations.
 */

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { applyOverrides, type Config, parseConfig } from '../config/index.ts'
import { MnVideoError } from '../errors.ts'
import { buildNetwork } from '../models/index.ts'
import type { Configuration, Network } from '../network/graph.ts'
import type { ParameterStore } from '../network/store.ts'
import { shellQuoted } from '../shell.ts'
import type { QueryTable } from './query-table.ts'
import { CONFIG, TABLE, textIn, WEIGHTS, writing } from './run-files.ts'
import { readWeights, writeWeights } from './run-tensors.ts'
import { readTable } from './table-file.ts'

/** What `readRun` finds in a folder. */
export interface Run {
  readonly folder: string
  readonly config: Config
  readonly network: Network
  readonly weights: ParameterStore
  readonly table: QueryTable
}

/** The configuration of a run. */
export async function readRunConfig(folder: string): Promise<Config> {
  return parseConfig(await textIn(folder, CONFIG), join(folder, CONFIG))
}

/**
 * Writes the weights of a run, in place of those that were there.
 *
 * @returns what identifies them
 */
export const saveWeights = (folder: string, network: Network, weights: ParameterStore): Promise<string> =>
  writing(folder, () => writeWeights(join(folder, WEIGHTS), network, weights))

/**
 * Reads a run.
 *
 * @throws MnVideoError `run`, `config` or `weights`, naming the file that is missing or damaged
 */
export async function readRun(folder: string): Promise<Run> {
  const { config, network } = await readRunHead(folder)
  const table = await readTable(folder, network)
  const { weights, id } = await readWeights(join(folder, WEIGHTS), network)
  if (table.weights !== undefined && table.weights !== id) {
    throw new MnVideoError(
      'run',
      `${join(folder, TABLE)}: was measured with other weights than ${WEIGHTS} has. Copy both from one run, or test this one again: mn-video test ${folder}`,
    )
  }
  return { folder, config, network, weights, table }
}

/** A run that has weights, whether or not it has a query table. */
export interface WeightedRun extends Omit<Run, 'table'> {
  /** What identifies the weights. */
  readonly weightsId: string
}

/**
 * Reads a run to be tested.
 *
 * @param set changes to its configuration, as `key=value`
 */
export async function readWeightedRun(folder: string, set: readonly string[] = []): Promise<WeightedRun> {
  const config = applyOverrides(await readRunConfig(folder), set)
  const network = buildNetwork(config)
  const { weights, id } = await readWeights(join(folder, WEIGHTS), network)
  return { folder, config, network, weights, weightsId: id }
}

/** What a run is of, without its weights. */
export async function readRunHead(folder: string): Promise<Pick<Run, 'folder' | 'config' | 'network'>> {
  const config = await readRunConfig(folder)
  return { folder, config, network: buildNetwork(config) }
}

/**
 * What measures a configuration of a run, and estimates its batch-norm statistics first: with the views, the precision
 * and the data of the query table, which would not take it up with others.
 */
export function calibrateCommand(
  { folder, config, network, table }: Pick<Run, 'folder' | 'config' | 'network' | 'table'>,
  { width, frames, size }: Configuration,
): string {
  const shape = `--widths ${width}${network.media === 'video' ? ` --frames ${frames}` : ''} --sizes ${size}`
  const { views = config.views, precision, set = [] } = table
  const flags = [
    ...(views === config.views ? [] : [`--views ${views}`]),
    ...(precision ? [`--precision ${precision}`] : []),
    ...set.map((change) => `--set ${shellQuoted(change)}`),
  ]
  return ['mn-video test', shellQuoted(folder), shape, ...flags].join(' ')
}

/** The newest run in a folder of runs: the one whose query table was written last. */
export async function newestRun(runs = 'runs'): Promise<string> {
  const folders = await readdir(runs).catch(() => [])
  const dated = await Promise.all(
    folders.map(async (name) => {
      const table = await stat(join(runs, name, TABLE)).catch(() => undefined)
      return { folder: join(runs, name), written: table?.mtimeMs ?? -1 }
    }),
  )
  const newest = dated
    .filter(({ written }) => written >= 0)
    .sort((a, b) => b.written - a.written || (a.folder < b.folder ? -1 : 1))[0]
  if (newest) return newest.folder
  throw new MnVideoError(
    'run',
    `no run with a query table under ./${runs}. Make one with \`mn-video init x3d --out ${join(runs, 'x3d')}\`, or name one with --model.`,
  )
}
