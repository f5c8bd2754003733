import { expect, it } from 'vitest'
import { reliabilityBins, reliabilityChart } from '../../src/report/reliability-chart.ts'
import { drawSvg } from '../../src/report/vega.ts'
import type { Prediction } from '../../src/runs/predictions.ts'

const answer = (score: number, right: boolean): Prediction => ({
  sample: 'a',
  label: right ? 1 : 0,
  classes: [1, 0],
  scores: [score, 1 - score],
})

// A bin holds its upper end: 0.6 is with 0.55.
const BINS = reliabilityBins([
  ...[answer(0.55, true), answer(0.6, false), answer(0.58, true), answer(0.59, true)],
  ...[answer(0.95, true), answer(1, true)],
])

it('counts how many of the samples that are about as sure are right', () => {
  expect(BINS.map(({ samples, accuracy }) => [samples, accuracy])).toEqual([
    ...Array.from({ length: 5 }, () => [0, 0]),
    [4, 0.75],
    ...Array.from({ length: 3 }, () => [0, 0]),
    [2, 1],
  ])
})

it('draws a bar for every bin that has samples, and the number of samples of all', async () => {
  const svg = await drawSvg(reliabilityChart('Scores of x3d', BINS))
  expect(svg.match(/aria-roledescription="rect mark"/g)).toHaveLength(2)
  const counts = [...svg.matchAll(/font-size="11px"[^>]*>(\d+)<\/text>/g)].map(([, text]) => Number(text))
  expect(counts).toEqual(BINS.map(({ samples }) => samples))
  expect(Number(/ width="(\d+)"/.exec(svg)![1])).toBeLessThanOrEqual(800)
})
