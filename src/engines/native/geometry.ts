/** Shapes and codes in the form that the add-on's steps take them. */
import type { Triple } from '../../network/graph.ts'
import type { ResolvedNode, Shape } from '../../network/resolve.ts'
import type { Window } from '../planning/computed-graph.ts'

/** [batch, frames, height, width]. */
export const extentOf = (batch: number, { frames, height, width }: Shape): number[] => [
  batch,
  frames,
  height,
  width,
]

export const positionsOf = ({ frames, height, width }: Shape): number => frames * height * width

/** The floats of a value with this shape. */
export const countOf = (batch: number, shape: Shape): number => batch * positionsOf(shape) * shape.channels

export const NO_PADDING: Triple = [0, 0, 0]
export const UNIT: Triple = [1, 1, 1]

export const tapsOf = (kernel: Triple): number => kernel[0] * kernel[1] * kernel[2]

export const isPointwise = ({ kernel, stride, padding }: Window): boolean =>
  tapsOf(kernel) === 1 && tapsOf(stride) === 1 && padding.every((p) => p === 0)

/** Byte normalisation as one multiply-add per colour. */
export function normalisationFields(
  normalisation: { readonly mean: readonly number[]; readonly std: readonly number[] } | undefined,
) {
  const { mean, std } = normalisation ?? { mean: [0, 0, 0], std: [1, 1, 1] }
  return {
    factor: std.map((deviation) => 1 / (255 * deviation)),
    offset: mean.map((m, channel) => -m / std[channel]!),
  }
}

/** The extents of what a node reads (the first of its inputs) and of what it writes. */
export const extentsOf = (batch: number, { inputs, shape }: ResolvedNode) => ({
  in: extentOf(batch, inputs[0]!),
  out: extentOf(batch, shape),
})

export const windowOf = ({ kernel, stride, padding }: Window): Window => ({ kernel, stride, padding })
