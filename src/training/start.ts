/** Where training starts: fresh weights, somebody's weights, or a checkpoint. */
import { stat } from 'node:fs/promises'
import { importWeights } from '../checkpoints/import/import-weights.ts'
import { readWeightsFile } from '../checkpoints/weights-file.ts'
import type { Config, KeyName } from '../config/index.ts'
import { MnVideoError } from '../errors.ts'
import { createRun, readRun, readRunConfig } from '../evaluation/run-folder.ts'
import { freshWeights } from '../models/index.ts'
import type { Network } from '../network/graph.ts'
import type { ParameterStore } from '../network/store.ts'
import { type Checkpoint, checkpointFile, checkpointSteps, readCheckpoint } from './checkpoint.ts'

/** What training starts from; without velocities the optimiser's momentum is zero. */
export type Start = Pick<Checkpoint, 'progress' | 'weights'> & Partial<Checkpoint>

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
  'validate_every',
  'views',
])

/**
 * Makes the run's folder, or takes up the one that is there.
 *
 * @throws MnVideoError `run` when the folder has files and is not to be resumed, or has nothing to resume, or
 *   was made by another configuration
 */
export async function startRun(
  folder: string,
  network: Network,
  config: Config,
  resume: boolean,
): Promise<Start> {
  if (resume) return resumeRun(folder, network, config)
  if ((await checkpointSteps(folder)).length > 0) {
    throw new MnVideoError(
      'run',
      `${folder}: has a run with checkpoints. Give --resume to go on with it, or another --out.`,
    )
  }
  const start = await freshStart(network, config)
  await createRun(folder, config)
  return start
}

/** Weights as the configuration says: of the checkpoint `resume`, of the file or run `pretrained`, or fresh. */
export async function freshStart(network: Network, config: Config): Promise<Start> {
  if (config.resume !== '') return readCheckpoint(config.resume, network)
  const weights =
    config.pretrained === ''
      ? freshWeights(network, config)
      : await pretrainedWeights(config.pretrained, network, config)
  return { progress: { step: 0, seconds: 0 }, weights }
}

async function resumeRun(folder: string, network: Network, config: Config): Promise<Start> {
  refuseOther(folder, await readRunConfig(folder), config)
  const steps = await checkpointSteps(folder)
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
    `${folder}: was started with another configuration: ${shown.join(', ')}${changed.length > 3 ? ', …' : ''}.\nResume with the same one (mn-video train ${folder}/config.yml --resume), or give another --out.`,
  )
}

async function pretrainedWeights(path: string, network: Network, config: Config): Promise<ParameterStore> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (!isFolder) {
    const file = await readWeightsFile(path)
    return importWeights(network, file, path, { widths: config.width_mult_list, seed: config.random_seed })
      .weights
  }
  const run = await readRun(path)
  if (run.network.name === network.name && run.network.classes === network.classes) return run.weights
  throw new MnVideoError(
    'weights',
    `${path}: is ${run.network.name} with ${run.network.classes} classes; pretrained weights must be of ${network.name} with ${network.classes}.`,
  )
}
