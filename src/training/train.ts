/**
 * Training from a configuration to a run: the loop around `mutualStep`, with everything that lets it be stopped,
 * watched and gone on with. Nothing is printed here; callers listen to events.
 */
import { join } from 'node:path'
import { type Config, checkConfig } from '../config/index.ts'
import type { EngineName, EngineOptions } from '../engines/index.ts'
import { MnVideoError, throwIfCancelled } from '../errors.ts'
import { buildNetwork } from '../models/index.ts'
import * as option from '../options.ts'
import { checkOptions, type OptionTable } from '../options.ts'
import { calibrationOf } from '../runs/conditions.ts'
import { type BadFileEvent, type Log, openLog, type TrainingEvent } from '../runs/log.ts'
import { EVENTS } from '../runs/run-files.ts'
import type { RunLock } from '../runs/run-lock.ts'
import { removeUnfinished } from './checkpoint.ts'
import { type Ended, loop, type TrainingState } from './loop.ts'
import { requireMemory } from './memory.ts'
import { createMeter } from './meter.ts'
import { movingAverage } from './moving-average.ts'
import { notesOn, openSetup, type TrainingSetup, trainerOptions } from './setup.ts'
import { type Start, startRun } from './start.ts'
import { openTensorboard, scalarsOf, type TensorboardWriter } from './tensorboard.ts'
import { changedData, lastUsedData, usedData } from './used-data.ts'

export interface TrainOptions extends EngineOptions {
  /** The folder of the run; new or empty, or with `resume` one that was trained in. */
  readonly folder: string
  /** Go on from the run's latest checkpoint. */
  readonly resume?: boolean
  /** Default: the best engine there is. */
  readonly engine?: EngineName
  /** Writes TensorBoard event files into the run's `tensorboard` folder. */
  readonly tensorboard?: boolean
  /**
   * Ends training after the current step, with a checkpoint: it then resolves as `stopped`. Given before it starts,
   * it fails with `cancelled`.
   */
  readonly signal?: AbortSignal
  readonly onEvent?: (event: TrainingEvent) => void
}

const TRAIN_OPTIONS: OptionTable<TrainOptions> = {
  ...{ folder: option.text, resume: option.flag, engine: option.text, backend: option.text },
  ...{ threads: option.any, tensorboard: option.flag, signal: option.signal, onEvent: option.callback },
}

export interface Trained extends Ended {
  readonly folder: string
}

/**
 * Trains the network of a configuration. The run's folder gets the configuration, a log, checkpoints and at the
 * end the weights and the query table of the validated configurations.
 *
 * @throws MnVideoError `config`, `media`, `run`, `engine` or `training`; the last checkpoint is whole whatever happens
 */
export async function train(config: Config, options: TrainOptions): Promise<Trained> {
  checkConfig(config, 'train')
  checkOptions('train', options, TRAIN_OPTIONS)
  const { folder, signal } = options
  if (!folder) throw new MnVideoError('usage', 'train needs a folder for the run: { folder }.')
  throwIfCancelled(signal, 'train')
  const network = buildNetwork(config)
  const bad: BadFileEvent[] = []
  const setup = await openSetup(config, network, options, (file, reason) => {
    bad.push({ event: 'bad-file', file, reason })
  })
  let unlock: RunLock | undefined
  let log: Log | undefined
  try {
    const started = await startRun(folder, network, config, {
      resume: options.resume ?? false,
      data: setup.datasets.train,
    })
    const { start } = started
    unlock = started.unlock
    await removeUnfinished(folder)
    log = await openLog(folder)
    const tensorboard = options.tensorboard ? await openTensorboard(join(folder, EVENTS)) : undefined
    const opened = { folder, unlock, log, bad, tensorboard, onEvent: options.onEvent }
    const state = await openState(setup, start, opened)
    try {
      return { folder, ...(await loop(setup, state, signal)) }
    } finally {
      state.trainer.dispose()
    }
  } finally {
    setup.close()
    await log?.close()
    await unlock?.()
  }
}

async function openState(
  { config, network, engine, datasets, stepsPerEpoch }: TrainingSetup,
  start: Start,
  {
    folder,
    unlock: lock,
    log,
    bad,
    tensorboard,
    onEvent,
  }: {
    readonly folder: string
    readonly unlock: RunLock
    readonly log: Log
    readonly bad: BadFileEvent[]
    readonly tensorboard: TensorboardWriter | undefined
    readonly onEvent: TrainOptions['onEvent']
  },
): Promise<TrainingState> {
  const { weights, progress } = start
  const trainer = await engine.openTrainer(network, weights, trainerOptions(config))
  for (const [name, values] of start.velocities ?? []) trainer.velocities().get(name)!.set(values)
  const bytes = requireMemory(trainer, network, config)
  const before = await lastUsedData(folder)
  const data = await usedData(datasets)
  const notes = await notesOn(config, engine, datasets)
  const record = async (event: TrainingEvent) => {
    onEvent?.(event)
    // How far a validation has come is for those who watch.
    if (event.event === 'progress') return
    await log.append(event)
    const drawn = scalarsOf(event)
    if (drawn) await tensorboard?.write(drawn.step, drawn.scalars)
  }
  await record({
    event: 'start',
    network: network.name,
    engine: engine.description,
    method: config.method,
    step: progress.step,
    steps: stepsPerEpoch * config.num_epochs,
    stepsPerEpoch,
    trainingSamples: datasets.train.size,
    validationSamples: datasets.val.size,
    bytes,
    ...(notes.length > 0 && { notes }),
    data,
  })
  let calibration: Promise<string> | undefined
  if (start.taken) await record({ event: 'pretrained', ...start.taken })
  if (before) for (const changed of changedData(before, data)) await record(changed)
  return {
    folder,
    lock,
    weights,
    trainer,
    ...(config.ema > 0 && { average: movingAverage(network, weights, config.ema, start.average) }),
    meter: createMeter(),
    bad,
    record,
    calibration: () => {
      calibration ??= calibrationOf(config, datasets.train)
      return calibration
    },
    progress,
  }
}
