/** What the builders share: from a finished graph to the network it stands for. */
import type { GraphBuilder } from '../network/builder.ts'
import type { Network } from '../network/graph.ts'

/** What a network is called, and the family that its layers' names are of. */
type Identity = Pick<Network, 'name' | 'family'>

export interface ImageNetworkOptions {
  readonly classes: number
  /** Side of the training crop. */
  readonly size: number
  /** The widest multiplier that the weights serve; above 1 for the model-scaling experiment. */
  readonly maxWidth?: number
}

/** An image network whose last node is its linear classifier. */
export function imageNetwork(
  g: GraphBuilder,
  { name, family }: Identity,
  { classes, size, maxWidth = 1 }: ImageNetworkOptions,
): Network {
  const output = g.nodes.at(-1)!.name
  return {
    name,
    family,
    media: 'image',
    frames: 1,
    size,
    maxWidth,
    classes,
    nodes: g.nodes,
    classifier: output,
    output,
  }
}

export interface VideoNetworkOptions {
  readonly classes: number
  /** Frames of the full clip; of SlowFast's slow pathway. */
  readonly frames: number
  /** Side of the training crop. */
  readonly size: number
}

/** A video network whose classifier runs at every position that the head's pool leaves. */
export function videoNetwork(
  g: GraphBuilder,
  { name, family }: Identity,
  { classes, frames, size }: VideoNetworkOptions,
  { classifier, output }: Pick<Network, 'classifier' | 'output'>,
): Network {
  return {
    name,
    family,
    media: 'video',
    frames,
    size,
    maxWidth: 1,
    classes,
    nodes: g.nodes,
    classifier,
    output,
  }
}
