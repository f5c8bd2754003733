/**
 * The folder of a run: the resolved configuration, the weights, the query table and the batch-norm statistics
 * of its configurations. What the files of a run are called is known here and nowhere else.
 */
import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../checkpoints/atomic.ts'
import {
  readSafetensors,
  type SafetensorsTensor,
  toFloat32,
  writeSafetensors,
} from '../checkpoints/safetensors.ts'
import { type Config, formatConfig, parseConfig } from '../config/index.ts'
import { MnVideoError, messageOf, reasonOf } from '../errors.ts'
import { buildNetwork } from '../models/index.ts'
import type { Configuration, Network } from '../network/graph.ts'
import { configurationKey, resolve } from '../network/resolve.ts'
import {
  type BatchNormStatistics,
  initialStatistics,
  ParameterStore,
  parametersOf,
} from '../network/store.ts'
import { parseQueryTable, type QueryTable, type TableEntry } from './query-table.ts'

const CONFIG = 'config.yml'
const WEIGHTS = 'model.safetensors'
const TABLE = 'query-table.json'
const STATISTICS = 'bn'
const PREDICTIONS = 'predictions'
/** What was evaluated, a line each (`sweep-results.ts`). */
export const SWEEP = 'sweep.jsonl'
/** What happened in training, a line each (`run-log.ts`). */
export const LOG = 'log.jsonl'

/** No table or configuration is longer; a file that is was put there by mistake. */
const MAX_TEXT_BYTES = 64 * 2 ** 20

/** What `readRun` finds in a folder. */
export interface Run {
  readonly folder: string
  readonly config: Config
  readonly network: Network
  readonly weights: ParameterStore
  readonly table: QueryTable
}

/** What a new run is made of. */
export interface NewRun extends Pick<Run, 'config' | 'weights' | 'table'> {
  /** Batch-norm statistics by file (`statisticsFile`), as the table's entries name them. */
  readonly statistics?: ReadonlyMap<string, BatchNormStatistics>
}

/** The file of a configuration's batch-norm statistics, relative to the run. */
export const statisticsFile = (configuration: Configuration): string =>
  `${STATISTICS}/${configurationKey(configuration)}.safetensors`

/** The file of what a configuration answered (`predictions.ts`), relative to the run. */
export const predictionsFile = (configuration: Configuration): string =>
  `${PREDICTIONS}/${configurationKey(configuration)}.jsonl`

/**
 * Writes a new run. The query table goes last, so that a folder with a table is whole.
 *
 * @throws MnVideoError `run` when the folder exists and is not empty
 */
export async function writeRun(
  folder: string,
  { config, weights, table, statistics }: NewRun,
): Promise<void> {
  if (folder === '') throw new MnVideoError('usage', 'the run folder has no name. Give --out FOLDER.')
  const existing = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw new MnVideoError('run', `${folder}: cannot be made a run folder: ${reasonOf(error)}.`)
  })
  if (existing.length > 0) {
    throw new MnVideoError('run', `${folder}: already has files. Give --out a folder that is new or empty.`)
  }
  try {
    await mkdir(folder, { recursive: true })
    await writeAtomically(join(folder, CONFIG), [Buffer.from(formatConfig(config))])
    await writeWeights(join(folder, WEIGHTS), buildNetwork(config), weights)
    if (statistics) await mkdir(join(folder, STATISTICS), { recursive: true })
    for (const [file, values] of statistics ?? []) await writeStatistics(join(folder, file), values)
    await writeAtomically(join(folder, TABLE), [Buffer.from(formatTable(table))])
  } catch (error) {
    throw new MnVideoError('run', `${folder}: cannot be written: ${reasonOf(error)}.`, { cause: error })
  }
}

/**
 * Reads a run.
 *
 * @throws MnVideoError `run`, `config` or `weights`, naming the file that is missing or damaged
 */
export async function readRun(folder: string): Promise<Run> {
  const { config, network } = await readRunHead(folder)
  const table = await readTable(folder, network)
  return { folder, config, network, weights: await readWeights(join(folder, WEIGHTS), network), table }
}

/** What a run is of, without its weights. */
export async function readRunHead(folder: string): Promise<Pick<Run, 'folder' | 'config' | 'network'>> {
  const config = parseConfig(await readText(folder, CONFIG), join(folder, CONFIG))
  return { folder, config, network: buildNetwork(config) }
}

/** A run's query table, its costs checked against the network; undefined where it has none yet. */
export const findTable = async (folder: string, network: Network): Promise<QueryTable | undefined> =>
  (await isThere(join(folder, TABLE))) ? readTable(folder, network) : undefined

