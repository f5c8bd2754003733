/**
 * Channel counts that know how they slim. All width arithmetic of the program is in this file.
 */
import { MnVideoError } from '../errors.ts'

/**
 * A channel count as a rule over the width multiplier.
 *
 * - `fixed`: the same at every width (RGB input, class counts, SlowFast's Fast pathway).
 * - `capped`: video networks; `base` at width 1, else `min(base, makeDivisible(base · width))`.
 * - `ratio`: 2D networks, MutualNet's rule; `int(makeDivisible(base · width / ratio) · ratio)`.
 */
export type Channels =
  | { readonly slim: 'fixed'; readonly base: number }
  | { readonly slim: 'capped'; readonly base: number }
  | { readonly slim: 'ratio'; readonly base: number; readonly ratio: number }

/** The same count at every width. */
export const fixed = (base: number): Channels => ({ slim: 'fixed', base })

/** A count of a video network: never above `base`. */
export const slimmable = (base: number): Channels => ({ slim: 'capped', base })

/** A count of a 2D network (MutualNet's `ratio`); grows above `base` at widths above 1. */
export const ratioed = (base: number, ratio = 1): Channels => ({ slim: 'ratio', base, ratio })

/** The number of channels in use at a width multiplier. */
export function channelsAt(channels: Channels, width: number): number {
  switch (channels.slim) {
    case 'fixed':
      return channels.base
    case 'capped':
      return width === 1 ? channels.base : Math.min(channels.base, makeDivisible(channels.base * width))
    case 'ratio':
      return Math.trunc(makeDivisible((channels.base * width) / channels.ratio) * channels.ratio)
  }
}

/**
 * The nearest multiple of `divisor`, at least 1, and never more than 10 % below `value`. The floor of one
 * channel (not of one divisor) is MutualNet's.
 */
export function makeDivisible(value: number, divisor = 8): number {
  const nearest = Math.max(1, Math.floor((value + divisor / 2) / divisor) * divisor)
  return nearest < 0.9 * value ? nearest + divisor : nearest
}

/** A run of channels `[start, start + count)` of a full-size weight. */
export interface ChannelSlice {
  readonly start: number
  readonly count: number
}

/**
 * The slices of a full-size weight that a width uses. A value that is a concatenation has several parts;
 * each is sliced by its own count, at its own full-size offset.
 */
export function slicesAt(parts: readonly Channels[], width: number, maxWidth: number): ChannelSlice[] {
  let start = 0
  return parts.map((part) => {
    const full = channelsAt(part, maxWidth)
    // Rounding up can exceed a full count of less than 9.
    const slice = { start, count: Math.min(full, channelsAt(part, width)) }
    start += full
    return slice
  })
}

/** The channels of all slices together. */
export const countOf = (slices: readonly ChannelSlice[]): number =>
  slices.reduce((sum, slice) => sum + slice.count, 0)

/** The full-size channels of all parts together. */
export const fullCount = (parts: readonly Channels[], maxWidth: number): number =>
  parts.reduce((sum, part) => sum + channelsAt(part, maxWidth), 0)

/** Checks a width multiplier against the widest one that the weights were built for. */
export function checkWidth(width: number, maxWidth: number): void {
  if (!(width > 0) || width > maxWidth) {
    throw new MnVideoError(
      'network',
      `width ${width} is not possible: give a width multiplier above 0 and at most ${maxWidth}.`,
    )
  }
}
