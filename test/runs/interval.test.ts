import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isShownHigher, wilson } from '../../src/runs/interval.ts'

/** So many of so many samples right. */
const measured = fc
  .integer({ min: 1, max: 5000 })
  .chain((samples) =>
    fc.record({ samples: fc.constant(samples), right: fc.integer({ min: 0, max: samples }) }),
  )
  .map(({ samples, right }) => ({ top1: right / samples, samples }))

describe("Wilson's interval of 95 %", () => {
  it.each([
    // statsmodels 0.15.0, proportion_confint(right, samples, method='wilson')
    [0, 10, 0, 0.2775328],
    [10, 10, 0.7224672, 1],
    [11, 11, 0.741167, 1],
    [81, 263, 0.2552885, 0.3662096],
    [15000, 20000, 0.7439512, 0.7559527],
  ])('is that of statsmodels for %i of %i', (right, samples, low, high) => {
    const interval = wilson(right / samples, samples)
    expect(interval[0]).toBeCloseTo(low, 6)
    expect(interval[1]).toBeCloseTo(high, 6)
  })

  it('holds the share, and lies between 0 and 1', () => {
    fc.assert(
      fc.property(measured, ({ top1, samples }) => {
        const [low, high] = wilson(top1, samples)
        expect(low).toBeGreaterThanOrEqual(0)
        expect(low).toBeLessThanOrEqual(top1)
        expect(high).toBeGreaterThanOrEqual(top1)
        expect(high).toBeLessThanOrEqual(1)
      }),
    )
  })
})

describe('a difference that samples show', () => {
  it('is none on eleven clips between nine, ten and eleven right, and is one on many', () => {
    const of = (right: number, samples: number) => ({ top1: right / samples, samples })
    expect(isShownHigher(of(11, 11), of(10, 11))).toBe(false)
    expect(isShownHigher(of(11, 11), of(9, 11))).toBe(false)
    expect(isShownHigher(of(11, 11), of(7, 11))).toBe(true)
    expect(isShownHigher(of(1100, 1100), of(1000, 1100))).toBe(true)
    expect(isShownHigher(of(15200, 20000), of(15000, 20000))).toBe(true)
    expect(isShownHigher(of(15100, 20000), of(15000, 20000))).toBe(false)
  })

  it("is where the interval of Newcombe's difference leaves 0", () => {
    // statsmodels 0.15.0, confint_proportions_2indep(56, 70, 48, 80, method='newcomb'), and of 9/10 and 3/10.
    const lower = (a: number, m: number, b: number, n: number) => {
      const [low] = wilson(a / m, m)
      const [, high] = wilson(b / n, n)
      return a / m - b / n - Math.hypot(a / m - low, high - b / n)
    }
    expect(lower(56, 70, 48, 80)).toBeCloseTo(0.0524315, 6)
    expect(lower(9, 10, 3, 10)).toBeCloseTo(0.1705227, 6)
    expect(isShownHigher({ top1: 0.8, samples: 70 }, { top1: 0.6, samples: 80 })).toBe(true)
  })

  it('is one way at most, and stays where the better is still better', () => {
    fc.assert(
      fc.property(measured, measured, fc.double({ min: 0, max: 1, noNaN: true }), (a, b, more) => {
        expect(isShownHigher(a, b) && isShownHigher(b, a)).toBe(false)
        const better = { ...a, top1: a.top1 + more * (1 - a.top1) }
        if (isShownHigher(a, b)) expect(isShownHigher(better, b)).toBe(true)
      }),
    )
  })

  it('is every difference where the number of samples is unknown', () => {
    expect(isShownHigher({ top1: 0.7001 }, { top1: 0.7 })).toBe(true)
    expect(isShownHigher({ top1: 0.7, samples: 3 }, { top1: 0.7 })).toBe(false)
  })
})
