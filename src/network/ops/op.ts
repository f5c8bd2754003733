/**
 * What an operation is to the program: what its node reads, how its channels slim, what comes out, its parameters and its
 * multiply-adds. One file each; `index.ts` gathers them, and does not compile while one is missing. How an operation is
 * computed is the engines' business, how it is exported `checkpoints/onnx`'s.
 */
import { MnVideoError } from '../../errors.ts'
import type { Channels } from '../channels.ts'
import type { Configuration, Network, Triple } from '../graph.ts'
import type { Cut, ParameterSlice } from '../parameters.ts'
import type { Shape } from '../resolve.ts'

export interface Named {
  /** Unique in the network; weights are stored under it: `NAME.weight`, `NAME.bias`. */
  readonly name: string
  /** The part of the network that this node belongs to (`stem`, `res2`, …, `head`), for summaries. */
  readonly stage: string
}

export interface Unary extends Named {
  /** The name of the node whose output this one reads. */
  readonly input: string
}

/** A window that slides over frames, rows and columns. */
export interface Windowed {
  readonly kernel: Triple
  readonly stride: Triple
  /** Zeros added on both sides of each axis (pools: nothing that could be the largest). */
  readonly padding: Triple
}

/** Frames × height × width. */
export type Extent = Omit<Shape, 'channels'>

/** Where a network is resolved. */
export interface Place {
  readonly network: Network
  readonly configuration: Configuration
}

export interface Op<N extends Named> {
  /** The names of the nodes that it reads, in order; none for an input. */
  inputs(node: N): readonly string[]
  /** How the output's channels slim, part by part. */
  channels(node: N, of: (input: string) => readonly Channels[]): readonly Channels[]
  /**
   * What comes out for one sample, and the concrete window of convolutions and pools.
   *
   * @param sources shapes of what it reads, in the order of `inputs`
   * @throws MnVideoError `network` where it cannot be computed at this configuration
   */
  output(
    node: N,
    sources: readonly Shape[],
    place: Place,
  ): { readonly shape: Extent; readonly kernel?: Triple }
  /** How its parameters are cut for a sub-network. */
  parameters(node: N, cut: Cut): readonly ParameterSlice[]
  /** Multiply-adds for one sample, as the literature counts: of convolutions and linear layers. */
  macs(node: N, shape: Shape, sources: readonly Shape[]): number
}

/** Of an operation that weighs nothing. */
export const weightless = { parameters: () => [], macs: () => 0 } as const

/** Of an operation on one input whose output has its shape. */
export const elementwise = {
  inputs: ({ input }: Unary) => [input],
  channels: ({ input }: Unary, of: (input: string) => readonly Channels[]) => of(input),
  output: (_: Unary, sources: readonly Shape[]) => ({ shape: sources[0]! }),
} as const

/** The values of an output. */
export const valuesOf = ({ frames, height, width, channels }: Shape): number =>
  frames * height * width * channels

/** The extent after a window slides over padded input, as PyTorch computes it. */
export function slide(
  node: Named & Windowed,
  source: Shape,
  { network, configuration }: Place,
): { readonly shape: Extent; readonly kernel: Triple } {
  const extents = [source.frames, source.height, source.width]
  const [frames, height, width] = extents.map(
    (extent, axis) =>
      Math.floor((extent + 2 * node.padding[axis]! - node.kernel[axis]!) / node.stride[axis]!) + 1,
  ) as [number, number, number]
  if (frames < 1 || height < 1 || width < 1) {
    const { frames: t, size } = configuration
    throw new MnVideoError(
      'network',
      `${network.name} cannot run at ${t} frame${t === 1 ? '' : 's'} of ${size}×${size}: ${node.name} (kernel ${node.kernel.join('×')}) gets only ` +
        `${extents.join('×')} values. Give a larger size or more frames.`,
    )
  }
  return { shape: { frames, height, width }, kernel: node.kernel }
}

/** The extent that all inputs have. */
export function commonExtent(node: Named, sources: readonly Shape[], { network }: Place): Extent {
  const [first, ...others] = sources
  for (const other of others) {
    const isEqual = (['frames', 'height', 'width'] as const).every((axis) => other[axis] === first![axis])
    if (!isEqual) throw new Error(`${network.name}: the inputs of ${node.name} differ in extent`)
  }
  return first!
}
