/** The loop around `mutualStep`: steps, checkpoints and validations, until all steps are done or the signal is given. */
import type { Config } from '../config/index.ts'
import type { Batch } from '../data/loading/loader.ts'
import type { Trainer } from '../engines/engine.ts'
import type { ParameterStore } from '../network/store.ts'
import type { BadFileEvent, ProgressEvent, StepEvent, TrainingEvent } from '../runs/log.ts'
import { saveWeights } from '../runs/run-folder.ts'
import type { RunLock } from '../runs/run-lock.ts'
import { writeTable } from '../runs/table-file.ts'
import { type Progress, pruneCheckpoints, writeCheckpoint } from './checkpoint.ts'
import { diverged } from './diverged.ts'
import type { createMeter } from './meter.ts'
import type { MovingAverage } from './moving-average.ts'
import { learningRate } from './schedule.ts'
import { type TrainingSetup, trainerOptions } from './setup.ts'
import { mutualStep, type StepResult } from './step.ts'
import { tableOf, type Validation, validate } from './validate.ts'

/** The changing part of a training. */
export interface TrainingState {
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

/** How a training ended. */
export interface Ended {
  readonly step: number
  /** `stopped` by the signal; then the run can be resumed. */
  readonly reason: 'done' | 'stopped'
  /** Of the last validation; absent when stopped. */
  readonly validation?: Validation
}

export async function loop(
  setup: TrainingSetup,
  state: TrainingState,
  signal: AbortSignal | undefined,
): Promise<Ended> {
  const { config, network, loader, stepsPerEpoch } = setup
  const { folder, meter } = state
  const steps = stepsPerEpoch * config.num_epochs
  const before = state.progress.seconds
  const started = performance.now()
  const seconds = () => before + (performance.now() - started) / 1000
  let saved = { ...state.progress, at: performance.now() }

  const save = async () => {
    const { step, validated } = state.progress
    if (saved.step === step && saved.validated === validated) return
    state.progress = { ...state.progress, seconds: seconds() }
    await state.lock.check()
    const average = state.average && { average: state.average.weights.values }
    const file = await writeCheckpoint(folder, network, {
      progress: state.progress,
      weights: state.weights,
      velocities: state.trainer.velocities(),
      ...average,
    })
    await pruneCheckpoints(folder, config.keep_checkpoints, state.progress.best?.step)
    saved = { ...state.progress, at: performance.now() }
    await state.record({ event: 'checkpoint', step, file })
  }
  const end = async (reason: 'done' | 'stopped', validation?: Validation): Promise<Ended> => {
    await save()
    const { step } = state.progress
    await state.record({ event: 'end', step, reason, seconds: seconds() })
    return { step, reason, ...(validation && { validation }) }
  }

  /** A validation in between where one is due that was not done, be it that it was interrupted; false when it is now. */
  const validatedWhereDue = async (): Promise<boolean> => {
    const { step, validated: last } = state.progress
    const epochs = step / stepsPerEpoch
    const isDue = config.validate_every > 0 && step > 0 && epochs % config.validate_every === 0
    if (!isDue || step === last || step === steps) return true
    if (!(await validated(setup, state, signal))) return false
    await save()
    return true
  }

  if (!(await validatedWhereDue())) return end('stopped')
  while (state.progress.step < steps) {
    const epoch = Math.floor(state.progress.step / stepsPerEpoch)
    const batches = loader.epoch(epoch, (state.progress.step % stepsPerEpoch) * config.accumulate)
    try {
      while (state.progress.step < (epoch + 1) * stepsPerEpoch) {
        const group = await meter.waiting(() => unlessAborted(take(batches, config.accumulate), signal))
        if (group === undefined) return await end('stopped')
        await oneStep(setup, state, group)
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
  const validation = await validated(setup, state, signal)
  return validation ? end('done', validation) : end('stopped')
}

/** Looks at the network as it is and writes what a run needs to be used; undefined when the signal is given. */
async function validated(
  setup: TrainingSetup,
  state: TrainingState,
  signal: AbortSignal | undefined,
): Promise<Validation | undefined> {
  const validation = await unlessAborted(measure(setup, state, signal), signal)
  if (!validation) return undefined
  const id = await saveWeights(state.folder, setup.network, state.average?.weights ?? state.weights)
  const { table, statistics } = tableOf(setup.network, validation)
  await writeTable(state.folder, { ...table, weights: id }, statistics)
  state.progress = { ...state.progress, validated: state.progress.step }
  return validation
}

async function oneStep(
  { config, network, stepsPerEpoch }: TrainingSetup,
  state: TrainingState,
  group: readonly Batch[],
): Promise<void> {
  const { step } = state.progress
  const lr = learningRate(config, step / stepsPerEpoch)
  const result = await mutualStep(state.trainer, network, config, group, {
    step,
    learningRate: lr,
    onPart: (done, total) =>
      void state.record({ event: 'progress', what: `step ${step + 1}: part`, done, total }),
  })
  if (!Number.isFinite(result.gradientNorm)) throw await diverged(state, config, result, lr)
  state.average?.update()
  state.progress = { ...state.progress, step: step + 1 }
  state.meter.step(result.samples)
  for (const event of state.bad.splice(0)) await state.record(event)
  await state.record(stepEvent(config, state, result, lr, stepsPerEpoch))
}

function stepEvent(
  config: Config,
  { progress: { step }, meter }: TrainingState,
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
async function measure(
  setup: TrainingSetup,
  state: TrainingState,
  signal: AbortSignal | undefined,
): Promise<Validation> {
  const { engine, network, config, loader, datasets, stepsPerEpoch } = setup
  const weights = state.average?.weights ?? state.weights
  const trainer = state.average
    ? await engine.openTrainer(network, weights, trainerOptions(config))
    : state.trainer
  try {
    const context = {
      ...{ engine, network, config, loader, trainer, weights },
      dataset: datasets.val,
      calibration: await state.calibration(),
    }
    const tell = (event: ProgressEvent | BadFileEvent) => void state.record(event)
    const validation = await validate(context, tell, signal)
    const { step } = state.progress
    for (const { width, frames, size, macs, top1, top5 } of validation.entries) {
      await state.record({
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
    if (!state.progress.best || mean > state.progress.best.top1) {
      state.progress = { ...state.progress, best: { step, top1: mean } }
    }
    return validation
  } finally {
    if (trainer !== state.trainer) trainer.dispose()
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
