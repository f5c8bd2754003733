/**
 * Curves as a Vega-Lite chart: accuracy against cost or latency, every series with its own colour, shape and dashes, labels
 * placed so that none overlap. The chart is plain data, which other programs can change and draw again.
 */
import type { TopLevelSpec } from 'vega-lite'
import type { Against, Curve, CurvePoint, Per } from './curves.ts'
import { type Box, type Label, leaderOf, placeLabels, type Segment } from './label-placement.ts'
import { lookOf } from './palette.ts'

export interface ChartOptions {
  readonly title: string
  readonly subtitle?: string
  /** What the cost is of: `image` for one. */
  readonly per: Per | 'image'
  readonly against: Against
  readonly scale: 'linear' | 'log'
}

/** Pixels of the plot; with its axes it is at most 800 wide. */
const PLOT = { width: 680, height: 440 } as const
/** Sans serif in whatever the machine has; in the order of a browser's liking. */
const FONT = 'Helvetica, Arial, "DejaVu Sans", sans-serif'

/** What all charts share. */
export const CHART_CONFIG = {
  font: FONT,
  axis: { labelFontSize: 12, titleFontSize: 13, gridColor: '#e6e6e6', titlePadding: 8 },
  legend: { labelFontSize: 12 },
  title: { fontSize: 15, subtitleFontSize: 12, subtitleColor: '#444', offset: 12 },
  view: { stroke: '#999' },
}

const LABEL_SIZE = 11
/** Width of a letter as a share of its height, of the widest of these fonts. */
const LETTER = 0.66
const MARK_RADIUS = 5
/** The most that a legend's row holds, in letters. */
const LEGEND_LETTERS = 70

/** @param curves at least one, each with at least one point; against latency every point has one */
export function curveChart(curves: readonly Curve[], options: ChartOptions): TopLevelSpec {
  const axes = axesOf(curves, options)
  const names = curves.map(({ name }) => name)
  const looks = names.map((_, n) => lookOf(n))
  const rows = curves.flatMap((curve) => curve.points.map((point) => ({ ...rowOf(curve, point, axes) })))
  const labels = labelsOf(curves, axes)
  const x = {
    field: 'cost',
    type: 'quantitative',
    title: `${axes.unit} per ${options.per} (${UNIT_MEANING[axes.unit]})${options.scale === 'log' ? ', logarithmic' : ''}`,
    scale: {
      type: options.scale,
      domain: axes.cost,
      nice: false,
      ...(options.scale === 'linear' && { zero: false }),
    },
    axis: { values: axes.ticks, format: '~r' },
  } as const
  const y = {
    field: 'top1',
    type: 'quantitative',
    title: 'top-1 accuracy (%)',
    scale: { domain: axes.top1, nice: false, zero: false },
  } as const
  const letters = Math.max(...names.map((name) => name.length)) + 6
  const legend = {
    title: null,
    orient: 'bottom',
    columns: Math.max(1, Math.min(3, Math.floor(LEGEND_LETTERS / letters))),
    labelLimit: 640,
    symbolSize: 90,
    symbolOpacity: 1,
    columnPadding: 24,
  } as const
  const series = { field: 'series', type: 'nominal', sort: null } as const
  const colour = { ...series, scale: { domain: names, range: looks.map((look) => look.colour) }, legend }
  const shape = { ...series, scale: { domain: names, range: looks.map((look) => look.shape) }, legend }
  // A field of its own, or the legend's symbols would be dashed too.
  const dash = {
    field: 'line',
    type: 'nominal',
    scale: { domain: names, range: looks.map((look) => [...look.dash]) },
    legend: null,
  } as const
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: { text: options.title, ...(options.subtitle && { subtitle: options.subtitle }), anchor: 'start' },
    width: PLOT.width,
    height: PLOT.height,
    background: 'white',
    padding: 10,
    config: CHART_CONFIG,
    data: { name: 'results', values: rows },
    layer: [
      {
        transform: [{ filter: 'datum.joined' }],
        mark: { type: 'line', strokeWidth: 2 },
        encoding: {
          x,
          y,
          order: { field: 'cost', type: 'quantitative' },
          color: colour,
          strokeDash: dash,
        },
      },
      {
        transform: [{ filter: 'datum.onFrontier && isValid(datum.low)' }],
        mark: { type: 'rule', strokeWidth: 1, opacity: 0.5 },
        encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color: colour },
      },
      {
        transform: [{ filter: '!datum.onFrontier' }],
        mark: { type: 'point', filled: true, size: 14, opacity: 0.45 },
        encoding: { x, y, color: colour, shape },
      },
      {
        transform: [{ filter: 'datum.onFrontier' }],
        mark: { type: 'point', filled: true, size: 70, opacity: 1, stroke: 'white', strokeWidth: 0.75 },
        encoding: { x, y, color: colour, shape },
      },
      {
        data: { name: 'leaders', values: labels.filter(({ far }) => far) },
        mark: { type: 'rule', color: '#777', strokeWidth: 0.75 },
        encoding: {
          x: { ...x, field: 'fromCost' },
          x2: { field: 'toCost' },
          y: { ...y, field: 'fromTop1' },
          y2: { field: 'toTop1' },
        },
      },
      // White around the letters keeps them readable where a line passes behind.
      ...(
        [{ stroke: 'white', strokeWidth: 3, strokeJoin: 'round' }, { color: { expr: 'datum.ink' } }] as const
      ).map((look) => ({
        data: { name: 'labels', values: labels },
        mark: { type: 'text', fontSize: LABEL_SIZE, baseline: 'middle', align: 'center', ...look } as const,
        encoding: { x: { ...x, field: 'cost' }, y, text: { field: 'text', type: 'nominal' } as const },
      })),
    ],
  }
}

