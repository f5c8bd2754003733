/** Which convolutions Winograd's minimal filtering computes: the only place that decides it. */
import type { Shape } from '../../network/resolve.ts'
import type { Window } from '../planning/computed-graph.ts'
import type { Addon, WinogradSizes } from './addon.ts'
import { extentOf, positionsOf, tapsOf } from './geometry.ts'
import type { ProgramBuilder } from './program.ts'
import type { Steps } from './steps.ts'

/**
 * What the weights' transform costs, too: `constant` weights are transformed once, `changing` ones in every run;
 * `gradient`: it is theirs that is computed.
 */
export type WinogradUse = 'constant' | 'changing' | 'gradient'

interface Filtering {
  /** Products of a tile per pair of channels. */
  readonly points: number
  /** Frames, rows and columns of a tile's outputs. */
  readonly tile: readonly [number, number, number]
  /** Time of a tile's transforms per channel, in products. */
  readonly transform: number
}

const PLANE: Filtering = { points: 36, tile: [1, 4, 4], transform: 600 }
const LINE: Filtering = { points: 6, tile: [4, 1, 1], transform: 30 }

/** Time to transform a weight to or from one point, in products. */
const WEIGHT_TRANSFORM: Readonly<Record<WinogradUse, number>> = { constant: 0, changing: 20, gradient: 10 }

/** How much less it should take by this estimate. */
const MARGIN = 1.1

/**
 * The sizes of the step where Winograd's filtering is the faster: 1×3×3 or 3×1×1 at stride 1, padded by one, with
 * enough channels, and enough positions to fill tiles of 4×4 or 4. For constant weights the batch does not matter.
 */
export function winogradSizes(
  { kernel, stride, padding }: Window,
  batch: number,
  shape: Shape,
  inChannels: number,
  outChannels: number,
  use: WinogradUse,
): WinogradSizes | undefined {
  const temporal = kernel[0] === 3
  const fits = (temporal ? [3, 1, 1] : [1, 3, 3]).every(
    (taps, axis) => kernel[axis] === taps && stride[axis] === 1 && padding[axis] === (taps - 1) / 2,
  )
  if (!fits) return undefined
  const { points, tile, transform } = temporal ? LINE : PLANE
  const { frames, height, width } = shape
  const tiles = Math.ceil(frames / tile[0]) * Math.ceil(height / tile[1]) * Math.ceil(width / tile[2])
  const estimate =
    tiles * (points + transform * (1 / inChannels + 1 / outChannels)) +
    (points * WEIGHT_TRANSFORM[use]) / batch
  if (estimate * MARGIN > positionsOf(shape) * tapsOf(kernel)) return undefined
  return { temporal, extent: extentOf(batch, shape), inChannels, outChannels }
}

/** Writes a step `winograd` or `winogradWeightGradient` with the scratch memory that it needs. */
export function writeWinograd<K extends 'winograd' | 'winogradWeightGradient'>(
  { addon, threads }: { readonly addon: Pick<Addon, 'winogradScratch'>; readonly threads: number },
  builder: ProgramBuilder,
  op: K,
  name: string,
  sizes: WinogradSizes,
  fields: Omit<Steps[K], keyof WinogradSizes | 'scratch' | 'threads'>,
): void {
  const scratch = builder.value(`${name} scratch`, addon.winogradScratch({ op, threads, ...sizes }))
  builder.step(op, name, { ...sizes, ...fields, scratch, threads } as unknown as Steps[K])
}
