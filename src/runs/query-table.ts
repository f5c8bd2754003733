/**
 * The query table: which configurations of a network may run, what each costs and how accurate it is; and the
 * choice of one under a budget. Statistics of batch norm are files beside the table.
 */
import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { z } from 'zod'
import { VIEWS } from '../config/views.ts'
import { MnVideoError } from '../errors.ts'
import type { Configuration, Network } from '../network/graph.ts'
import { resolve } from '../network/resolve.ts'
import { shellQuoted } from '../shell.ts'

/** What a table's file says that it is. */
export const TABLE_FORMAT = 'mn-video query table 1'

const entrySchema = z.strictObject({
  width: z.number().positive(),
  frames: z.int().positive(),
  size: z.int().positive(),
  /** Multiply-adds for one clip or image. */
  macs: z.int().nonnegative(),
  params: z.int().nonnegative(),
  /** Share of validation samples right at the first guess, 0 to 1; absent while untrained. */
  top1: z.number().min(0).max(1).optional(),
  top5: z.number().min(0).max(1).optional(),
  /** Mean average precision, 0 to 1, in place of both where samples have any number of labels. */
  map: z.number().min(0).max(1).optional(),
  /** Validation samples that the accuracies are of, and the 95 % interval that they leave top1 in. */
  samples: z.int().positive().optional(),
  top1Interval: z.tuple([z.number().min(0).max(1), z.number().min(0).max(1)]).optional(),
  /** Milliseconds that one clip or image took where the table was made, decoding not counted. */
  latencyMs: z.number().positive().optional(),
  /** Set where the accuracies are a paper's for weights of this name, not measured on these. */
  source: z.literal('published').optional(),
  /** Set where it was tested alone: its statistics are kept, on the frontier or not. */
  pinned: z.literal(true).optional(),
  /** What its statistics were estimated from (`conditions.ts`); absent where they came with the weights. */
  calibration: z.string().optional(),
  /** The file of batch-norm statistics, relative to the run; absent while untrained. */
  statistics: z
    .string()
    .regex(/^bn\/[\w.-]+\.safetensors$/)
    .optional(),
})

const tableSchema = z.strictObject({
  format: z.literal(TABLE_FORMAT),
  network: z.string(),
  /** False for fresh weights: then entries differ in cost alone. */
  trained: z.boolean(),
  /** What identifies the weights that the accuracies were measured with. */
  weights: z.string().optional(),
  /** The views that all accuracies were measured with, as `10x3`; absent where a paper's or none. */
  views: z.string().regex(VIEWS).optional(),
  /** Set where the accuracies are mean average precisions. */
  metric: z.literal('mAP').optional(),
  /** What the accuracies were measured on, and how (`conditions.ts`); absent in tables of before. */
  data: z.string().optional(),
  settings: z.string().optional(),
  /** Keys of the run's configuration that were changed for it, as `key=value`: where the data lie. */
  set: z.array(z.string()).optional(),
  /** The processor, engine and threads that the latencies are of. */
  machine: z.string().optional(),
  /** Set where the accuracies and latencies are those in bfloat16. */
  precision: z.literal('bf16').optional(),
  /** `digestOf` the rest, so that a table edited by hand is found out. */
  digest: z.string().optional(),
  /** From the cheapest to the dearest. */
  entries: z.array(entrySchema).min(1, 'has no configuration').max(100_000, 'has too many configurations'),
})

export type QueryTable = Readonly<z.infer<typeof tableSchema>>
export type TableEntry = Readonly<z.infer<typeof entrySchema>>

/** How configurations are compared: the share of samples right at the first guess, or mean average precision. */
export type Metric = 'top-1' | 'mAP'

/** The accuracy of a configuration, from 0 to 1, by whichever metric it was measured; undefined where it was not. */
export const accuracyOf = ({
  top1,
  map,
}: {
  readonly top1?: number | undefined
  readonly map?: number | undefined
}): number | undefined => top1 ?? map

/** The table of a network that has not been trained: every configuration of the lists, by cost alone. */
export function untrainedTable(
  network: Network,
  lists: {
    readonly widths: readonly number[]
    readonly frames: readonly number[]
    readonly sizes: readonly number[]
  },
): QueryTable {
  const entries = configurationsOf(lists).map((configuration): TableEntry => {
    const { macs, params } = resolve(network, configuration)
    return { ...configuration, macs, params }
  })
  entries.sort((a, b) => a.macs - b.macs)
  return { format: TABLE_FORMAT, network: network.name, trained: false, entries }
}

