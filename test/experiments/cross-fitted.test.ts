import { describe, expect, it } from 'vitest'
import { type Answered, crossFittedAccuracy, meanOf, spreadOf } from '../../experiments/cross-fitted.ts'

const answered = (macs: number, right: string): Answered => ({
  configuration: { width: 1, frames: 1, size: macs },
  macs,
  right: [...right].map((each) => each === '1'),
})

describe('what a budget buys', () => {
  it('is picked on one half of the samples and judged on the other, both ways round', () => {
    // On even samples the first is always right and the second never; on odd ones the other way round.
    const lucky = [answered(1, '10101010'), answered(2, '01010101')]
    expect(crossFittedAccuracy(lucky, 2)).toBe(0)
    const [good, bad] = [answered(1, '11111110'), answered(2, '11000000')]
    expect(crossFittedAccuracy([bad, good], 2)).toBe(7 / 8)
  })

  it('is nothing dearer, and nothing where nothing is within it', () => {
    const all = [answered(10, '1100'), answered(20, '1111')]
    expect([9, 10, 19, 20].map((budget) => crossFittedAccuracy(all, budget))).toEqual([0, 0.5, 0.5, 1])
  })

  it('is averaged over seeds, with the standard deviation of a sample', () => {
    expect([meanOf([1, 2, 6]), spreadOf([1, 2, 6])]).toEqual([3, Math.sqrt(7)])
    expect(spreadOf([5])).toBe(0)
  })
})