const UNIT_MEANING = {
  GFLOPs: '1e9 multiply-adds',
  MFLOPs: '1e6 multiply-adds',
  ms: 'measured, decoding not counted',
} as const

/** The extent of both axes and the unit of cost or latency (below, cost is either), with the way to pixels and back. */
interface Axes {
  readonly unit: keyof typeof UNIT_MEANING
  readonly cost: readonly [number, number] & number[]
  readonly top1: readonly [number, number] & number[]
  readonly ticks: number[]
  readonly costOf: (point: CurvePoint) => number
  readonly xOf: (cost: number) => number
  readonly yOf: (top1: number) => number
  readonly costAt: (x: number) => number
  readonly top1At: (y: number) => number
}

function axesOf(curves: readonly Curve[], { scale, against }: ChartOptions): Axes {
  const points = curves.flatMap((curve) => curve.points)
  const dearest = Math.max(...points.map(({ gflops }) => gflops))
  const unit = against === 'latency' ? 'ms' : dearest < 1 ? 'MFLOPs' : 'GFLOPs'
  const costOf = ({ gflops, latencyMs }: CurvePoint) =>
    unit === 'ms' ? latencyMs! : unit === 'MFLOPs' ? 1000 * gflops : gflops
  const costs = points.map(costOf)
  const bend = scale === 'log' ? Math.log : (value: number) => value
  const unbend = scale === 'log' ? Math.exp : (value: number) => value
  const low = bend(Math.min(...costs))
  const high = bend(Math.max(...costs))
  const room = 0.06 * (high - low) || Math.max(0.1, 0.1 * Math.abs(high))
  const from = scale === 'log' ? low - room : Math.max(0, low - room)
  const to = high + room
  const accuracies = points.flatMap(({ top1, interval, onFrontier }) =>
    onFrontier && interval ? [top1, ...interval] : [top1],
  )
  const worst = Math.min(...accuracies)
  const best = Math.max(...accuracies)
  const headroom = Math.max(0.5, 0.08 * (best - worst))
  const bottom = Math.max(0, worst - headroom)
  const top = Math.min(102, best + headroom)
  return {
    unit,
    cost: [unbend(from), unbend(to)],
    top1: [bottom, top],
    ticks: scale === 'log' ? logTicks(unbend(from), unbend(to)) : linearTicks(from, to),
    costOf,
    xOf: (cost) => ((bend(cost) - from) / (to - from)) * PLOT.width,
    yOf: (top1) => ((top - top1) / (top - bottom)) * PLOT.height,
    costAt: (x) => unbend(from + (x / PLOT.width) * (to - from)),
    top1At: (y) => top - (y / PLOT.height) * (top - bottom),
  }
}

