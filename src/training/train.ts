/**
 * Training from a configuration to a run: the loop around `mutualStep`, with everything that lets it be stopped,
 * watched and gone on with. Nothing is printed here; callers listen to events.
 */
import { join } from 'node:path'
import { type Config, checkConfig } from '../config/index.ts'
import { type Batch, openTrainingLoader, type TrainingLoader } from '../data/loading/loader.ts'
import { openDatasets, passedOverLines } from '../data/sets/dataset.ts'
import type { Engine, Trainer } from '../engines/engine.ts'
import { type EngineName, type EngineOptions, openEngine } from '../engines/index.ts'
import { skippedLines } from '../engines/precision.ts'
import { MnVideoError, throwIfCancelled } from '../errors.ts'
import { buildNetwork } from '../models/index.ts'
import type { Network } from '../network/graph.ts'
import { configurationKey } from '../network/resolve.ts'
import type { ParameterStore } from '../network/store.ts'
import * as option from '../options.ts'
import { checkOptions, type OptionTable } from '../options.ts'
import { calibrationOf } from '../runs/conditions.ts'
import { labelsNote, labelsToKeep } from '../runs/labels.ts'
import {
  type BadFileEvent,
  type Log,
  openLog,
  type ProgressEvent,
  type StepEvent,
  type TrainingEvent,
} from '../runs/log.ts'
import { EVENTS, saveWeights, writeTable } from '../runs/run-folder.ts'
import type { RunLock } from '../runs/run-lock.ts'
import { useLauncher } from '../video/launch.ts'
import { type Progress, pruneCheckpoints, removeUnfinished, writeCheckpoint } from './checkpoint.ts'
import { diverged } from './diverged.ts'
import { requireMemory } from './memory.ts'
import { createMeter } from './meter.ts'
import { type MovingAverage, movingAverage } from './moving-average.ts'
import { learningRate } from './schedule.ts'
import { type Start, startRun } from './start.ts'
import { mutualStep, type StepResult } from './step.ts'
import { openTensorboard, type TensorboardWriter } from './tensorboard.ts'
import { changedData, lastUsedData, usedData } from './used-data.ts'
import { tableOf, type Validation, validate } from './validate.ts'

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

export interface Trained {
  readonly folder: string
  readonly step: number
  /** `stopped` by the signal; then the run can be resumed. */
  readonly reason: 'done' | 'stopped'
  /** Of the last validation; absent when stopped. */
  readonly validation?: Validation
}

/** What a training needs besides its weights: made from a configuration alone. */
export interface Workplace {
  readonly config: Config
  readonly network: Network
  readonly engine: Engine
  readonly loader: TrainingLoader
  readonly datasets: Awaited<ReturnType<typeof openDatasets>>
  readonly stepsPerEpoch: number
  /** Kills the decoders. */
  close(): void
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
  const place = await openWorkplace(config, network, options, (file, reason) => {
    bad.push({ event: 'bad-file', file, reason })
  })
  let unlock: RunLock | undefined
  let log: Log | undefined
  try {
    const started = await startRun(folder, network, config, {
      resume: options.resume ?? false,
      data: place.datasets.train,
    })
    const { start } = started
    unlock = started.unlock
    await removeUnfinished(folder)
    log = await openLog(folder)
    const tensorboard = options.tensorboard ? await openTensorboard(join(folder, EVENTS)) : undefined
    const opened = { folder, unlock, log, bad, tensorboard, onEvent: options.onEvent }
    const run = await openRun(place, start, opened)
    try {
      return await loop(place, run, signal)
    } finally {
      run.trainer.dispose()
    }
  } finally {
    place.close()
    await log?.close()
    await unlock?.()
  }
}

/** Opens what a configuration trains with: its data sets and an engine. */
export async function openWorkplace(
  config: Config,
  network: Network,
  options: EngineOptions & { readonly engine?: EngineName },
  onBad: (file: string, reason: string) => void,
): Promise<Workplace> {
  const datasets = await openDatasets(config)
  // A list of names that does not fit is found out now, not when the run is used.
  await labelsToKeep(config, datasets.train.classes)
  useLauncher()
  const engine = await openEngine(options.engine, options)
  const closing = new AbortController()
  const loader = openTrainingLoader(datasets.train, network, config, { signal: closing.signal, onBad })
  return {
    config,
    network,
    engine,
    loader,
    datasets,
    stepsPerEpoch: Math.ceil(loader.batchesPerEpoch / config.accumulate),
    close: () => closing.abort(),
  }
}

