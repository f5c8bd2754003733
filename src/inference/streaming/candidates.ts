/** What answers may cost: one configuration, or several to choose from before each. */
import { MnVideoError } from '../../errors.ts'
import { accuracyOf, isReady, type TableEntry } from '../../runs/query-table.ts'
import { shellQuoted } from '../../shell.ts'
import type { Model } from '../model.ts'
import type { Budget } from '../options.ts'
import type { Candidate } from './controller.ts'

export interface CostOptions {
  /** One configuration for all answers. */
  readonly budget?: Budget
  /** Milliseconds from a window's end to its answer; the most accurate configuration that holds it is chosen each time. */
  readonly deadline?: number
  /** The part of the time that may be spent on answers, 0 to 1; 0.5 by default, where nothing else is given. */
  readonly share?: number
}

/** Configurations that are held ready: a model keeps no more plans. */
const MOST_READY = 6
/** What may be chosen: one configuration, or those of the query table that no other beats, held ready. */
export async function candidatesOf(
  model: Model,
  options: CostOptions,
  isFixed = false,
): Promise<Candidate<TableEntry>[]> {
  const { budget } = options
  if (budget !== undefined && options.share !== undefined)
    throw new MnVideoError('usage', 'give a budget or a share: a budget is one configuration.')
  if (isFixed || budget !== undefined) {
    const { entry } = await model.forBudget(budget ?? {})
    return [{ entry, milliseconds: model.latencyOf(entry)?.median ?? 1 }]
  }
  const { table } = model
  const usable = table.entries.filter((entry) => isReady(table, entry))
  if (usable.length === 0)
    throw new MnVideoError(
      'run',
      `${model.folder}: no configuration of its query table has batch-norm statistics, so none can run. Test it: mn-video test ${shellQuoted(model.folder)}`,
    )
  const untimed = usable.filter((entry) => !model.latencyOf(entry))
  if (untimed.length > 0) await model.measureLatencies(undefined, { missing: true })
  const ranked = rank(usable.map((entry) => ({ entry, milliseconds: model.latencyOf(entry)!.median })))
  // Compiled ahead, so that a switch leaves no gap.
  for (const { entry } of ranked)
    await model.forBudget({ width: entry.width, frames: entry.frames, size: entry.size })
  return ranked
}

/** All that can run, timed or not. */
export const readyOf = ({ table }: Model): Candidate<TableEntry>[] =>
  table.entries.filter((entry) => isReady(table, entry)).map((entry) => ({ entry, milliseconds: 1 }))

/** The most accurate first, each faster than the one before; of many a spread. */
function rank(timed: readonly Candidate<TableEntry>[]): Candidate<TableEntry>[] {
  const byAccuracy = [...timed].sort(
    (a, b) =>
      (accuracyOf(b.entry) ?? 0) - (accuracyOf(a.entry) ?? 0) ||
      (accuracyOf(a.entry) === undefined ? b.entry.macs - a.entry.macs : a.milliseconds - b.milliseconds),
  )
  const ranked: Candidate<TableEntry>[] = []
  for (const candidate of byAccuracy) {
    if (ranked.length === 0 || candidate.milliseconds < ranked.at(-1)!.milliseconds) ranked.push(candidate)
  }
  if (ranked.length <= MOST_READY) return ranked
  return Array.from(
    { length: MOST_READY },
    (_, i) => ranked[Math.round((i * (ranked.length - 1)) / (MOST_READY - 1))]!,
  )
}

export function deadlineOf({ budget, deadline, share }: CostOptions, every: number): number | undefined {
  if (deadline !== undefined && share !== undefined)
    throw new MnVideoError('usage', 'give a deadline or a share, not both.')
  if (deadline !== undefined) return milliseconds('deadline', deadline)
  if (budget !== undefined) return undefined
  const part = share ?? 0.5
  if (typeof part === 'number' && part > 0 && part <= 1) return 1000 * every * part
  throw new MnVideoError('usage', `share must be above 0 and at most 1, not ${part}.`)
}

export function milliseconds(name: string, value: number): number {
  if (typeof value === 'number' && value >= 1 && Number.isFinite(value)) return value
  throw new MnVideoError('usage', `${name} must be milliseconds of at least 1, not ${value}.`)
}

export function* everyFrom0(step: number): Generator<number> {
  for (let i = 0; ; i++) yield i * step
}
