/** Where training starts: fresh weights, somebody's weights, or a checkpoint. */
import { importWeights } from '../checkpoints/import/import-weights.ts'
import { type Taken, takenOf } from '../checkpoints/import/taken.ts'
import { readWeightsFile } from '../checkpoints/weights-file.ts'
import type { Config, KeyName } from '../config/index.ts'
import type { Dataset } from '../data/sets/dataset.ts'
import { MnVideoError } from '../errors.ts'
import { isFolder, isThere } from '../files/exists.ts'
import { freshWeights, initialisationOf } from '../models/index.ts'
import type { Network } from '../network/graph.ts'
import type { ParameterStore } from '../network/store.ts'
import { createRun, isUnbegun } from '../runs/create-run.ts'
import { adoptLabels } from '../runs/labels.ts'
import { weightsFile } from '../runs/run-files.ts'
import { readRunConfig } from '../runs/run-folder.ts'
import type { RunLock } from '../runs/run-lock.ts'
import { shellQuoted } from '../shell.ts'
import { type Checkpoint, checkpointFile, checkpointSteps, readCheckpoint } from './checkpoint.ts'
import { lockRun } from './lock.ts'

/** What training starts from; without velocities the optimiser's momentum is zero. */
export type Start = Pick<Checkpoint, 'progress' | 'weights'> &
  Partial<Checkpoint> & {
    /** What was taken of the weights of `pretrained`. */
    readonly taken?: Taken
  }

/** Keys that may change when a run is resumed: they do not change what is learned. */
const FREE: ReadonlySet<KeyName> = new Set<KeyName>([
  'checkpoint_minutes',
  'data_loader_workers',
  'dataset_dir',
  'keep_checkpoints',
  'labels',
  'log_dir',
  'max_bad_fraction',
  'pretrained',
  'print_freq',
  'resume',
  'test_only',
  'val_list',
  'validate_every',
  'views',
])

/**
 * Makes the run's folder, or takes up the one that is there, and holds it. What training goes on from is read then, so
 * that it is the last that anybody wrote.
 *
 * @param data what is trained on: the run keeps the names of its classes, where it has them
 * @throws MnVideoError `run` when the folder has files and is not to be resumed, or has nothing to resume, or
 *   was made by another configuration
 */
export async function startRun(
  folder: string,
  network: Network,
  config: Config,
  { resume, data }: { readonly resume: boolean; readonly data: Pick<Dataset, 'origin' | 'classes'> },
): Promise<{ readonly start: Start; readonly unlock: RunLock }> {
  // A start that was killed at once has left nothing to go on with: it is made again.
  if (resume && !(await isUnbegun(folder))) {
    refuseOther(folder, await readRunConfig(folder), config)
    const unlock = await lockRun(folder)
    try {
      const start = await latestCheckpoint(folder, network, config)
      await adoptLabels(folder, config, data)
      return { start, unlock }
    } catch (error) {
      await unlock()
      throw error
    }
  }
  if ((await checkpointSteps(folder)).length > 0) {
    throw new MnVideoError(
      'run',
      `${folder}: has a run with checkpoints. Give --resume to go on with it, or another --out.`,
    )
  }
  await refuseUntrained(folder)
  const start = await freshStart(network, config)
  const { classes: labels } = data
  return { start, unlock: await createRun(folder, config, { ...(labels && { labels }), isTraining: true }) }
}

/** Weights as the configuration says: of the checkpoint `resume`, of the file or run `pretrained`, or fresh. */
export async function freshStart(network: Network, config: Config): Promise<Start> {
  if (config.resume !== '') return readCheckpoint(config.resume, network)
  const progress = { step: 0, seconds: 0 }
  if (config.pretrained === '') return { progress, weights: freshWeights(network, config) }
  return { progress, ...(await pretrainedWeights(config.pretrained, network, config)) }
}

async function latestCheckpoint(folder: string, network: Network, config: Config): Promise<Start> {
  const steps = await checkpointSteps(folder)
  if (steps.length === 0) await refuseUntrained(folder)
  const problems: MnVideoError[] = []
  for (const step of steps) {
    try {
      return await readCheckpoint(checkpointFile(folder, step), network)
    } catch (error) {
      // A damaged one, from a disk that failed say, does not lose those before it.
      if (!(error instanceof MnVideoError)) throw error
      problems.push(error)
    }
  }
  if (problems[0]) throw problems[0]
  // Stopped before its first checkpoint: from the start.
  return freshStart(network, config)
}

/** Weights without a checkpoint are an imported or initial run's: nothing is trained over them. */
async function refuseUntrained(folder: string): Promise<void> {
  if (!(await isThere(weightsFile(folder)))) return
  const run = shellQuoted(folder)
  const other = shellQuoted(`${folder.replace(/\/+$/, '')}-trained`)
  throw new MnVideoError(
    'run',
    `${folder}: has weights but no checkpoint to go on from, as import and init make it.\n` +
      `Train from its weights into another folder: mn-video train ${run} --set pretrained=${run} --out ${other}`,
  )
}

/** Going on under other rules would be neither the old run nor a new one. */
function refuseOther(folder: string, before: Config, now: Config): void {
  const changed = (Object.keys(now) as KeyName[]).filter(
    (key) => !FREE.has(key) && JSON.stringify(before[key]) !== JSON.stringify(now[key]),
  )
  if (changed.length === 0) return
  const shown = changed
    .slice(0, 3)
    .map((key) => `${key} (${JSON.stringify(before[key])} there, ${JSON.stringify(now[key])} now)`)
  throw new MnVideoError(
    'run',
    `${folder}: was started with another configuration: ${shown.join(', ')}${changed.length > 3 ? ', …' : ''}.\nResume with the same one (mn-video train ${shellQuoted(folder)} --resume), or leave out --resume and give another --out.`,
  )
}

/** Weights of a file or run, whoever made it; what it lacks is fresh, a classifier of other classes too. */
async function pretrainedWeights(
  path: string,
  network: Network,
  config: Config,
): Promise<{ readonly weights: ParameterStore; readonly taken: Taken }> {
  const file = await weightsFileAt(path)
  const read = await readWeightsFile(file)
  const imported = importWeights(network, read, file, {
    widths: config.width_mult_list,
    seed: config.random_seed,
    initialisation: initialisationOf(config),
  })
  return { weights: imported.weights, taken: takenOf(file, read, network, imported, { statistics: false }) }
}

/** The file of weights that a path names: itself, or a run's; of a run that was stopped early its latest checkpoint. */
async function weightsFileAt(path: string): Promise<string> {
  if (!(await isFolder(path))) return path
  await readRunConfig(path)
  const weights = weightsFile(path)
  const [latest] = await checkpointSteps(path)
  if (latest === undefined || (await isThere(weights))) return weights
  return checkpointFile(path, latest)
}