/** What is to be said of engine and data before training, a line each. */
export async function notesOn(
  config: Config,
  engine: Engine,
  datasets: Workplace['datasets'],
): Promise<string[]> {
  const note = await labelsNote(config, await labelsToKeep(config, datasets.train.classes))
  const passedOver = passedOverLines([datasets.train, datasets.val])
  return [...skippedLines(engine), ...passedOver, ...(note ? [note] : [])]
}

export const trainerOptions = ({ momentum, nesterov, weight_decay, weight_decay_on, mean, std }: Config) => ({
  momentum,
  nesterov,
  weightDecay: weight_decay,
  decayRule: weight_decay_on,
  normalisation: { mean, std },
})

/** The changing part of a training. */
interface Run {
  readonly folder: string
  readonly lock: RunLock
  readonly weights: ParameterStore
  readonly trainer: Trainer
  readonly average?: MovingAverage
  readonly meter: ReturnType<typeof createMeter>
  /** Files found bad since they were last recorded. */
  readonly bad: BadFileEvent[]
  /** Tells, logs and draws an event. */
  record(event: TrainingEvent): Promise<void>
  /** What statistics that are estimated here are called; looked at once, because it asks for every file's state. */
  calibration(): Promise<string>
  progress: Progress
}

async function openRun(
  { config, network, engine, datasets, stepsPerEpoch }: Workplace,
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
): Promise<Run> {
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

async function loop(place: Workplace, run: Run, signal: AbortSignal | undefined): Promise<Trained> {
  const { config, network, loader, stepsPerEpoch } = place
  const { folder, meter } = run
  const steps = stepsPerEpoch * config.num_epochs
  const before = run.progress.seconds
  const started = performance.now()
  const seconds = () => before + (performance.now() - started) / 1000
  let saved = { ...run.progress, at: performance.now() }

  const save = async () => {
    const { step, validated } = run.progress
    if (saved.step === step && saved.validated === validated) return
    run.progress = { ...run.progress, seconds: seconds() }
    await run.lock.check()
    const average = run.average && { average: run.average.weights.values }
    const file = await writeCheckpoint(folder, network, {
      progress: run.progress,
      weights: run.weights,
      velocities: run.trainer.velocities(),
      ...average,
    })
    await pruneCheckpoints(folder, config.keep_checkpoints, run.progress.best?.step)
    saved = { ...run.progress, at: performance.now() }
    await run.record({ event: 'checkpoint', step, file })
  }
  const end = async (reason: 'done' | 'stopped', validation?: Validation): Promise<Trained> => {
    await save()
    const { step } = run.progress
    await run.record({ event: 'end', step, reason, seconds: seconds() })
    return { folder, step, reason, ...(validation && { validation }) }
  }

  /** A validation in between where one is due that was not done, be it that it was interrupted; false when it is now. */
  const validatedWhereDue = async (): Promise<boolean> => {
    const { step, validated: last } = run.progress
    const epochs = step / stepsPerEpoch
    const isDue = config.validate_every > 0 && step > 0 && epochs % config.validate_every === 0
    if (!isDue || step === last || step === steps) return true
    if (!(await validated(place, run, signal))) return false
    await save()
    return true
  }

  if (!(await validatedWhereDue())) return end('stopped')
  while (run.progress.step < steps) {
    const epoch = Math.floor(run.progress.step / stepsPerEpoch)
    const batches = loader.epoch(epoch, (run.progress.step % stepsPerEpoch) * config.accumulate)
    try {
      while (run.progress.step < (epoch + 1) * stepsPerEpoch) {
        const group = await meter.waiting(() => unlessAborted(take(batches, config.accumulate), signal))
        if (group === undefined) return await end('stopped')
        await oneStep(place, run, group)
        if (signal?.aborted) return await end('stopped')
        if (performance.now() - saved.at > config.checkpoint_minutes * 60_000) await save()
      }
    } finally {
      // Not waited for: it would first finish decoding what nobody reads any more.
      batches.return(undefined).catch(() => undefined)
    }
    // Before what may take long, so that it is not lost to whatever happens there.
    await save()
    if (!(await validatedWhereDue())) return end('stopped')
    meter.skip()
  }
  // Also where all steps were done before and only this was interrupted.
  const validation = await validated(place, run, signal)
  return validation ? end('done', validation) : end('stopped')
}

/** Looks at the network as it is and writes what a run needs to be used; undefined when the signal is given. */
async function validated(
  place: Workplace,
  run: Run,
  signal: AbortSignal | undefined,
): Promise<Validation | undefined> {
  const validation = await unlessAborted(look(place, run, signal), signal)
  if (!validation) return undefined
  const id = await saveWeights(run.folder, place.network, run.average?.weights ?? run.weights)
  const { table, statistics } = tableOf(place.network, validation)
  await writeTable(run.folder, { ...table, weights: id }, statistics)
  run.progress = { ...run.progress, validated: run.progress.step }
  return validation
}

async function oneStep(
  { config, network, stepsPerEpoch }: Workplace,
  run: Run,
  group: readonly Batch[],
): Promise<void> {
  const { step } = run.progress
  const lr = learningRate(config, step / stepsPerEpoch)
  const result = await mutualStep(run.trainer, network, config, group, {
    step,
    learningRate: lr,
    onPart: (done, total) =>
      void run.record({ event: 'progress', what: `step ${step + 1}: part`, done, total }),
  })
  if (!Number.isFinite(result.gradientNorm)) throw await diverged(run, config, result, lr)
  run.average?.update()
  run.progress = { ...run.progress, step: step + 1 }
  run.meter.step(result.samples)
  for (const event of run.bad.splice(0)) await run.record(event)
  await run.record(stepEvent(config, run, result, lr, stepsPerEpoch))
}

function stepEvent(
  config: Config,
  { progress: { step }, meter }: Run,
  result: StepResult,
  lr: number,
  stepsPerEpoch: number,
): StepEvent {
  return {
    event: 'step',
    step,
    epoch: step / stepsPerEpoch,
    lr,
    losses: Object.fromEntries(result.losses.map(({ name, loss }) => [name, loss])),
    configurations: Object.fromEntries(result.losses.map(({ name, configuration }) => [name, configuration])),
    top1: result.top1,
    gradientNorm: result.gradientNorm,
    samplesPerSecond: meter.samplesPerSecond,
    waitShare: meter.waitShare,
    secondsLeft: (stepsPerEpoch * config.num_epochs - step) * meter.secondsPerStep,
  }
}

/** Calibrates, validates, and remembers the best. */
async function look(place: Workplace, run: Run, signal: AbortSignal | undefined): Promise<Validation> {
  const { engine, network, config, loader, datasets, stepsPerEpoch } = place
  const weights = run.average?.weights ?? run.weights
  const trainer = run.average
    ? await engine.openTrainer(network, weights, trainerOptions(config))
    : run.trainer
  try {
    const context = {
      ...{ engine, network, config, loader, trainer, weights },
      dataset: datasets.val,
      calibration: await run.calibration(),
    }
    const tell = (event: ProgressEvent | BadFileEvent) => void run.record(event)
    const validation = await validate(context, tell, signal)
    const { step } = run.progress
    for (const { width, frames, size, macs, top1, top5 } of validation.entries) {
      await run.record({
        event: 'validation',
        step,
        epoch: step / stepsPerEpoch,
        width,
        frames,
        size,
        macs,
        top1,
        top5,
        samples: validation.samples,
        ...(validation.unreadable > 0 && { unreadable: validation.unreadable }),
      })
    }
    const mean = validation.entries.reduce((sum, { top1 }) => sum + top1, 0) / validation.entries.length
    if (!run.progress.best || mean > run.progress.best.top1) {
      run.progress = { ...run.progress, best: { step, top1: mean } }
    }
    return validation
  } finally {
    if (trainer !== run.trainer) trainer.dispose()
  }
}

/** The next batches, at most `count`. */
async function take(batches: AsyncGenerator<Batch>, count: number): Promise<Batch[]> {
  const group: Batch[] = []
  while (group.length < count) {
    const next = await batches.next()
    if (next.done) break
    group.push(next.value)
  }
  return group
}

/** The result of a task, or undefined as soon as the signal is given; the task is left to itself then. */
async function unlessAborted<T>(task: Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
  if (!signal) return task
  task.catch(() => undefined)
  if (signal.aborted) return undefined
  let stop = () => {}
  const aborted = new Promise<undefined>((resolve) => {
    stop = () => resolve(undefined)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([task, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** What TensorBoard draws of an event. */
function scalarsOf(
  event: TrainingEvent,
): { readonly step: number; readonly scalars: Readonly<Record<string, number>> } | undefined {
  if (event.event === 'validation') {
    return { step: event.step, scalars: { [`validation/top1/${configurationKey(event)}`]: event.top1 } }
  }
  if (event.event !== 'step') return undefined
  const losses = Object.entries(event.losses).map(([name, loss]) => [`loss/${name}`, loss] as const)
  return {
    step: event.step,
    scalars: {
      ...Object.fromEntries(losses),
      lr: event.lr,
      top1: event.top1,
      samples_per_second: event.samplesPerSecond,
      wait_share: event.waitShare,
    },
  }
}