/** More configurations than a sweep ends with. */
const MAX_CONFIGURATIONS = 10_000

/**
 * Every combination of widths, frame counts and sizes.
 *
 * @throws MnVideoError `config` for more than are ever tested
 */
export function configurationsOf(lists: {
  readonly widths: readonly number[]
  readonly frames: readonly number[]
  readonly sizes: readonly number[]
}): Configuration[] {
  const count = lists.widths.length * lists.frames.length * lists.sizes.length
  if (count > MAX_CONFIGURATIONS) {
    throw new MnVideoError(
      'config',
      `${lists.widths.length} widths × ${lists.frames.length} frame counts × ${lists.sizes.length} sizes are ${count} configurations, more than ${MAX_CONFIGURATIONS}. Give fewer of each.`,
    )
  }
  return lists.widths.flatMap((width) =>
    lists.frames.flatMap((frames) => lists.sizes.map((size) => ({ width, frames, size }))),
  )
}

/**
 * The best configuration under a budget: the most accurate one or, while accuracies are unknown, the dearest. Of a
 * trained network only those that can run count, which are those with batch-norm statistics of their own; where
 * none under the budget can, the best of the others is given, and running it says how to calibrate it.
 *
 * @param asked what one clip or image may cost, in 1e9 or 1e6 multiply-adds
 * @param calibrate the command that makes something cheaper than the table's cheapest ready, where there is such
 * @throws MnVideoError `budget` when even the cheapest costs more, naming it
 */
export function chooseUnder(table: QueryTable, asked: CostBudget, calibrate?: string): TableEntry {
  const best = bestOf(affordable(table, asked).filter((entry) => isReady(table, entry)))
  const chosen = best ?? bestOf(affordable(table, asked))
  if (chosen) return chosen
  const [unit, value] = unitOf(asked)
  const cheapest = table.entries.reduce((a, b) => (b.macs < a.macs ? b : a))
  const enough = Math.ceil((cheapest.macs / UNITS[unit]) * 1000) / 1000
  const costs = `costs ${cheapest.macs / UNITS[unit]} (width ${cheapest.width}, frames ${cheapest.frames}, size ${cheapest.size})`
  throw new MnVideoError(
    'budget',
    calibrate === undefined
      ? `nothing fits ${unit} ${value}: the cheapest configuration of ${table.network} ${costs}.\nGive at least ${unit} ${enough}.`
      : `nothing that is calibrated fits ${unit} ${value}: the cheapest configuration in the query table of ${table.network} ${costs}.\n` +
          `Give at least ${unit} ${enough}, or calibrate a cheaper one: ${calibrate}`,
  )
}

/** Whether a budget pays for a configuration of that cost. */
export const isAffordable = (macs: number, asked: CostBudget): boolean => {
  const [unit, value] = unitOf(asked)
  // A budget computed from a cost buys it, whatever the division lost.
  return macs <= value * UNITS[unit] * (1 + 1e-12)
}

/**
 * What runs where nothing is asked for: the full network, else the best configuration that can run; where none can, the
 * full network, and running it says how to calibrate it.
 *
 * @param full the full network's entry, whether or not the table has it
 */
export function chooseFull(table: QueryTable, full: TableEntry): TableEntry {
  if (isReady(table, full)) return full
  return bestOf(table.entries.filter((entry) => isReady(table, entry))) ?? full
}

/**
 * The best configuration under a latency, of those that can run and were timed: the most accurate one or, while
 * accuracies are unknown, the dearest.
 *
 * @param latencyOf milliseconds of an entry here, where known
 * @param measure the command that measures latencies
 * @throws MnVideoError `budget` when none was timed, or even the fastest takes longer
 */
export function chooseWithin(
  table: QueryTable,
  latencyMs: number,
  latencyOf: (entry: TableEntry) => number | undefined,
  measure = 'mn-video calibrate-latency RUN',
): TableEntry {
  const timed = table.entries
    .filter((entry) => isReady(table, entry))
    .flatMap((entry) => {
      const latency = latencyOf(entry)
      return latency === undefined ? [] : [{ entry, latency }]
    })
  const best = bestOf(timed.filter(({ latency }) => latency <= latencyMs).map(({ entry }) => entry))
  if (best) return best
  const fastest = timed.reduce<(typeof timed)[number] | undefined>(
    (a, b) => (a && a.latency <= b.latency ? a : b),
    undefined,
  )
  throw new MnVideoError(
    'budget',
    fastest
      ? `nothing of ${table.network} is within ${latencyMs} ms here: the fastest configuration takes ${roundedUp(fastest.latency, 3)} ms.\nGive at least that.`
      : `latencies of ${table.network} have not been measured on this machine. Measure them once: ${measure}`,
  )
}

