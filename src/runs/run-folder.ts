/**
 * The folder of a run: the resolved configuration, the weights, the query table and the batch-norm statistics
 * of its configurations. What the files of a run are called is known here and nowhere else.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { applyOverrides, type Config, formatConfig, parseConfig } from '../config/index.ts'
import { CLASSES_FILE } from '../data/sets/folders.ts'
import { MnVideoError, reasonOf } from '../errors.ts'
import { isFolder, isThere } from '../files/exists.ts'
import { isHeir } from '../files/lock.ts'
import { readText } from '../files/read.ts'
import { unfinishedName } from '../files/temporary.ts'
import { writeAtomically } from '../files/write.ts'
import { buildNetwork } from '../models/index.ts'
import type { Configuration, Network } from '../network/graph.ts'
import { configurationKey, resolve, trainedSize } from '../network/resolve.ts'
import { type BatchNormStatistics, initialStatistics, type ParameterStore } from '../network/store.ts'
import { shellQuoted } from '../shell.ts'
import type { Conditions } from './conditions.ts'
import { keepLabels, labelsToKeep } from './labels.ts'
import { digestOf, parseQueryTable, type QueryTable, type TableEntry } from './query-table.ts'
import { holdRun, LOCK, type RunLock } from './run-lock.ts'
import {
  readStatisticsFile,
  readWeights,
  weightsOfStatistics,
  writeStatistics,
  writeWeights,
} from './run-tensors.ts'

const CONFIG = 'config.yml'
const WEIGHTS = 'model.safetensors'

const TABLE = 'query-table.json'
const STATISTICS = 'bn'
const PREDICTIONS = 'predictions'
/** What was evaluated, a line each (`sweep-results.ts`). */
export const SWEEP = 'sweep.jsonl'
/** What happened in training, a line each (`log.ts`). */
export const LOG = 'log.jsonl'
/** The folder of TensorBoard's event files. */
export const EVENTS = 'tensorboard'

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
  /** The names of its classes, where the configuration does not tell them. */
  readonly labels?: readonly string[] | undefined
}

/**
 * The file of a configuration's batch-norm statistics, relative to the run.
 *
 * @param calibration what they were estimated from; none for those that came with the weights
 */
export const statisticsFile = (configuration: Configuration, calibration?: string): string =>
  `${STATISTICS}/${configurationKey(configuration)}${calibration === undefined ? '' : `-${calibration}`}.safetensors`

/** What answers belong to: those of a run from before do not say. */
export type AnswersOf = Configuration & {
  readonly [K in keyof Conditions | 'weights' | 'calibration']?: string | undefined
}

/** The file of what a configuration answered with some views (`predictions.ts`), relative to the run. */
export function predictionsFile(of: AnswersOf, views: string): string {
  const { weights, data, settings, calibration } = of
  const belongsTo = [weights, data, settings, calibration]
  const id = createHash('sha256').update(JSON.stringify(belongsTo)).digest('hex').slice(0, 12)
  return `${PREDICTIONS}/${configurationKey(of)}${views === '1x1' ? '' : `-${views}`}${data === undefined ? '' : `-${id}`}.jsonl`
}

/** The file of a run's weights. */
export const weightsFile = (folder: string): string => join(folder, WEIGHTS)

/**
 * Writes a new run. The query table goes last, so that a folder with a table is whole. When that fails, what was
 * written goes; when the process is killed, the next `createRun` takes the folder as new.
 *
 * @throws MnVideoError `run` when the folder exists and is not empty
 */
export async function writeRun(
  folder: string,
  { config, weights, table, statistics = new Map(), labels }: NewRun,
): Promise<void> {
  const lock = await createRun(folder, config, { ...(labels && { labels }) })
  try {
    const id = await saveWeights(folder, buildNetwork(config), weights)
    await writeTable(folder, { ...table, weights: id }, statistics)
  } catch (error) {
    await clear(folder, MADE).catch(() => {})
    throw error
  } finally {
    await lock()
  }
}

/** What `writeRun` makes before the query table. */
const MADE = [CONFIG, CLASSES_FILE, WEIGHTS, STATISTICS]

/** What training makes before its first checkpoint. */
const BEGUN = [CONFIG, CLASSES_FILE, LOG, EVENTS]

