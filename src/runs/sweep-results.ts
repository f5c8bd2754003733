/**
 * The file of a sweep: one line for each configuration that was evaluated, appended as they come. A sweep that
 * goes on reads it to see what is done; the query table is made of it.
 */
import { join } from 'node:path'
import { z } from 'zod'
import { VIEWS } from '../config/views.ts'
import { appendJsonLines, type JsonLinesWriter, readJsonLines } from '../files/json-lines.ts'
import { configurationKey } from '../network/resolve.ts'
import type { Metric } from './query-table.ts'
import { SWEEP } from './run-files.ts'

const share = z.number().min(0).max(1)

const common = z.object({
  width: z.number().positive(),
  frames: z.int().positive(),
  size: z.int().positive(),
  /** Multiply-adds for one clip or image. */
  macs: z.int().positive(),
  params: z.int().nonnegative(),
  /** Validation samples that were classified. */
  samples: z.int().nonnegative(),
  /** Samples that could not be read, and were left out. */
  unreadable: z.int().nonnegative().optional(),
  /** Temporal views × crops of each sample; images: 1x1. */
  views: z.string().regex(VIEWS, 'must be VIEWSxCROPS, such as 10x3'),
  /** Milliseconds for one clip or image on the machine that swept: the median, and the fastest and slowest. */
  latencyMs: z.number().positive().optional(),
  latencyRangeMs: z.tuple([z.number().positive(), z.number().positive()]).optional(),
  /** The processor, engine and threads that the latency is of (`machineOf`). */
  machine: z.string().optional(),
  /** Set where dense layers multiplied bfloat16; absent for float32. */
  precision: z.literal('bf16').optional(),
  /** What identifies the weights: results of others do not count. */
  weights: z.string().optional(),
  /** What was evaluated, and how (`conditions.ts`). */
  data: z.string().optional(),
  settings: z.string().optional(),
  /** What the batch-norm statistics were estimated from; absent where they came with the weights. */
  calibration: z.string().optional(),
})

/** Of samples with one label each. */
const single = common.extend({
  metric: z.undefined().optional(),
  /** Shares of the samples, 0 to 1. */
  top1: share,
  top5: share,
  /** Wilson's 95 % interval of top1. */
  top1Interval: z.tuple([share, share]).optional(),
  meanClassAccuracy: share,
  /** Expected calibration error, 0 to 1. */
  ece: share,
})

/** Of samples with any number of labels. */
const multiLabel = common.extend({
  metric: z.literal('mAP'),
  /** Mean average precision, 0 to 1. */
  map: share,
})

export type SweepResult = Readonly<z.infer<typeof single>>
export type AnyResult = SweepResult | Readonly<z.infer<typeof multiLabel>>

/**
 * A run's results on samples with one label; of a configuration evaluated twice the later one. None where nothing was swept.
 *
 * @param counts which results count: those of other weights, data or settings do not compare
 */
export const readSweep = async (
  run: string,
  counts: (result: SweepResult) => boolean = () => true,
): Promise<SweepResult[]> =>
  latest((await readAll(run)).filter((line) => line.metric === undefined).filter(counts))

/** The results by one metric, as `readSweep`. */
export const readSweepBy = async (
  run: string,
  metric: Metric,
  counts: (result: AnyResult) => boolean = () => true,
): Promise<AnyResult[]> =>
  latest((await readAll(run)).filter((line) => (line.metric ?? 'top-1') === metric && counts(line)))

const readAll = (run: string): Promise<AnyResult[]> =>
  readJsonLines<AnyResult>(join(run, SWEEP), z.discriminatedUnion('metric', [single, multiLabel]))

const latest = <T extends AnyResult>(lines: readonly T[]): T[] => [
  ...new Map(lines.map((line) => [configurationKey(line), line])).values(),
]

export const appendSweep = (run: string): Promise<JsonLinesWriter<AnyResult>> =>
  appendJsonLines(join(run, SWEEP))
