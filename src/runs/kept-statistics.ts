import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MnVideoError } from '../errors.ts'
import { isThere } from '../files/exists.ts'
import { unfinishedName } from '../files/temporary.ts'
import type { Configuration } from '../network/graph.ts'
import { configurationKey, resolve, trainedSize } from '../network/resolve.ts'
import { type BatchNormStatistics, initialStatistics } from '../network/store.ts'
import type { QueryTable, TableEntry } from './query-table.ts'
import { STATISTICS, statisticsFile, writing } from './run-files.ts'
import { calibrateCommand, type Run, type WeightedRun } from './run-folder.ts'
import { readStatisticsFile, weightsOfStatistics, writeStatistics } from './run-tensors.ts'

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
