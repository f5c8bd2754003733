/** What training tells while it runs: the events that callers show and that `log.jsonl` keeps, one a line. */
import { join } from 'node:path'
import { z } from 'zod'
import type { Taken } from '../checkpoints/import/taken.ts'
import type { Fingerprint } from '../data/curation/fingerprint.ts'
import type { Split } from '../data/sets/dataset.ts'
import { appendJsonLines, readJsonLines } from '../files/json-lines.ts'
import type { Configuration } from '../network/graph.ts'
import { LOG } from './run-files.ts'

export type TrainingEvent =
  | StartEvent
  | PretrainedEvent
  | DataChangedEvent
  | StepEvent
  | ValidationEvent
  | CheckpointEvent
  | BadFileEvent
  | ProgressEvent
  | EndEvent

/** Training begins, or goes on. */
export interface StartEvent {
  readonly event: 'start'
  readonly network: string
  readonly engine: string
  readonly method: string
  /** Steps done before. */
  readonly step: number
  readonly steps: number
  readonly stepsPerEpoch: number
  readonly trainingSamples: number
  readonly validationSamples: number
  /** Bytes that a step takes beside the weights. */
  readonly bytes: number
  /** What is to be said of the data, a line each: files that are passed over, names that do not fit. */
  readonly notes?: readonly string[]
  /** What is trained and validated on. */
  readonly data: Readonly<Record<Split, UsedData>>
}

/** What was taken of the weights that training starts from. */
export interface PretrainedEvent extends Taken {
  readonly event: 'pretrained'
}

/** A data set's fingerprint, and the folder or list that it was read from. */
export interface UsedData extends Fingerprint {
  readonly origin: string
}

/** The run goes on with other data than it last had. */
export interface DataChangedEvent {
  readonly event: 'data-changed'
  readonly split: Split
  readonly before: UsedData
  readonly now: UsedData
}

export interface StepEvent {
  readonly event: 'step'
  /** Steps done, this one included. */
  readonly step: number
  /** Epochs done, with the part of the current one. */
  readonly epoch: number
  readonly lr: number
  /** By sub-network: `full` learned the labels, the others its softmax. */
  readonly losses: Readonly<Record<string, number>>
  /** What each of them was: width, frames, size. */
  readonly configurations: Readonly<Record<string, Configuration>>
  /** Of the full network on this step's samples, in training mode, 0 to 1. */
  readonly top1: number
  readonly gradientNorm: number
  /** Clips or images a second, and the share of the time spent waiting for them, over the latest steps. */
  readonly samplesPerSecond: number
  readonly waitShare: number
  readonly secondsLeft: number
}

/** One configuration on the validation set, with its own batch-norm statistics. */
export interface ValidationEvent extends Configuration {
  readonly event: 'validation'
  readonly step: number
  readonly epoch: number
  readonly macs: number
  readonly top1: number
  readonly top5: number
  readonly samples: number
  /** Validation samples that could not be read, and are not among them. */
  readonly unreadable?: number
}

export interface CheckpointEvent {
  readonly event: 'checkpoint'
  readonly step: number
  readonly file: string
}

/** A file that cannot be read: in training another one of its class takes its place, in validation it is left out. */
export interface BadFileEvent {
  readonly event: 'bad-file'
  /** Absent for training data. */
  readonly split?: 'val'
  readonly file: string
  readonly reason: string
}

/** How far calibration, validation or a step (sub-networks on batches) has come; not kept. */
export interface ProgressEvent {
  readonly event: 'progress'
  /** For people: `calibration`, `validation`, `step 12: part`. */
  readonly what: string
  readonly done: number
  readonly total: number
}

export interface EndEvent {
  readonly event: 'end'
  readonly step: number
  /** Why: all epochs are done, or somebody asked. */
  readonly reason: 'done' | 'stopped'
  readonly seconds: number
}

export interface Log {
  append(event: TrainingEvent): Promise<void>
  close(): Promise<void>
}

/** Appends events to the log of a run, each with the time. A resumed run goes on in the same file. */
export async function openLog(folder: string): Promise<Log> {
  const { append, close } = await appendJsonLines(join(folder, LOG))
  return {
    append: (event) => append({ time: new Date().toISOString(), ...event }),
    close,
  }
}

const count = z.int().nonnegative()

/** What readers rely on of a step's line. JSON has no NaN: a loss that is none is null. */
const step = z.looseObject({
  event: z.literal('step'),
  epoch: z.number().nonnegative(),
  step: count,
  lr: z.number().nonnegative(),
  losses: z.record(z.string(), z.number().nullable()),
})
const other = z.looseObject({
  event: z.string().refine((event) => event !== 'step', 'lacks what a step has'),
})

export type LoggedStep = Readonly<z.infer<typeof step>>
export type LoggedEvent = Readonly<z.infer<typeof other>>

/** The events of a run so far; none where it was not trained here. */
export const readLog = (run: string): Promise<(LoggedStep | LoggedEvent)[]> =>
  readJsonLines(join(run, LOG), z.union([step, other]))

export const isStep = (event: LoggedEvent): event is LoggedStep => event.event === 'step'
