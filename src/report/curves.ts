/** Accuracy against cost or latency as curves of points: of runs, from their results, and of papers. No drawing. */

import { parseViews } from '../config/views.ts'
import { MnVideoError } from '../errors.ts'
import type { Configuration } from '../network/graph.ts'
import { frontierBy } from '../runs/frontier.ts'
import { wilson } from '../runs/interval.ts'
import {
  configurationOf,
  type Published,
  type PublishedPoint,
  type PublishedSeries,
} from '../runs/published.ts'
import type { SweepResult } from '../runs/sweep-results.ts'

/** What a cost is of: one clip (or image), or all views of a video. */
export type Per = 'clip' | 'video'
/** What accuracy is drawn against: multiply-adds, or milliseconds that were measured. */
export type Against = 'cost' | 'latency'

export interface Curve {
  readonly name: string
  readonly origin: 'run' | 'published'
  /** Points of separate networks are not joined by a line. */
  readonly drawnAs: 'curve' | 'points'
  readonly dataset: string
  /** Where the accuracies come from, for readers. */
  readonly source: string
  /** From the cheapest to the dearest, or the fastest to the slowest. */
  readonly points: readonly CurvePoint[]
}

export interface CurvePoint {
  /** 1e9 multiply-adds. */
  readonly gflops: number
  /** Milliseconds, where they were measured. */
  readonly latencyMs?: number
  /** Percent. */
  readonly top1: number
  /** Samples that top1 is of, and Wilson's 95 % interval in percent; of papers unknown. */
  readonly samples?: number
  readonly interval?: readonly [low: number, high: number]
  /** `6×224×.73`, frames × size × width; of images `0.73-224`. */
  readonly label: string
  readonly configuration?: Configuration
  /** Whether it is shown to be more accurate than all that is cheaper or faster (`frontier.ts`). Those that are not have no label. */
  readonly onFrontier: boolean
}

/** What a run's curve is made of. */
export interface RunResults {
  readonly name: string
  readonly media: 'video' | 'image'
  readonly dataset: string
  readonly results: readonly (Pick<
    SweepResult,
    'width' | 'frames' | 'size' | 'macs' | 'top1' | 'views' | 'latencyMs'
  > &
    Partial<Pick<SweepResult, 'samples'>>)[]
  /** Where the accuracies come from. */
  readonly source: string
}

/** All results of a run, against latency those that have one; the frontier is marked. */
export function runCurve(
  { name, media, dataset, results, source }: RunResults,
  per: Per,
  against: Against = 'cost',
): Curve {
  const drawn = results.filter(({ latencyMs }) => against === 'cost' || latencyMs !== undefined)
  const timesOf = ({ views }: { readonly views: string }) => (per === 'video' ? viewCount(views) : 1)
  const frontier = new Set(
    frontierBy(drawn, (one) => timesOf(one) * (against === 'latency' ? one.latencyMs! : one.macs)),
  )
  const points = drawn.map((result): CurvePoint => {
    const { width, frames, size, macs, latencyMs, top1, samples } = result
    const times = timesOf(result)
    const interval = samples === undefined ? undefined : wilson(top1, samples)
    return {
      gflops: (macs * times) / 1e9,
      ...(latencyMs !== undefined && { latencyMs: latencyMs * times }),
      top1: 100 * top1,
      ...(samples !== undefined && { samples }),
      ...(interval && { interval: [100 * interval[0], 100 * interval[1]] as const }),
      label: configurationLabel({ width, frames, size }, media),
      configuration: { width, frames, size },
      onFrontier: frontier.has(result),
    }
  })
  const priceOf = ({ gflops, latencyMs }: Pick<CurvePoint, 'gflops' | 'latencyMs'>) =>
    against === 'latency' ? latencyMs! : gflops
  return {
    ...{ name, origin: 'run', drawnAs: 'curve', dataset, source },
    points: points.toSorted((a, b) => priceOf(a) - priceOf(b) || a.top1 - b.top1),
  }
}

/** The curves of a published file, and the names of those whose cost is of something else than asked for. */
export function publishedCurves(
  published: Published,
  per: Per,
): { readonly curves: readonly Curve[]; readonly leftOut: readonly string[] } {
  const factor = factorTo(per, published)
  if (factor === undefined) return { curves: [], leftOut: published.series.map(({ name }) => name) }
  const curves = published.series.map((series): Curve => {
    const points = series.points.map((point): CurvePoint => {
      const configuration = configurationOf(point)
      return {
        gflops: point.gflops * factor,
        top1: point.top1,
        label: labelOf(point, series, published),
        ...(configuration && { configuration }),
        onFrontier: true,
      }
    })
    return {
      name: series.name,
      origin: 'published',
      drawnAs: series.drawn_as,
      dataset: published.dataset,
      source: sourceOf(series),
      points: byCost(points),
    }
  })
  return { curves, leftOut: [] }
}

/** `6×224×.73`: frames × size × width, as the papers write; of images `0.73-224`. */
export function configurationLabel({ width, frames, size }: Configuration, media: 'video' | 'image'): string {
  if (media === 'image') return `${Number.isInteger(width) ? width.toFixed(1) : width}-${size}`
  return `${frames}×${size}×${String(width).replace(/^0\./, '.')}`
}

function labelOf(point: PublishedPoint, series: PublishedSeries, { per }: Published): string {
  if (point.name !== undefined) return point.name
  const configuration = configurationOf(point)
  // Several methods at one cost lie on each other: their names say more than that cost's configuration.
  if (!configuration || series.points.length === 1) return series.name
  return configurationLabel(configuration, per === 'image' ? 'image' : 'video')
}

/** From a published cost to the one asked for; undefined where the number of views is not known. */
function factorTo(per: Per, published: Published): number | undefined {
  if ((published.per === 'video') === (per === 'video')) return 1
  if (published.views === undefined) return undefined
  return per === 'video' ? published.views : 1 / published.views
}

const sourceOf = ({ source, read_from, reading_error, note }: PublishedSeries): string =>
  `${source}; ${read_from === 'figure' ? 'read off its figure' : `from: ${read_from}`}, ±${reading_error.gflops} GFLOPs, ±${reading_error.top1} %.${note ? ` ${note}` : ''}`

const byCost = (points: readonly CurvePoint[]): CurvePoint[] =>
  [...points].sort((a, b) => a.gflops - b.gflops || a.top1 - b.top1)

function viewCount(views: string): number {
  const { temporal, spatial } = parseViews(views)
  return temporal * spatial
}

/** @throws MnVideoError `usage` for runs of videos and of images together: their costs are of different things */
export function mediaOf(runs: readonly Pick<RunResults, 'name' | 'media'>[]): 'video' | 'image' | undefined {
  const other = runs.find(({ media }) => media !== runs[0]!.media)
  if (!other) return runs[0]?.media
  throw new MnVideoError(
    'usage',
    `${runs[0]!.name} classifies ${runs[0]!.media}s, ${other.name} ${other.media}s: their costs cannot share an axis. Draw them one by one.`,
  )
}
