import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Config, formatConfig } from '../config/index.ts'
import { CLASSES_FILE } from '../data/sets/folders.ts'
import { MnVideoError, reasonOf } from '../errors.ts'
import { isFolder } from '../files/exists.ts'
import { isHeir } from '../files/lock.ts'
import { unfinishedName } from '../files/temporary.ts'
import { writeAtomically } from '../files/write.ts'
import { buildNetwork } from '../models/index.ts'
import type { BatchNormStatistics } from '../network/store.ts'
import { keepLabels, labelsToKeep } from './labels.ts'
import { CONFIG, EVENTS, LOG, STATISTICS, WEIGHTS, writing } from './run-files.ts'
import { type Run, saveWeights } from './run-folder.ts'
import { holdRun, LOCK, type RunLock } from './run-lock.ts'
import { writeTable } from './table-file.ts'

/** What a new run is made of. */
export interface NewRun extends Pick<Run, 'config' | 'weights' | 'table'> {
  /** Batch-norm statistics by file (`statisticsFile`), as the table's entries name them. */
  readonly statistics?: ReadonlyMap<string, BatchNormStatistics>
  /** The names of its classes, where the configuration does not tell them. */
  readonly labels?: readonly string[] | undefined
}

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
