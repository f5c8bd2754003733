import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MnVideoError } from '../../src/errors.ts'
import {
  type Channels,
  channelsAt,
  checkWidth,
  countOf,
  fixed,
  fullCount,
  makeDivisible,
  ratioed,
  slicesAt,
  slimmable,
} from '../../src/network/channels.ts'

describe('makeDivisible', () => {
  it.each([
    [8, 8],
    [12, 16],
    [11.9, 16],
    [20, 24],
    [19.9, 24],
    [35, 32],
    [36, 40],
    [54 * 0.63, 32],
    [432 * 0.9, 392],
    [2048 * 0.63, 1288],
  ])('rounds %f to %i', (value, channels) => {
    expect(makeDivisible(value)).toBe(channels)
  })

  it('goes to the next multiple where the nearest is more than 10 % below', () => {
    // 18 → 16 is 11 % below; 17.7 → 16 is 9.6 % below.
    expect(makeDivisible(18)).toBe(24)
    expect(makeDivisible(17.7)).toBe(16)
  })

  it('has a floor of one channel, which being far below small values turns them into nine', () => {
    expect(makeDivisible(0.3)).toBe(1)
    expect(makeDivisible(1.1)).toBe(1)
    expect(makeDivisible(2)).toBe(9)
    expect(makeDivisible(3.9)).toBe(9)
    expect(makeDivisible(4)).toBe(8)
  })

  it('gives a multiple of 8 that is near, from 4 on, and never more than 10 % below', () => {
    fc.assert(
      fc.property(fc.double({ min: 4, max: 5000, noNaN: true }), (value) => {
        const channels = makeDivisible(value)
        expect(channels % 8).toBe(0)
        expect(channels).toBeGreaterThanOrEqual(0.9 * value)
        // The nearest multiple, unless that is too far below: then the one above it.
        const nearest = [Math.floor(value / 8) * 8, Math.ceil(value / 8) * 8].filter(
          (multiple) => multiple > 0 && Math.abs(multiple - value) <= 4,
        )
        if (!nearest.includes(channels)) {
          expect(nearest).toEqual([channels - 8])
          expect(channels - 8).toBeLessThan(0.9 * value)
        }
      }),
      { seed: 1995, numRuns: 500 },
    )
  })

  it('never shrinks as its argument grows, from 4 on', () => {
    const value = fc.double({ min: 4, max: 3000, noNaN: true })
    fc.assert(
      fc.property(value, value, (a, b) => {
        expect(makeDivisible(Math.min(a, b))).toBeLessThanOrEqual(makeDivisible(Math.max(a, b)))
      }),
      { seed: 1995, numRuns: 500 },
    )
  })
})

describe('a channel count', () => {
  it('that is fixed is the same at every width', () => {
    expect([0.1, 0.63, 1, 1.6].map((width) => channelsAt(fixed(3), width))).toEqual([3, 3, 3, 3])
  })

  it('of a video network is exact at width 1, though it be no multiple of 8', () => {
    expect(channelsAt(slimmable(54), 1)).toBe(54)
    expect(channelsAt(slimmable(54), 0.99)).toBe(54)
  })

  it('of a video network is rounded below width 1 and never above its base', () => {
    expect([0.9, 0.83, 0.73, 0.63].map((width) => channelsAt(slimmable(54), width))).toEqual([48, 48, 40, 32])
    expect(channelsAt(slimmable(8), 0.63)).toBe(8)
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2048 }), fc.integer({ min: 1, max: 100 }), (base, percent) => {
        expect(channelsAt(slimmable(base), percent / 100)).toBeLessThanOrEqual(base)
      }),
      { seed: 1995 },
    )
  })

  it('of an image network is rounded at every width, above 1 too', () => {
    expect([0.25, 0.7, 1, 1.6].map((width) => channelsAt(ratioed(32), width))).toEqual([8, 24, 32, 48])
  })

  it('of an image network with a ratio is that ratio of a rounded count', () => {
    // ResNet's inner channels: a quarter of the rounded outer ones.
    expect([0.9, 0.95, 1].map((width) => channelsAt(ratioed(64, 0.25), width))).toEqual([58, 60, 64])
    // MobileNet v2's expansion: six times the slimmed input.
    for (const width of [0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1]) {
      expect(channelsAt(ratioed(24 * 6, 6), width)).toBe(6 * channelsAt(ratioed(24), width))
    }
  })
})

describe('the slices of a full-size weight', () => {
  it('are the first channels of a value with one part', () => {
    expect(slicesAt([slimmable(64)], 0.63, 1)).toEqual([{ start: 0, count: 40 }])
  })

  it("take each part of a concatenation at that part's own full-size offset", () => {
    // SlowFast after the stem: slow 64, lateral 16.
    expect(slicesAt([slimmable(64), fixed(16)], 0.63, 1)).toEqual([
      { start: 0, count: 40 },
      { start: 64, count: 16 },
    ])
  })

  it('have offsets of the widest weights, above 1 too', () => {
    expect(slicesAt([ratioed(32), ratioed(64), fixed(5)], 0.5, 1.6)).toEqual([
      { start: 0, count: 16 },
      { start: 48, count: 32 },
      { start: 48 + 104, count: 5 },
    ])
  })

  it('stay inside the full weight, in order, without overlap, and cover it at the widest', () => {
    const part: fc.Arbitrary<Channels> = fc.oneof(
      fc.integer({ min: 1, max: 300 }).map(fixed),
      fc.integer({ min: 1, max: 300 }).map(slimmable),
      fc
        .tuple(fc.integer({ min: 16, max: 300 }), fc.constantFrom(0.25, 1, 6))
        .map(([base, ratio]) => ratioed(base * Math.max(1, ratio), ratio)),
    )
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 25, max: 160 }),
        fc.constantFrom(1, 1.3, 1.6),
        (parts, percent, maxWidth) => {
          const width = Math.min(percent / 100, maxWidth)
          const slices = slicesAt(parts, width, maxWidth)
          let end = 0
          for (const { start, count } of slices) {
            expect(start).toBeGreaterThanOrEqual(end)
            expect(count).toBeGreaterThanOrEqual(1)
            end = start + count
          }
          expect(end).toBeLessThanOrEqual(fullCount(parts, maxWidth))
          expect(countOf(slices)).toBe(parts.reduce((sum, part) => sum + channelsAt(part, width), 0))
          expect(countOf(slicesAt(parts, maxWidth, maxWidth))).toBe(fullCount(parts, maxWidth))
        },
      ),
      { seed: 1995, numRuns: 300 },
    )
  })
})

describe('a width multiplier', () => {
  it.each([
    [0, 1],
    [-0.5, 1],
    [Number.NaN, 1],
    [1.0001, 1],
    [1.7, 1.6],
    [Number.POSITIVE_INFINITY, 1.6],
  ])('of %d is refused where the widest is %d', (width, maxWidth) => {
    expect(() => checkWidth(width, maxWidth)).toThrow(
      new MnVideoError(
        'network',
        `width ${width} is not possible: give a width multiplier above 0 and at most ${maxWidth}.`,
      ),
    )
  })

  it.each([
    [1e-6, 1],
    [1, 1],
    [1.6, 1.6],
  ])('of %d is taken where the widest is %d', (width, maxWidth) => {
    expect(() => checkWidth(width, maxWidth)).not.toThrow()
  })
})
