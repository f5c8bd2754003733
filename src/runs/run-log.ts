/** The log of a training run: one event a line, appended while it trains. */
import { join } from 'node:path'
import { z } from 'zod'
import { appendJsonLines, type JsonLinesWriter, readJsonLines } from '../files/json-lines.ts'
import { LOG } from './run-folder.ts'

/** JSON has no NaN: a loss that is none is null. */
const value = z.number().nullable()
const count = z.int().nonnegative()

const step = z.looseObject({
  event: z.literal('step'),
  epoch: z.number().nonnegative(),
  step: count,
  lr: z.number().nonnegative(),
  /** By sub-network: `full`, `narrowest`, …; means over the steps since the last line. */
  losses: z.record(z.string(), value),
})

const validation = z.looseObject({
  event: z.literal('validation'),
  epoch: z.number().nonnegative(),
  step: count.optional(),
  width: z.number().positive(),
  frames: count,
  size: count,
  top1: z.number().min(0).max(1),
  top5: z.number().min(0).max(1).optional(),
  loss: value.optional(),
})

/** Whatever else a program wants to note: start, resume, checkpoint, … */
const other = z.looseObject({
  event: z.string().refine((event) => event !== 'step' && event !== 'validation', 'lacks what its event has'),
})

const schema = z.union([step, validation, other])

export type StepEvent = Readonly<z.infer<typeof step>>
export type ValidationEvent = Readonly<z.infer<typeof validation>>
export type LogEvent = Readonly<z.infer<typeof schema>>

/** The events of a run so far; none where it was not trained here. */
export const readLog = (run: string): Promise<LogEvent[]> => readJsonLines(join(run, LOG), schema)

export const appendLog = (run: string): Promise<JsonLinesWriter<LogEvent>> => appendJsonLines(join(run, LOG))

export const isStep = (event: LogEvent): event is StepEvent => event.event === 'step'
export const isValidation = (event: LogEvent): event is ValidationEvent => event.event === 'validation'