/**
 * Makes the folder of a run, with its configuration and the names of its classes, and holds it. A folder that a killed
 * process had just begun is as good as new; for training so is one in which a training ended before its first checkpoint.
 *
 * @throws MnVideoError `run` when the folder exists and is not empty, or another process is at work there
 */
export async function createRun(
  folder: string,
  config: Config,
  { labels, isTraining = false }: { readonly labels?: readonly string[]; readonly isTraining?: boolean } = {},
): Promise<RunLock> {
  const names = await labelsToKeep(config, labels)
  if (folder === '') throw new MnVideoError('usage', 'the run folder has no name. Give --out FOLDER.')
  const refuseOthers = async (isInherited: boolean) => {
    const files = await filesOf(folder)
    const isBegun = isTraining && files.has(CONFIG) && files.has(LOG)
    const worthless = new Set([LOCK, ...(isInherited ? MADE : []), ...(isBegun ? BEGUN : [])])
    if ([...files].every((file) => worthless.has(file))) return
    throw new MnVideoError('run', `${folder}: already has files. Give --out a folder that is new or empty.`)
  }
  // Where other things lie, nothing is written.
  if (!(await filesOf(folder)).has(LOCK)) await refuseOthers(false)
  await writing(folder, () => mkdir(folder, { recursive: true }))
  const lock = await holdRun(folder)
  try {
    await refuseOthers(lock.inherited)
    await writing(folder, async () => {
      await clear(folder, [...MADE, ...BEGUN])
      if (names) await keepLabels(folder, names)
      await writeAtomically(join(folder, CONFIG), [Buffer.from(formatConfig(config))])
    })
    return lock
  } catch (error) {
    await lock()
    throw error
  }
}

async function clear(folder: string, files: readonly string[]): Promise<void> {
  for (const file of files) await rm(join(folder, file), { recursive: true, force: true })
}

/** Whether a folder is there in which nothing was begun that could be gone on with: a start that was killed at once. */
export async function isUnbegun(folder: string): Promise<boolean> {
  if (!(await isFolder(folder))) return false
  const files = await filesOf(folder)
  files.delete(LOCK)
  return files.size === 0
}

/** What lies in a folder, but for what is not finished; nothing where there is none. */
async function filesOf(folder: string): Promise<Set<string>> {
  const files = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw new MnVideoError('run', `${folder}: cannot be made a run folder: ${reasonOf(error)}.`)
  })
  return new Set(files.filter((file) => unfinishedName(file) === undefined && !isHeir(file, LOCK)))
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

