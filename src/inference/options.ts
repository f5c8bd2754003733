/** What callers of the library may ask for, checked: a misspelt option must not quietly cost the full price. */
import { z } from 'zod'
import { MnVideoError } from '../errors.ts'
import * as option from '../options.ts'
import { checkOptions, type OptionTable } from '../options.ts'

const count = z.int().min(1)
const above0 = z.number().positive()

/**
 * What a call may cost: multiply-adds per clip or image (in 1e9 or 1e6), milliseconds per clip or image on this
 * machine (decoding not counted), or an exact configuration.
 */
const budget = z.union([
  z.strictObject({ gflops: above0 }),
  z.strictObject({ mflops: above0 }),
  z.strictObject({ latencyMs: above0 }),
  /** What is left out is at its full value. */
  z.strictObject({ width: above0.optional(), frames: count.optional(), size: count.optional() }),
])

const views = z.strictObject({
  temporal: count.max(1000),
  spatial: z.union([z.literal(1), z.literal(3)]).default(1),
})

const classifyOptions = z.strictObject({
  /** Default: the full width, frames and size. */
  budget: budget.optional(),
  /** Clips of a video: uniformly spaced in time, each with 1 or 3 crops. Default: the run's `views`. */
  views: views.optional(),
  /** Seconds (not milliseconds) without progress after which FFmpeg is killed; 60 by default, at most 3600. */
  deadline: above0.max(3600).optional(),
  signal: z.instanceof(AbortSignal).optional(),
  /** Whether the result has the scores of each view besides their mean. */
  perView: z.boolean().optional(),
  /** Called after each view, with the number done and the number in all. */
  onView: z.custom<(done: number, total: number) => void>((value) => typeof value === 'function').optional(),
})

export type Budget = Readonly<z.input<typeof budget>>
export type ClassifyOptions = Readonly<z.input<typeof classifyOptions>>

/** @throws MnVideoError `usage` naming the option and what it must be */
export const checkBudget = (value: Budget) =>
  check(
    budget,
    value,
    'budget',
    '{ gflops }, { mflops }, { latencyMs } or { width, frames, size }, each above 0',
  )

/** @throws MnVideoError `usage` naming the option and what it must be */
export function checkClassifyOptions(value: ClassifyOptions) {
  checkOptions('classify', value, CLASSIFY_OPTIONS)
  return check(
    classifyOptions,
    value,
    'options of classify',
    '{ budget, views: { temporal, spatial: 1 or 3 }, deadline (seconds), signal, perView, onView }, all optional',
  )
}

/** Those of one value; the others are checked by their schema. */
const CLASSIFY_OPTIONS: OptionTable<ClassifyOptions> = {
  ...{ budget: option.any, views: option.any, deadline: option.seconds, signal: option.signal },
  ...{ perView: option.flag, onView: option.callback },
}

function check<T>(schema: z.ZodType<T>, value: unknown, what: string, expected: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const given = JSON.stringify(value, (_, part) =>
    typeof part === 'number' && !Number.isFinite(part) ? String(part) : part,
  )
  throw new MnVideoError('usage', `${what} must be ${expected}, not ${given}.`)
}
