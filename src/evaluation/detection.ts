/**
 * Mean average precision of spans found in time, as ActivityNet's detection task measures it (Caba Heilbron et al. 2015):
 * over the classes of the ground truth, at temporal intersections over union of 0.5, 0.55, …, 0.95, and the mean of these.
 */

export interface TrueSpan {
  readonly video: string
  readonly label: string
  /** Seconds. */
  readonly start: number
  readonly end: number
}

export interface FoundSpan extends TrueSpan {
  readonly score: number
}

export interface DetectionResult {
  /** Mean over thresholds of the mean over classes. */
  readonly averageMap: number
  readonly thresholds: readonly { readonly tiou: number; readonly map: number }[]
  /** By class: average precision at each threshold. */
  readonly classes: readonly { readonly label: string; readonly averagePrecision: readonly number[] }[]
}

const [LOWEST, HIGHEST, COUNT] = [0.5, 0.95, 10]

/** 0.5, 0.55, …, 0.95, with a linspace's rounding. */
export const TIOU_THRESHOLDS: readonly number[] = Array.from({ length: COUNT }, (_, i) =>
  i === COUNT - 1 ? HIGHEST : i * ((HIGHEST - LOWEST) / (COUNT - 1)) + LOWEST,
)

/**
 * Classes that the truth does not have are not looked at; one that is never found counts as 0. Found spans are taken from
 * the highest score down, of equal scores the later one first; each matches the true span of its video and class with the
 * largest overlap that none before it has, or is wrong.
 */
export function detectionMap(truth: readonly TrueSpan[], found: readonly FoundSpan[]): DetectionResult {
  const labels = [...new Set(truth.map(({ label }) => label))]
  const of = <S extends TrueSpan>(spans: readonly S[], label: string) =>
    spans.filter((span) => span.label === label)
  const classes = labels.map((label) => ({
    label,
    averagePrecision: averagePrecisions(of(truth, label), of(found, label)),
  }))
  const thresholds = TIOU_THRESHOLDS.map((tiou, i) => ({
    tiou,
    map: mean(classes.map(({ averagePrecision }) => averagePrecision[i]!)),
  }))
  return { averageMap: mean(thresholds.map(({ map }) => map)), thresholds, classes }
}

/** One class: average precision at each threshold. */
function averagePrecisions(truth: readonly TrueSpan[], found: readonly FoundSpan[]): number[] {
  const order = [...found.keys()].sort((a, b) => found[b]!.score - found[a]!.score || b - a)
  const byVideo = new Map<string, number[]>()
  truth.forEach(({ video }, i) => {
    byVideo.set(video, [...(byVideo.get(video) ?? []), i])
  })
  const ranked = order.map((i) => {
    const span = found[i]!
    const overlaps = (byVideo.get(span.video) ?? []).map((at) => ({ at, tiou: tiouOf(span, truth[at]!) }))
    // Of equal overlaps the later one first.
    return overlaps.sort((a, b) => b.tiou - a.tiou || b.at - a.at)
  })
  return TIOU_THRESHOLDS.map((threshold) => {
    const matched = new Set<number>()
    const isRight = ranked.map((overlaps) => {
      const match = overlaps.find(({ at, tiou }) => tiou >= threshold && !matched.has(at))
      if (match) matched.add(match.at)
      return match !== undefined
    })
    return interpolated(isRight, truth.length)
  })
}

/** The area under precision over recall, each precision the largest at its recall or beyond (Pascal VOC 2011). */
function interpolated(isRight: readonly boolean[], all: number): number {
  let right = 0
  const points = isRight.map((is, i) => {
    if (is) right++
    return { recall: right / all, precision: right / (i + 1) }
  })
  let [area, best] = [0, 0]
  for (let i = points.length - 1; i >= 0; i--) {
    best = Math.max(best, points[i]!.precision)
    area += (points[i]!.recall - (points[i - 1]?.recall ?? 0)) * best
  }
  return area
}

/** Temporal intersection over union. */
function tiouOf(a: TrueSpan, b: TrueSpan): number {
  const intersection = Math.max(0, Math.min(a.end, b.end) - Math.max(a.start, b.start))
  return intersection / (a.end - a.start + (b.end - b.start) - intersection)
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