async function writing<T>(folder: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (error) {
    if (error instanceof MnVideoError) throw error
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

/** Batch-norm statistics of a configuration, and what they were estimated from; undefined: they came with the weights. */
export interface KeptStatistics {
  readonly statistics: BatchNormStatistics
  readonly calibration: string | undefined
}

/** Keeps the statistics of a configuration, calibrated with the weights of that identity. */
export const saveStatistics = (
  folder: string,
  configuration: Configuration,
  { statistics, calibration }: KeptStatistics,
  weightsId: string,
): Promise<void> =>
  writing(folder, async () => {
    await mkdir(join(folder, STATISTICS), { recursive: true })
    await writeStatistics(join(folder, statisticsFile(configuration, calibration)), statistics, weightsId)
  })

/**
 * The statistics that a run has of a configuration: those that came with its weights, else those of a calibration.
 *
 * @param calibration which; undefined for any, where there is nothing to calibrate with
 */
export async function findStatistics(
  { folder, network, weightsId }: WeightedRun,
  configuration: Configuration,
  calibration: string | undefined,
): Promise<KeptStatistics | undefined> {
  const key = configurationKey(configuration)
  const calibrations =
    calibration !== undefined
      ? [calibration]
      : (await readdir(join(folder, STATISTICS)).catch(() => [])).flatMap(
          (file) =>
            CALIBRATED.exec(file)
              ?.slice(1, 2)
              .filter(() => file.startsWith(`${key}-`)) ?? [],
        )
  for (const one of [undefined, ...calibrations]) {
    const file = join(folder, statisticsFile(configuration, one))
    if (!(await isThere(file))) continue
    const { statistics, weights } = await readStatisticsFile(file, resolve(network, configuration))
    if (weights === weightsId) return { statistics, calibration: one }
  }
  return undefined
}

/** The keys of the configurations whose statistics came with the weights. */
export async function givenStatistics({
  folder,
  weightsId,
}: Pick<WeightedRun, 'folder' | 'weightsId'>): Promise<Set<string>> {
  const given = new Set<string>()
  for (const file of await readdir(join(folder, STATISTICS)).catch(() => [])) {
    const key = GIVEN.exec(file)?.[1]
    if (key && (await weightsOfStatistics(join(folder, STATISTICS, file))) === weightsId) given.add(key)
  }
  return given
}

/** `W-T-S.safetensors`, and `W-T-S-CALIBRATION.safetensors`. */
const GIVEN = /^([\d.]+-\d+-\d+)\.safetensors$/
const CALIBRATED = /^[\d.]+-\d+-\d+-([\da-f]{16})\.safetensors$/

/** Removes statistics that no entry of a table names. */
export async function pruneStatistics(folder: string, { entries }: QueryTable): Promise<void> {
  const named = new Set(entries.map(({ statistics }) => statistics))
  const files = await readdir(join(folder, STATISTICS)).catch(() => [])
  const whole = files.filter((file) => unfinishedName(file) === undefined)
  const unused = whole.map((file) => `${STATISTICS}/${file}`).filter((file) => !named.has(file))
  await Promise.all(unused.map((file) => rm(join(folder, file), { force: true })))
}

/** What a run is of, without its weights. */
export async function readRunHead(folder: string): Promise<Pick<Run, 'folder' | 'config' | 'network'>> {
  const config = await readRunConfig(folder)
  return { folder, config, network: buildNetwork(config) }
}

/** A run's query table, its costs checked against the network; undefined where it has none yet. */
export const findTable = async (folder: string, network: Network): Promise<QueryTable | undefined> =>
  (await isThere(join(folder, TABLE))) ? readTable(folder, network) : undefined

async function readTable(folder: string, network: Network): Promise<QueryTable> {
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

/**
 * The batch-norm statistics of a configuration of the table, or of one above the training size.
 *
 * @throws MnVideoError `run` when a trained entry has none: without its own statistics a configuration guesses
 */
export async function readStatistics(run: Run, entry: TableEntry): Promise<BatchNormStatistics> {
  const subNetwork = resolve(run.network, entry)
  const statistics = entry.statistics ?? trainedStatistics(run, entry)
  if (!statistics) {
    if (!run.table.trained) return initialStatistics(subNetwork)
    throw new MnVideoError(
      'run',
      `${run.folder}: width ${entry.width}, frames ${entry.frames}, size ${entry.size} has no batch-norm statistics of its own, and without them it only guesses.\n` +
        `Calibrate it on its training data: ${calibrateCommand(run, entry)}\n` +
        'Or choose a configuration of the query table that has some.',
    )
  }
  const file = join(run.folder, statistics)
  const read = await readStatisticsFile(file, subNetwork)
  if (read.weights === undefined || run.table.weights === undefined || read.weights === run.table.weights)
    return read.statistics
  throw new MnVideoError(
    'run',
    `${file}: belongs to other weights. Test the run again: mn-video test ${run.folder}`,
  )
}

/** The statistics' file of the same configuration at the training size, for one above it. */
function trainedStatistics({ network, table }: Run, configuration: TableEntry): string | undefined {
  const key = configurationKey(trainedSize(network, configuration))
  return table.entries.find((entry) => configurationKey(entry) === key)?.statistics
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

async function textIn(folder: string, name: string): Promise<string> {
  const file = join(folder, name)
  try {
    return await readText(file, MAX_TEXT_BYTES)
  } catch (error) {
    const missing = ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')
    throw new MnVideoError(
      'run',
      missing
        ? `${folder}: is not a run (no ${name}). Give a folder that \`mn-video train\`, \`init\` or \`import\` made.`
        : `${file}: cannot be read: ${reasonOf(error)}.`,
    )
  }
}

/** JSON with one entry a line: readable, and small in diffs. */
function formatTable(table: QueryTable): string {
  const { entries, ...head } = { ...table, digest: digestOf(table) }
  const lines = entries.map((entry) => `    ${JSON.stringify(entry)}`)
  const start = JSON.stringify(head, null, 2).slice(0, -2)
  return `${start},\n  "entries": [\n${lines.join(',\n')}\n  ]\n}\n`
}
