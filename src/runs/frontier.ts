/** The frontier of cost (or another price) and accuracy, and what it is worth over a range of budgets. */
import { isShownHigher } from './interval.ts'
import { accuracyOf } from './query-table.ts'

/** An accuracy, of which more is better: by whichever metric, the same for all that are compared. */
export type Accurate = ({ readonly top1: number } | { readonly map: number }) & {
  /** Of samples with one label each: how many the accuracy is of. */
  readonly samples?: number | undefined
}

/** Something that costs multiply-adds and has an accuracy. */
export type Tradeoff = Accurate & { readonly macs: number }

const accuracy = (one: Accurate): number => accuracyOf(one)!

/** A mean average precision is no share of samples, and taken as it is. */
const isShownBetter = (a: Accurate, b: Accurate): boolean =>
  'top1' in a && 'top1' in b ? isShownHigher(a, b) : accuracy(a) > accuracy(b)

/**
 * What is worth its cost: the cheapest, and each dearer one that the samples show to be more accurate than all before
 * it on the frontier (`isShownHigher`). So no difference on it is one that the samples cannot tell from chance, and
 * nothing that costs no more is shown to be better than the frontier is there. Where accuracies come without a number
 * of samples they are taken as they are: then these are those that no other beats. From the cheapest to the dearest;
 * of equals the first.
 */
export const frontierOf = <T extends Tradeoff>(all: readonly T[]): T[] => frontierBy(all, ({ macs }) => macs)

/** The same for whatever price is paid, such as milliseconds. */
export const frontierBy = <T extends Accurate>(all: readonly T[], priceOf: (one: T) => number): T[] =>
  rising(all, priceOf, isShownBetter)

/**
 * Those that no other beats by what was measured, however few the samples: nothing costs as much or less and is as
 * accurate or more. What a budget buys is one of these, because of two that cannot be told apart the better guess is
 * still the one that did better.
 */
export const envelopeOf = <T extends Tradeoff>(all: readonly T[]): T[] =>
  rising(
    all,
    ({ macs }) => macs,
    (a, b) => accuracy(a) > accuracy(b),
  )

function rising<T extends Accurate>(
  all: readonly T[],
  priceOf: (one: T) => number,
  isHigher: (a: T, b: T) => boolean,
): T[] {
  // Sorting is stable, so that of equals the first given comes first.
  const sorted = [...all].sort((a, b) => priceOf(a) - priceOf(b) || accuracy(b) - accuracy(a))
  const frontier: T[] = []
  for (const one of sorted) {
    if (frontier.length === 0 || isHigher(one, frontier.at(-1)!)) frontier.push(one)
  }
  return frontier
}
