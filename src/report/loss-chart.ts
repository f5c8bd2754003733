/** The losses of a training run as a Vega-Lite chart: one line per sub-network over the epochs. */
import type { TopLevelSpec } from 'vega-lite'
import type { LoggedStep } from '../runs/log.ts'
import { CHART_CONFIG } from './chart.ts'
import { lookOf } from './palette.ts'

/** Points of a line: each is the mean over its stretch of the log. */
const POINTS = 250
/** Lines that can be told apart; further sub-networks are averaged into one. */
const LINES = 6

/** @returns undefined where no step has a loss */
export function lossChart(name: string, steps: readonly LoggedStep[]): TopLevelSpec | undefined {
  const rows = meansOf(steps)
  if (rows.length === 0) return undefined
  const names = [...new Set(rows.map(({ series }) => series))]
  const looks = names.map((_, n) => lookOf(n))
  const positive = rows.every(({ loss }) => loss > 0)
  const range = rows.map(({ loss }) => loss)
  const wide = Math.max(...range) > 50 * Math.min(...range)
  const series = { field: 'series', type: 'nominal', sort: null } as const
  const legend = { title: null, orient: 'bottom', columns: 3, labelLimit: 640, symbolSize: 300 } as const
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: { text: `Training losses of ${name}`, anchor: 'start' },
    width: 680,
    height: 260,
    background: 'white',
    padding: 10,
    config: CHART_CONFIG,
    data: { name: 'losses', values: rows },
    mark: { type: 'line', strokeWidth: 1.75 },
    encoding: {
      x: { field: 'epoch', type: 'quantitative', title: 'epoch', scale: { nice: false, zero: false } },
      y: {
        field: 'loss',
        type: 'quantitative',
        title: `loss (nats)${positive && wide ? ', logarithmic' : ''}`,
        ...(positive && wide && { scale: { type: 'log' as const } }),
      },
      color: { ...series, scale: { domain: names, range: looks.map(({ colour }) => colour) }, legend },
      strokeDash: { ...series, scale: { domain: names, range: looks.map(({ dash }) => [...dash]) }, legend },
    },
  }
}

interface Row {
  readonly epoch: number
  readonly series: string
  readonly loss: number
}

function meansOf(steps: readonly LoggedStep[]): Row[] {
  const kept = new Set([...new Set(steps.flatMap(({ losses }) => Object.keys(losses)))].slice(0, LINES))
  const stretch = Math.max(1, Math.ceil(steps.length / POINTS))
  const rows: Row[] = []
  for (let start = 0; start < steps.length; start += stretch) {
    const part = steps.slice(start, start + stretch)
    const epoch = mean(part.map((event) => event.epoch))
    const bySeries = new Map<string, number[]>()
    for (const { losses } of part) {
      for (const [key, loss] of Object.entries(losses)) {
        if (loss === null) continue
        const series = kept.has(key) ? key : 'others'
        bySeries.set(series, [...(bySeries.get(series) ?? []), loss])
      }
    }
    for (const [series, losses] of bySeries) rows.push({ epoch, series, loss: mean(losses) })
  }
  return rows
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length
