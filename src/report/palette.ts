/** How series of a chart are told apart: by colour, by shape and by dashes, each enough by itself. */

/**
 * Okabe and Ito's colours, which people with any colour vision can tell apart, without the yellow, which white
 * paper swallows. Wong, "Points of view: Color blindness", Nature Methods 8, 441 (2011).
 */
export const COLOURS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#000000', '#56B4E9', '#E69F00'] as const

/** The same hues for small text, dark enough to read on white: a contrast of 4.5 or more. */
const INKS = ['#005A8C', '#A84A00', '#00694C', '#9A4A77', '#000000', '#1B6E9C', '#8A5F00'] as const

/** Names of Vega's symbols. */
export const SHAPES = ['circle', 'square', 'triangle-up', 'diamond', 'triangle-down', 'cross'] as const

/** Lengths of dash and gap in pixels; solid first. */
export const DASHES: readonly (readonly number[])[] = [
  [1, 0],
  [7, 3],
  [2, 2],
  [8, 3, 2, 3],
  [12, 4],
]

/** The look of the n-th series. The cycles have no common factor: 210 series before one looks like another. */
export const lookOf = (n: number) => ({
  colour: COLOURS[n % COLOURS.length]!,
  ink: INKS[n % INKS.length]!,
  shape: SHAPES[n % SHAPES.length]!,
  dash: DASHES[n % DASHES.length]!,
})