async function readTable(folder: string, network: Network): Promise<QueryTable> {
  const file = join(folder, TABLE)
  const table = parseQueryTable(await readText(folder, TABLE), file)
  checkTable(table, network, file)
  return table
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

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

/**
 * The batch-norm statistics of a configuration of the table.
 *
 * @throws MnVideoError `run` when a trained entry has none: without its own statistics a configuration guesses
 */
export async function readStatistics(run: Run, entry: TableEntry): Promise<BatchNormStatistics> {
  const subNetwork = resolve(run.network, entry)
  if (!entry.statistics) {
    if (!run.table.trained) return initialStatistics(subNetwork)
    throw new MnVideoError(
      'run',
      `${run.folder}: width ${entry.width}, frames ${entry.frames}, size ${entry.size} has no batch-norm statistics of its own, and without them it only guesses.\n` +
        `Calibrate it on its training data: ${calibrateCommand(run, entry)}\n` +
        'Or choose a configuration of the query table that has some.',
    )
  }
  const file = join(run.folder, entry.statistics)
  const { tensors } = await readSafetensors(file)
  return new Map(
    [...initialStatistics(subNetwork)].map(([name, { mean }]) => {
      const read = (suffix: string) => {
        const tensor = tensors.get(`${name}.${suffix}`)
        if (tensor?.data.length === mean.length) return finite(toFloat32(tensor, file), name, file)
        throw new MnVideoError(
          'weights',
          `${file}: "${name}.${suffix}" must have ${mean.length} values. Calibrate the run again.`,
        )
      }
      return [name, { mean: read('running_mean'), variance: read('running_var') }]
    }),
  )
}

/** What measures a configuration of a run, and estimates its batch-norm statistics first. */
export const calibrateCommand = (
  { folder, network }: Pick<Run, 'folder' | 'network'>,
  { width, frames, size }: Configuration,
): string =>
  `mn-video test ${folder} --widths ${width}${network.media === 'video' ? ` --frames ${frames}` : ''} --sizes ${size}`

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

async function readText(folder: string, name: string): Promise<string> {
  const file = join(folder, name)
  try {
    if ((await stat(file)).size > MAX_TEXT_BYTES) throw new Error('too large')
    return (await readFile(file, 'utf8')).replace(/^\uFEFF/, '')
  } catch (error) {
    const missing = ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')
    throw new MnVideoError(
      'run',
      missing
        ? `${folder}: is not a run (no ${name}). Give a folder that \`mn-video init\` made.`
        : `${file}: cannot be read: ${reasonOf(error)}.`,
    )
  }
}

async function writeWeights(path: string, network: Network, weights: ParameterStore): Promise<void> {
  const tensors = new Map<string, SafetensorsTensor>(
    parametersOf(network).map(({ name, shape }) => [
      name,
      { dtype: 'F32', shape, data: weights.values.get(name)! },
    ]),
  )
  await writeSafetensors(path, tensors, {
    format: 'mn-video',
    network: network.name,
    layout: 'channels last',
  })
}

async function readWeights(path: string, network: Network): Promise<ParameterStore> {
  const { tensors } = await readSafetensors(path)
  const values = new Map(
    [...tensors].map(([name, tensor]) => [name, finite(toFloat32(tensor, path), name, path)]),
  )
  try {
    return new ParameterStore(network, values)
  } catch (error) {
    throw new MnVideoError('weights', `${path}: ${messageOf(error)}`)
  }
}

/** A network with one value that is no number answers nonsense, so none is taken. */
function finite(values: Float32Array, name: string, path: string): Float32Array {
  if (values.every(Number.isFinite)) return values
  throw new MnVideoError(
    'weights',
    `${path}: "${name}" has values that are not numbers. The file is damaged; copy or create it again.`,
  )
}

async function writeStatistics(path: string, statistics: BatchNormStatistics): Promise<void> {
  const vector = (data: Float32Array): SafetensorsTensor => ({ dtype: 'F32', shape: [data.length], data })
  const tensors = [...statistics].flatMap(([name, { mean, variance }]) => [
    [`${name}.running_mean`, vector(mean)] as const,
    [`${name}.running_var`, vector(variance)] as const,
  ])
  await writeSafetensors(path, new Map(tensors), { format: 'mn-video batch-norm statistics' })
}

/** JSON with one entry a line: readable, and small in diffs. */
function formatTable({ entries, ...head }: QueryTable): string {
  const lines = entries.map((entry) => `    ${JSON.stringify(entry)}`)
  const start = JSON.stringify(head, null, 2).slice(0, -2)
  return `${start},\n  "entries": [\n${lines.join(',\n')}\n  ]\n}\n`
}
