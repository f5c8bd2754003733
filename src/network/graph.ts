/**
 * What a network is: a list of named nodes in execution order, each saying what it computes and how its
 * channels slim. No sizes, no weights: `resolve` gives sizes, `parameters` lists weights.
 *
 * Layout is NDHWC (batch, frames, height, width, channels) everywhere. A 2D network is one whose inputs
 * have a single frame; a 2D convolution is one with kernel [1, h, w].
 */
import { type Node, opOf } from './ops/index.ts'

export type { ActivationFunction } from './ops/activation.ts'
export type { Node, NodeKind, NodeOf } from './ops/index.ts'

/** [frames, height, width]. */
export type Triple = readonly [number, number, number]

/** One choice of cost: the width multiplier, the number of frames and the side of the square input. */
export interface Configuration {
  readonly width: number
  readonly frames: number
  readonly size: number
}

export interface Network {
  /** For people: `X3D-M`, `MobileNet v1`. */
  readonly name: string
  /** Networks of a family have layers of the same names: `x3d`, `resnet`. */
  readonly family: string
  readonly media: 'video' | 'image'
  /** Frames of the full configuration (1 for images); for SlowFast those of the slow pathway. */
  readonly frames: number
  /** Side of the square input in training. */
  readonly size: number
  /** The widest multiplier that the weights serve: 1, or above it for scaled-up 2D networks. */
  readonly maxWidth: number
  readonly classes: number
  /** In execution order: every node comes after those it reads. */
  readonly nodes: readonly Node[]
  /** The linear node that gives class scores at each position of its input. */
  readonly classifier: string
  /** The node whose output is the logits: the mean over the classifier's positions. */
  readonly output: string
}

/** Frames of a whole clip, of which every input takes its own: for SlowFast those of the fast pathway. */
export const clipFrames = ({ nodes, frames }: Network): number =>
  Math.max(
    frames,
    ...nodes.map((node) => (node.kind === 'input' && node.follows === 'whole' ? node.frames : 0)),
  )

/** The names of the nodes that a node reads, in order; none for an input. */
export const inputsOf = (node: Node): readonly string[] => opOf(node).inputs(node)
