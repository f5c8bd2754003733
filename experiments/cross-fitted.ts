/** What a budget buys, without the luck of having picked the best of many configurations on the same samples. */
import type { Configuration } from '../src/network/graph.ts'

/** A configuration, and whether it answered each validation sample rightly; the same samples for all. */
export interface Answered {
  readonly configuration: Configuration
  readonly macs: number
  readonly right: readonly boolean[]
}

/**
 * The accuracy within a budget of multiply-adds, 0 to 1: the best configuration is picked by every other sample and
 * judged by the rest, and the other way round. 0 when nothing is within the budget.
 */
export function crossFittedAccuracy(all: readonly Answered[], budget: number): number {
  const within = all.filter(({ macs }) => macs <= budget)
  if (within.length === 0) return 0
  const halves = [0, 1].map((half) => {
    const [best] = [...within].sort((a, b) => rightOf(b, 1 - half) - rightOf(a, 1 - half))
    return rightOf(best!, half)
  })
  return (halves[0]! + halves[1]!) / within[0]!.right.length
}

const rightOf = ({ right }: Answered, half: number): number =>
  right.filter((isRight, i) => isRight && i % 2 === half).length

export const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** The standard deviation of a sample; 0 of one value. */
export function spreadOf(values: readonly number[]): number {
  const mean = meanOf(values)
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0
}
