import { describe, expect, it } from 'vitest'
import { roundedToHalf } from '../../src/checkpoints/half.ts'
import { roundedStatistics } from '../../src/evaluation/calibrate.ts'

/** Rounds the statistics of one layer. */
const rounded = (mean: readonly number[], variance: readonly number[]) =>
  roundedStatistics(
    new Map([['norm', { mean: Float32Array.from(mean), variance: Float32Array.from(variance) }]]),
  ).get('norm')!

/** A third, as half and as single precision hold it. */
const THIRD = { half: 0.333251953125, single: Math.fround(1 / 3) }

describe('calibrated statistics', () => {
  it('are rounded to half precision', () => {
    const { mean, variance } = rounded([1 / 3, -1000.1], [1 / 3, 1e4])
    expect([...mean]).toEqual([THIRD.half, -1000])
    expect([...variance]).toEqual([THIRD.half, 1e4])
  })

  it('stay in single precision where a variance is larger than half precision goes', () => {
    const { mean, variance } = rounded([1 / 3, 0], [1e5, 1 / 3])
    expect([...variance]).toEqual([1e5, THIRD.single])
    expect([...mean]).toEqual([THIRD.half, 0])
  })

  it('stay in single precision where a mean would move by more than a hundredth of a deviation', () => {
    const mean = [3000.7, 1 / 3]
    // Half precision has steps of 2 there: 3000.
    expect([...rounded(mean, [1, 1]).mean]).toEqual([Math.fround(3000.7), THIRD.single])
    expect([...rounded(mean, [1, 1 / 3]).variance]).toEqual([1, THIRD.half])
    expect([...rounded(mean, [71 ** 2, 1]).mean]).toEqual([3000, THIRD.half])
  })

  it('have no digits below what is added to a variance', () => {
    expect([...rounded([3e-8], [0]).mean]).toEqual([...roundedToHalf(Float32Array.of(3e-8))])
  })
})
