import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { detectionMap, TIOU_THRESHOLDS } from '../../src/evaluation/detection.ts'

interface Golden {
  readonly name: string
  readonly database: Readonly<
    Record<string, { subset: string; annotations: { label: string; segment: [number, number] }[] }>
  >
  readonly results: Readonly<Record<string, { label: string; score: number; segment: [number, number] }[]>>
  readonly averageMap: number
  readonly map: readonly number[]
}

/** Numbers of ActivityNet's own evaluator (test/reference/README.md). */
const { cases } = JSON.parse(
  readFileSync(new URL('../reference/activitynet-golden.json', import.meta.url), 'utf8'),
) as { cases: readonly Golden[] }

describe('mean average precision in time', () => {
  it.each(cases)("is ActivityNet's: $name", ({ database, results, averageMap, map }) => {
    const truth = Object.entries(database)
      .filter(([, { subset }]) => subset === 'validation')
      .flatMap(([video, { annotations }]) =>
        annotations.map(({ label, segment: [start, end] }) => ({ video, label, start, end })),
      )
    const found = Object.entries(results).flatMap(([video, spans]) =>
      spans.map(({ label, score, segment: [start, end] }) => ({ video, label, score, start, end })),
    )
    const result = detectionMap(truth, found)
    expect(result.averageMap).toBeCloseTo(averageMap, 9)
    result.thresholds.forEach((at, i) => {
      expect(at.map).toBeCloseTo(map[i]!, 9)
    })
  })

  it('is over ten thresholds from 0.5 to 0.95', () => {
    expect(TIOU_THRESHOLDS).toHaveLength(10)
    expect(TIOU_THRESHOLDS[0]).toBe(0.5)
    expect(TIOU_THRESHOLDS[5]).toBe(0.75)
    expect(TIOU_THRESHOLDS[9]).toBe(0.95)
  })

  it('is 0 where nothing is found, and where there is nothing', () => {
    const truth = [{ video: 'a', label: 'x', start: 0, end: 1 }]
    expect(detectionMap(truth, []).averageMap).toBe(0)
    expect(detectionMap([], []).averageMap).toBe(0)
  })
})
