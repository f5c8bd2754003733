import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { envelopeOf, frontierOf } from '../../src/runs/frontier.ts'
import { isShownHigher } from '../../src/runs/interval.ts'

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
        const best = envelopeOf(fitting).at(-1)
        expect(best === undefined).toBe(fitting.length === 0)
        if (best) expect(best.top1).toBe(Math.max(...fitting.map(({ top1 }) => top1)))
      }),
    )
  })
})

describe('frontier of what samples show', () => {
  const sampled = fc.array(
    fc.record({ macs: fc.integer({ min: 1, max: 20 }), right: fc.integer({ min: 0, max: 60 }) }),
    { minLength: 1, maxLength: 30 },
  )
  const of = (samples: number) => (all: readonly { macs: number; right: number }[]) =>
    all.map(({ macs, right }) => ({ macs, top1: right / samples, samples }))

  it('has no difference between neighbours, or any two, that chance may have made', () => {
    fc.assert(
      fc.property(sampled.map(of(60)), (all) => {
        const frontier = frontierOf(all)
        for (const [i, dearer] of frontier.entries())
          for (const cheaper of frontier.slice(0, i)) expect(isShownHigher(dearer, cheaper)).toBe(true)
      }),
    )
  })

  it('is beaten by nothing that costs no more', () => {
    fc.assert(
      fc.property(sampled.map(of(60)), (all) => {
        const frontier = frontierOf(all)
        for (const one of all) {
          const there = frontier.filter(({ macs }) => macs <= one.macs).at(-1)!
          expect(isShownHigher(one, there)).toBe(false)
        }
      }),
    )
  })

  it('is the cheapest alone where eleven clips tell nothing apart', () => {
    const all = of(11)([
      { macs: 1, right: 9 },
      { macs: 2, right: 11 },
      { macs: 4, right: 10 },
    ])
    expect(frontierOf(all)).toEqual(all.slice(0, 1))
    // What a budget buys is still what did best.
    expect(envelopeOf(all)).toEqual(all.slice(0, 2))
  })

  it('has what more samples show', () => {
    const all = of(1100)([
      { macs: 1, right: 900 },
      { macs: 2, right: 1100 },
      { macs: 4, right: 1000 },
    ])
    expect(frontierOf(all)).toEqual(all.slice(0, 2))
  })
})
