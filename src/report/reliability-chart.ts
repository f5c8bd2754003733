/**
 * A reliability diagram as a Vega-Lite chart: how often a network is right when it is so sure. Ten bins of confidence;
 * bars that reach the diagonal are scores that can be taken at their word (Guo et al. 2017, figure 1).
 */
import type { TopLevelSpec } from 'vega-lite'
import { addToBins, type Bin, createBins, describeBins } from '../evaluation/calibration-error.ts'
import type { Prediction } from '../runs/predictions.ts'
import { CHART_CONFIG } from './chart.ts'
import { lookOf } from './palette.ts'

/** Bins of a tenth, so that every bar lies between two labelled ticks. */
const BINS = 10
/** Where the numbers of samples stand, above the bars and the diagonal. */
const COUNTS_AT = 106

export function reliabilityBins(predictions: readonly Prediction[]): Bin[] {
  const bins = createBins(BINS)
  for (const { label, classes, scores } of predictions) addToBins(bins, scores[0]!, classes[0] === label)
  return describeBins(bins)
}

/** @param title what answered, such as a run and its configuration */
export function reliabilityChart(title: string, bins: readonly Bin[]): TopLevelSpec {
  const values = bins.map(({ from, to, samples, accuracy }) => ({
    from: 100 * from,
    to: 100 * to,
    middle: 50 * (from + to),
    samples,
    accuracy: 100 * accuracy,
  }))
  const ticks = [0, ...values.map(({ to }) => Math.round(to))]
  const x = {
    type: 'quantitative',
    title: 'score of the best class (%)',
    scale: { domainMin: 0, domainMax: 100, nice: false },
    axis: { values: ticks, grid: false },
  } as const
  const y = {
    type: 'quantitative',
    title: 'right (%)',
    scale: { domainMin: 0, domainMax: 112, nice: false },
    axis: { values: ticks },
  } as const
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: {
      text: title,
      subtitle: 'Numbers: samples of each bar. Dashed: scores that can be taken at their word.',
      anchor: 'start',
    },
    width: 680,
    height: 320,
    background: 'white',
    padding: 10,
    config: CHART_CONFIG,
    data: { name: 'bins', values },
    layer: [
      {
        transform: [{ filter: 'datum.samples > 0' }],
        mark: { type: 'rect', color: lookOf(0).colour, opacity: 0.75, stroke: 'white' },
        encoding: {
          x: { ...x, field: 'from' },
          x2: { field: 'to' },
          y: { ...y, field: 'accuracy' },
          y2: { datum: 0 },
        },
      },
      {
        data: { values: [{ at: 0 }, { at: 100 }] },
        mark: { type: 'line', color: '#333', strokeDash: [6, 4], strokeWidth: 1.5 },
        encoding: { x: { ...x, field: 'at' }, y: { ...y, field: 'at' } },
      },
      {
        mark: { type: 'text', fontSize: 11, baseline: 'middle' },
        encoding: {
          x: { ...x, field: 'middle' },
          y: { ...y, datum: COUNTS_AT },
          text: { field: 'samples', type: 'quantitative', format: ',' },
        },
      },
    ],
  }
}
