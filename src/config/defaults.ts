/** The defaults that follow from other keys: pure rules, used by `schema.ts`. */
import type { EarlierValues } from './models.ts'
import { isVideo } from './models.ts'

const sizeFactors = [1, 0.86, 0.71, 0.57]
const frameFactors = [1, 0.8, 0.6, 0.4]
/** The widths that MutualNet's video curves were measured at. */
const publishedWidths = [0.73, 0.83, 0.9]

/**
 * Sizes drawn in training: {1, .86, .71, .57} of the full size, to the nearest multiple of 4, which gives
 * MutualNet's lists (224 → 224, 192, 160, 128 and 32 → 32, 28, 24, 20).
 */
export function sizesOf({ image_size: size }: Pick<EarlierValues, 'image_size'>): number[] {
  const step = size < 32 ? 1 : 4
  return distinct(
    sizeFactors.map((factor) => (factor === 1 ? size : step * Math.round((size * factor) / step))),
  )
}

/** Frame counts drawn in training: {1, .8, .6, .4} of the full count (16 → 16, 13, 10, 6). */
export function frameCountsOf({ frames }: Pick<EarlierValues, 'frames'>): number[] {
  return distinct(frameFactors.map((factor) => Math.round(frames * factor)))
}

/** Widths logged and swept: both ends of the range and, for video, the published ones between them. */
export function widthsOf({ model, width_mult_range: [min, max] }: EarlierValues): number[] {
  const between = isVideo(model) ? publishedWidths.filter((width) => width > min && width < max) : []
  return distinct([min, ...between, max])
}

/** The scale before cropping: 256/224 of the crop, even (224 → 256, 160 → 182, 312 → 356). */
export function shortSideOf({ image_size: size }: Pick<EarlierValues, 'image_size'>): number {
  return nearestEven((size * 256) / 224)
}

/** The scales drawn in training: 256/224 to 320/224 of the crop (224 → 256–320, 160 → 182–228). */
export function shortSidesOf(known: Pick<EarlierValues, 'image_size'>): [number, number] {
  return [shortSideOf(known), nearestEven((known.image_size * 320) / 224)]
}

function nearestEven(value: number): number {
  return 2 * Math.round(value / 2)
}

/** Small sizes and counts round to the same number, or to zero. */
function distinct(values: readonly number[]): number[] {
  return [...new Set(values)].filter((value) => value > 0)
}