/** A cost or a time in a few digits, so that whoever gives it as the budget gets the configuration. */
export function roundedUp(value: number, digits: number): number {
  const unit = 10 ** (Math.floor(Math.log10(value)) - digits + 1)
  // What has no more digits than that must not gain one from the division.
  return Number((Math.ceil((value / unit) * (1 - 1e-12)) * unit).toPrecision(digits))
}

/** What would be chosen under a budget by its accuracy, were it not for want of statistics of its own. */
export function betterOnceCalibrated(table: QueryTable, asked: CostBudget): TableEntry | undefined {
  const chosen = chooseUnder(table, asked)
  const best = bestOf(affordable(table, asked))
  return best && best !== chosen && accuracyOf(best) !== undefined ? best : undefined
}

/** Whether an entry can run: with statistics of its own, or while the network is untrained and needs none. */
export const isReady = (table: QueryTable, { statistics }: TableEntry): boolean =>
  !table.trained || statistics !== undefined

function affordable(table: QueryTable, asked: CostBudget): TableEntry[] {
  return table.entries.filter(({ macs }) => isAffordable(macs, asked))
}

const bestOf = (entries: readonly TableEntry[]): TableEntry | undefined =>
  entries.reduce<TableEntry | undefined>(
    (best, entry) => (best === undefined || isBetter(entry, best) ? entry : best),
    undefined,
  )

const unitOf = (asked: CostBudget) =>
  'gflops' in asked ? (['gflops', asked.gflops] as const) : (['mflops', asked.mflops] as const)

/** The most that one clip or image may cost, in the literature's units. */
export type CostBudget = { readonly gflops: number } | { readonly mflops: number }

const UNITS = { gflops: 1e9, mflops: 1e6 } as const

/**
 * Higher accuracy, then lower cost. A known accuracy comes before an unknown one; of unknown ones the dearer comes
 * first, for want of anything better to go by.
 */
function isBetter(a: TableEntry, b: TableEntry): boolean {
  const [one, other] = [accuracyOf(a), accuracyOf(b)]
  if (one === undefined) return other === undefined && a.macs > b.macs
  if (other === undefined) return true
  return one > other || (one === other && a.macs < b.macs)
}

/** What to do about a table that cannot be believed. A test measures nothing again that is in the sweep. */
const insteadOf = (file: string) =>
  `Take the original, or test the run again: mn-video test ${shellQuoted(dirname(file))}`

/** Reads a table from JSON text; `name` is the file for messages. */
export function parseQueryTable(text: string, name: string): QueryTable {
  const fail = (what: string) =>
    new MnVideoError('run', `${name}: ${what}. The file is damaged. ${insteadOf(name)}`)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw fail('is not JSON')
  }
  const parsed = tableSchema.safeParse(json)
  if (parsed.success) {
    const { digest, ...table } = parsed.data
    if (digest === digestOf(table)) return table
    throw new MnVideoError(
      'run',
      `${name}: its numbers are not those that were measured: the file has been edited. ${insteadOf(name)}`,
    )
  }
  const { path, message } = parsed.error.issues[0]!
  throw fail(`${path.join('.') || 'the whole'}: ${message}`)
}

/** A hash of what a table says, in whatever order its keys are. */
export function digestOf(table: QueryTable): string {
  const { digest: _, ...rest } = tableSchema.parse(table)
  return createHash('sha256').update(JSON.stringify(rest)).digest('hex').slice(0, 16)
}

/** `4.73 GFLOPs`, `569 MFLOPs`: three significant digits, in the literature's unit. */
export function formatMacs(macs: number): string {
  return macs >= 1e9
    ? `${digits(macs / 1e9)} GFLOPs`
    : macs >= 1e6
      ? `${digits(macs / 1e6)} MFLOPs`
      : `${macs} FLOPs`
}

const digits = (value: number): string => value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(value))))
