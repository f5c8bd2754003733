/** How sure an accuracy is that was measured on so many samples. */

/** The quantile of the normal distribution that 95 % intervals take. */
const Z = 1.959964

/** A share of samples, 0 to 1; without their number it is taken as exact. */
export interface Share {
  readonly top1: number
  readonly samples?: number | undefined
}

/**
 * Wilson's 95 % score interval of a share (Wilson 1927): what the true share may be, also where all or none of a few
 * samples are right.
 *
 * @param share 0 to 1
 * @param samples at least 1
 * @returns both ends, 0 to 1, around the share
 */
export function wilson(share: number, samples: number): [low: number, high: number] {
  const z2 = Z ** 2 / samples
  const centre = (share + z2 / 2) / (1 + z2)
  const half = (Z / (1 + z2)) * Math.sqrt((share * (1 - share)) / samples + z2 / (4 * samples))
  return [Math.min(share, Math.max(0, centre - half)), Math.max(share, Math.min(1, centre + half))]
}

/**
 * Whether samples show that `a` is more accurate than `b`: the 95 % interval of their difference is above 0 (Newcombe
 * 1998, method 10: from the Wilson intervals of both). Shares without a number of samples differ as they say.
 */
export function isShownHigher(a: Share, b: Share): boolean {
  const difference = a.top1 - b.top1
  if (!(difference > 0) || !a.samples || !b.samples) return difference > 0
  const [low] = wilson(a.top1, a.samples)
  const [, high] = wilson(b.top1, b.samples)
  return difference > Math.hypot(a.top1 - low, high - b.top1)
}
