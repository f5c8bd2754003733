import { describe, expect, it } from 'vitest'
import { type Span, SpanFinder, type SpanOptions } from '../../../src/inference/streaming/span-finder.ts'

/** Windows of a second, every half second, with these scores of class 0 and the rest for class 1. */
function find(scores: readonly number[], options: Partial<SpanOptions> = {}) {
  const finder = new SpanFinder({ minScore: 0.5, minLength: 0, ...options })
  const closed: { readonly after: number; readonly span: Span }[] = []
  scores.forEach((score, i) => {
    const window = { start: i / 2, end: i / 2 + 1, scores: Float32Array.of(score, 1 - score) }
    for (const span of finder.push(window)) closed.push({ after: i, span })
  })
  const duration = (scores.length + 1) / 2
  for (const span of finder.end(duration)) closed.push({ after: scores.length, span })
  return closed
}
const ofClass0 = (scores: readonly number[], options?: Partial<SpanOptions>) =>
  find(scores, { background: 1, ...options }).map(({ span }) => span)

describe('spans', () => {
  it('reach halfway to the windows around, and to both ends of the film', () => {
    const [first, second] = find([1, 1, 1, 1, 0, 0, 0, 0]).map(({ span }) => span)
    // Middles lie at 0.5, 1, 1.5, …; the change between the fourth and the fifth window is at 2.25.
    expect(first).toMatchObject({ index: 0, start: 0, end: 2.25 })
    expect(second).toMatchObject({ index: 1, start: 2.25, end: 4.5 })
  })

  it('have the mean and the largest score of their windows, not smoothed', () => {
    const [span] = ofClass0([0.875, 0.75, 1, 0.875])
    expect(span).toMatchObject({ score: 0.875, peak: 1 })
  })

  it('do not break at one low window, nor begin at one high one', () => {
    expect(ofClass0([1, 1, 1, 0.25, 1, 1, 1])).toHaveLength(1)
    expect(ofClass0([0, 0, 0, 0.9, 0, 0, 0])).toEqual([])
  })

  it('go on between the two thresholds, and do not begin there', () => {
    // Above 0.3, below 0.5.
    expect(ofClass0([0.4, 0.4, 0.4, 0.4])).toEqual([])
    expect(ofClass0([1, 1, 1, 0.4, 0.4, 0.4])).toMatchObject([{ start: 0, end: 3.5 }])
  })

  it('close as soon as it is known: one window later', () => {
    const [first] = find([1, 1, 1, 0, 0, 0])
    expect(first).toMatchObject({ after: 4, span: { index: 0 } })
  })

  it('are left out where they are too short, or the background', () => {
    const scores = [1, 1, 0, 0, 0, 0]
    expect(ofClass0(scores, { minLength: 1.25 })).toHaveLength(1)
    expect(ofClass0(scores, { minLength: 1.26 })).toHaveLength(0)
    expect(find(scores, { background: 0 }).map(({ span }) => span.index)).toEqual([1])
  })

  it('may overlap where samples have any number of labels', () => {
    const finder = new SpanFinder({ minScore: 0.5, minLength: 0 })
    for (const start of [0, 0.5, 1]) finder.push({ start, end: start + 1, scores: Float32Array.of(0.9, 0.8) })
    expect(finder.end(2).map(({ index, start, end }) => [index, start, end])).toEqual([
      [0, 0, 2],
      [1, 0, 2],
    ])
  })

  it('are none without windows, and one of a single window', () => {
    expect(find([])).toEqual([])
    expect(ofClass0([0.9])).toMatchObject([{ start: 0, end: 1 }])
  })
})
