/** The Pareto frontier of cost (or another price) and accuracy, and what it is worth over a range of budgets. */

import { accuracyOf } from './query-table.ts'

/** An accuracy, of which more is better: by whichever metric, the same for all that are compared. */
export type Accurate = { readonly top1: number } | { readonly map: number }

/** Something that costs multiply-adds and has an accuracy. */
export type Tradeoff = Accurate & { readonly macs: number }

const accuracy = (one: Accurate): number => accuracyOf(one)!

/**
 * Those that no other beats: nothing costs as much or less and is as accurate or more. From the cheapest to
 * the dearest; of equals the first.
 */
export const frontierOf = <T extends Tradeoff>(all: readonly T[]): T[] => frontierBy(all, ({ macs }) => macs)

/** The same for whatever price is paid, such as milliseconds. */
export function frontierBy<T extends Accurate>(all: readonly T[], priceOf: (one: T) => number): T[] {
  // Sorting is stable, so that of equals the first given comes first.
  const sorted = [...all].sort((a, b) => priceOf(a) - priceOf(b) || accuracy(b) - accuracy(a))
  const frontier: T[] = []
  for (const one of sorted) {
    if (frontier.length === 0 || accuracy(one) > accuracy(frontier.at(-1)!)) frontier.push(one)
  }
  return frontier
}

/** The most accurate that costs no more; undefined when nothing does. */
export const bestUnder = <T extends Tradeoff>(all: readonly T[], macs: number): T | undefined =>
  frontierOf(all.filter((one) => one.macs <= macs)).at(-1)

/**
 * The area under the curve of a query table, as a mean accuracy: the best accuracy that a budget buys,
 * averaged over budgets between `from` and `to` multiply-adds on a logarithmic scale (a doubling counts alike
 * everywhere). A budget that buys nothing counts as an accuracy of 0.
 */
export function meanAccuracy(all: readonly Tradeoff[], from: number, to: number): number {
  const steps = frontierOf(all).filter(({ macs }) => macs <= to)
  const starts = steps.map(({ macs }) => Math.log(Math.max(macs, from)))
  const area = steps.reduce(
    (sum, one, i) => sum + accuracy(one) * ((starts[i + 1] ?? Math.log(to)) - starts[i]!),
    0,
  )
  return area / (Math.log(to) - Math.log(from))
}
