import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bestUnder, frontierOf, meanAccuracy } from '../../src/evaluation/frontier.ts'

const one = fc.record({ macs: fc.integer({ min: 1, max: 20 }), top1: fc.integer({ min: 0, max: 10 }) })
const many = fc.array(one, { maxLength: 30 })

describe('frontier', () => {
  it('rises in cost and in accuracy', () => {
    fc.assert(
      fc.property(many, (all) => {
        const frontier = frontierOf(all)
        frontier.slice(1).forEach((next, i) => {
          expect(next.macs).toBeGreaterThan(frontier[i]!.macs)
          expect(next.top1).toBeGreaterThan(frontier[i]!.top1)
        })
      }),
    )
  })

  it('consists of some of what was given, and beats or equals everything', () => {
    fc.assert(
      fc.property(many, (all) => {
        const frontier = frontierOf(all)
        for (const kept of frontier) expect(all).toContain(kept)
        for (const { macs, top1 } of all)
          expect(frontier.some((kept) => kept.macs <= macs && kept.top1 >= top1)).toBe(true)
      }),
    )
  })

  it('does not depend on the order, and is its own frontier', () => {
    fc.assert(
      fc.property(many, (all) => {
        const frontier = frontierOf(all)
        expect(frontierOf([...all].reverse())).toEqual(frontier)
        expect(frontierOf(frontier)).toEqual(frontier)
      }),
    )
  })

  it('answers every budget with the most accurate that fits', () => {
    fc.assert(
      fc.property(many, fc.integer({ min: 1, max: 20 }), (all, budget) => {
        const fitting = all.filter(({ macs }) => macs <= budget)
        const best = bestUnder(all, budget)
        expect(best === undefined).toBe(fitting.length === 0)
        if (best) expect(best.top1).toBe(Math.max(...fitting.map(({ top1 }) => top1)))
      }),
    )
  })
})

describe('mean accuracy over budgets', () => {
  const steps = [
    { macs: 1, top1: 0.4 },
    { macs: 4, top1: 0.8 },
    { macs: 5, top1: 0.1 },
  ]

  it('weighs every doubling of the budget alike', () => {
    // 1 to 4 is two doublings, 4 to 8 one.
    expect(meanAccuracy(steps, 1, 8)).toBeCloseTo((2 * 0.4 + 0.8) / 3, 12)
    expect(meanAccuracy(steps, 4, 8)).toBeCloseTo(0.8, 12)
    expect(meanAccuracy(steps, 2, 4)).toBeCloseTo(0.4, 12)
  })

  it('counts budgets that buy nothing as 0', () => {
    expect(meanAccuracy(steps, 0.5, 1)).toBeCloseTo(0, 12)
    expect(meanAccuracy(steps, 0.5, 2)).toBeCloseTo(0.2, 12)
    expect(meanAccuracy([], 1, 2)).toBe(0)
  })

  it('is the average of what many budgets buy', () => {
    fc.assert(
      fc.property(many, (all) => {
        const count = 4000
        const budgets = Array.from({ length: count }, (_, i) => 2 * 15 ** ((i + 0.5) / count))
        const average = budgets.reduce((sum, macs) => sum + (bestUnder(all, macs)?.top1 ?? 0), 0) / count
        expect(meanAccuracy(all, 2, 30)).toBeCloseTo(average, 1)
      }),
      { numRuns: 5 },
    )
  })
})
