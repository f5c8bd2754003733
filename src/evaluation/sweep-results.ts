/**
 * The file of a sweep: one line for each configuration that was evaluated, appended as they come. A sweep that
 * goes on reads it to see what is done; the query table is made of it.
 */
import { join } from 'node:path'
import { z } from 'zod'
import type { Precision } from '../engines/precision.ts'
import { configurationKey } from '../network/resolve.ts'
import { appendJsonLines, type JsonLinesWriter, readJsonLines } from './json-lines.ts'
import { SWEEP } from './run-folder.ts'

const share = z.number().min(0).max(1)

const schema = z.object({
  width: z.number().positive(),
  frames: z.int().positive(),
  size: z.int().positive(),
  /** Multiply-adds for one clip or image. */
  macs: z.int().positive(),
  params: z.int().nonnegative(),
  /** Shares of the samples, 0 to 1. */
  top1: share,
  top5: share,
  meanClassAccuracy: share,
  /** Expected calibration error, 0 to 1. */
  ece: share,
  /** Validation samples that were classified. */
  samples: z.int().nonnegative(),
  /** Samples that could not be read, and were left out. */
  unreadable: z.int().nonnegative().optional(),
  /** Temporal views × crops of each sample; images: 1x1. */
  views: z.string().regex(/^[1-9]\d{0,2}x[13]$/, 'must be VIEWSxCROPS, such as 10x3'),
  /** Milliseconds for one clip or image on the machine that swept: the median, and the fastest and slowest. */
  latencyMs: z.number().positive().optional(),
  latencyRangeMs: z.tuple([z.number().positive(), z.number().positive()]).optional(),
  /** Set where dense layers multiplied bfloat16; absent for float32. */
  precision: z.literal('bf16').optional(),
  /** What identifies the weights: results of others do not count. */
  weights: z.string().optional(),
})

export type SweepResult = Readonly<z.infer<typeof schema>>

/**
 * A run's results; of a configuration evaluated twice the later one. None where nothing was swept.
 *
 * @param of which results count, where that is known: those of other weights, views and precisions do not compare
 */
export async function readSweep(
  run: string,
  of: { readonly weights?: string; readonly views?: string; readonly precision?: Precision } = {},
): Promise<SweepResult[]> {
  const lines = (await readJsonLines(join(run, SWEEP), schema)).filter(
    ({ weights, views, precision = 'float32' }) =>
      weights === (of.weights ?? weights) &&
      views === (of.views ?? views) &&
      precision === (of.precision ?? precision),
  )
  return [...new Map(lines.map((line) => [configurationKey(line), line])).values()]
}

export const appendSweep = (run: string): Promise<JsonLinesWriter<SweepResult>> =>
  appendJsonLines(join(run, SWEEP))
