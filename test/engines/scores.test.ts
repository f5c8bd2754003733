import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { averagePositions, softmax } from '../../src/engines/scores.ts'

const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0)

describe('softmax', () => {
  it('is the share of each exponential', () => {
    const [a, b, c] = softmax([1, 2, 3])
    const total = Math.E + Math.E ** 2 + Math.E ** 3
    expect(a).toBeCloseTo(Math.E / total, 14)
    expect(b).toBeCloseTo(Math.E ** 2 / total, 14)
    expect(c).toBeCloseTo(Math.E ** 3 / total, 14)
  })

  it.each([
    { values: [1e4, 1e4], expected: [0.5, 0.5] },
    { values: [3e38, 0, -3e38], expected: [1, 0, 0] },
    { values: [-1e4, -1e4 - Math.log(3)], expected: [0.75, 0.25] },
    { values: [5], expected: [1] },
  ])('stays exact for large logits: $values', ({ values, expected }) => {
    const found = softmax(values)
    expected.forEach((share, i) => {
      expect(found[i]).toBeCloseTo(share, 10)
    })
  })

  it('adds up to 1, is positive, keeps the order and ignores a common offset', () => {
    const logits = fc.array(fc.double({ min: -50, max: 50, noNaN: true }), { minLength: 1, maxLength: 50 })
    fc.assert(
      fc.property(logits, fc.double({ min: -1e3, max: 1e3, noNaN: true }), (values, offset) => {
        const shares = softmax(values)
        expect(sum(shares)).toBeCloseTo(1, 12)
        expect(shares.every((share) => share > 0 && share <= 1)).toBe(true)
        const best = values.indexOf(Math.max(...values))
        expect(shares[best]).toBe(Math.max(...shares))
        const moved = softmax(values.map((value) => value + offset))
        expect(Math.max(...moved.map((share, i) => Math.abs(share - shares[i]!)))).toBeLessThan(1e-10)
      }),
      { seed: 1995 },
    )
  })
})

describe('the positions of a classifier', () => {
  it('give their one output when there is one', () => {
    const { logits, scores } = averagePositions(Float32Array.of(1, 2, 3, -1, 0, 5), 2, 3)
    expect([...logits]).toEqual([1, 2, 3, -1, 0, 5])
    const expected = [...softmax([1, 2, 3]), ...softmax([-1, 0, 5])]
    expected.forEach((score, i) => {
      expect(scores[i]).toBeCloseTo(score, 7)
    })
  })

  it('average as logits, and apart from that as softmaxed scores', () => {
    // Two positions sure of opposite answers, the first surer: logits follow it, scores are nearly even.
    const { logits, scores } = averagePositions(Float32Array.of(20, 0, 0, 10), 1, 2)
    expect([...logits]).toEqual([10, 5])
    const expected = (1 / (1 + Math.exp(-20)) + 1 / (1 + Math.exp(10))) / 2
    expect(scores[0]).toBeCloseTo(expected, 7)
    expect(scores[0]).toBeCloseTo(0.5, 4)
    expect(sum(scores)).toBeCloseTo(1, 6)
  })

  it('belong to their own sample, row by row', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 7 }),
        (batch, positions, classes) => {
          const outputs = Float32Array.from(
            { length: batch * positions * classes },
            (_, i) => Math.sin(i) * 4,
          )
          const { logits, scores } = averagePositions(outputs, batch, classes)
          expect([logits.length, scores.length]).toEqual([batch * classes, batch * classes])
          for (let n = 0; n < batch; n++) {
            const rows = Array.from({ length: positions }, (_, p) =>
              outputs.slice((n * positions + p) * classes, (n * positions + p + 1) * classes),
            )
            for (let k = 0; k < classes; k++) {
              const meanOf = (of: readonly ArrayLike<number>[]) => sum(of.map((row) => row[k]!)) / positions
              expect(logits[n * classes + k]).toBeCloseTo(meanOf(rows), 5)
              expect(scores[n * classes + k]).toBeCloseTo(meanOf(rows.map(softmax)), 6)
            }
          }
        },
      ),
      { seed: 1995, numRuns: 50 },
    )
  })
})