/** 1, 2 and 5 of every power of ten; where that is few, all whole multiples. */
function logTicks(from: number, to: number): number[] {
  const ticks = (factors: readonly number[]) => {
    const found: number[] = []
    for (let power = Math.floor(Math.log10(from)); power <= Math.log10(to); power++)
      for (const factor of factors) {
        const tick = Number((factor * 10 ** power).toPrecision(3))
        if (tick >= from && tick <= to) found.push(tick)
      }
    return found
  }
  const usual = ticks([1, 2, 5])
  return usual.length >= 4 ? usual : ticks([1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9])
}

/** About eight round numbers. */
function linearTicks(from: number, to: number): number[] {
  const rough = (to - from) / 8
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10)
  const first = Math.ceil(from / step)
  const count = Math.floor(to / step) - first + 1
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(6)))
}

const rowOf = (curve: Curve, point: CurvePoint, { costOf }: Axes) => ({
  series: curve.name,
  line: curve.name,
  cost: costOf(point),
  top1: point.top1,
  ...(point.interval && { low: point.interval[0], high: point.interval[1] }),
  ...(point.label !== '' && { label: point.label }),
  ...point.configuration,
  onFrontier: point.onFrontier,
  joined: curve.drawnAs === 'curve' && point.onFrontier,
})

/** The labels that found a place, in the chart's own units. */
function labelsOf(curves: readonly Curve[], axes: Axes) {
  const at = (point: CurvePoint) => ({ x: axes.xOf(axes.costOf(point)), y: axes.yOf(point.top1) })
  const lines: Segment[] = curves.flatMap(({ drawnAs, points }) => {
    const joined = drawnAs === 'curve' ? points.filter(({ onFrontier }) => onFrontier).map(at) : []
    return joined.slice(1).map((to, i) => ({ x1: joined[i]!.x, y1: joined[i]!.y, x2: to.x, y2: to.y }))
  })
  const marks = curves.flatMap(({ points }) =>
    points.map((point): Box => {
      const { x, y } = at(point)
      const radius = point.onFrontier ? MARK_RADIUS : 2
      return { x: x - radius, y: y - radius, width: 2 * radius, height: 2 * radius }
    }),
  )
  const wanted = curves.flatMap((curve) => labelled(curve).map((point) => ({ curve, point })))
  // The ends of every curve first, then runs, then what was published.
  wanted.sort((a, b) => Number(isEnd(b)) - Number(isEnd(a)))
  const boxes = placeLabels(
    wanted.map(
      ({ point }): Label => ({
        ...at(point),
        width: LETTER * LABEL_SIZE * point.label.length,
        height: LABEL_SIZE + 2,
      }),
    ),
    { bounds: { x: 2, y: 2, width: PLOT.width - 4, height: PLOT.height - 4 }, marks, lines },
  )
  return wanted.flatMap(({ curve, point }, i) => {
    const box = boxes[i]
    if (!box) return []
    const leader = leaderOf(at(point), box)
    return [
      {
        series: curve.name,
        ink: lookOf(curves.indexOf(curve)).ink,
        text: point.label,
        cost: axes.costAt(box.x + box.width / 2),
        top1: axes.top1At(box.y + box.height / 2),
        far: box.far,
        fromCost: axes.costAt(leader.x1),
        fromTop1: axes.top1At(leader.y1),
        toCost: axes.costAt(leader.x2),
        toTop1: axes.top1At(leader.y2),
      },
    ]
  })
}

const labelled = ({ points }: Curve): CurvePoint[] =>
  points.filter(({ onFrontier, label }) => onFrontier && label !== '')

function isEnd({ curve, point }: { readonly curve: Curve; readonly point: CurvePoint }): boolean {
  const ends = labelled(curve)
  return point === ends[0] || point === ends.at(-1)
}
