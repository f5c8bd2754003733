/**
 * A network at one configuration: the same nodes with concrete shapes, channel slices and costs. This is
 * what every engine, the profiler and the exporters read.
 */
import { MnVideoError } from '../errors.ts'
import { type ChannelSlice, type Channels, checkWidth, countOf, fullCount, slicesAt } from './channels.ts'
import type { Configuration, Network, Node, NodeOf, Triple } from './graph.ts'
import { opOf } from './ops/index.ts'
import { type ParameterSlice, sizeOf } from './parameters.ts'

/** The shape of a value for one sample: frames × height × width × channels. */
export interface Shape {
  readonly frames: number
  readonly height: number
  readonly width: number
  readonly channels: number
}

export interface ResolvedNode<N extends Node = Node> {
  readonly node: N
  /** Shapes of what it reads, in the order of `inputsOf`. */
  readonly inputs: readonly Shape[]
  readonly shape: Shape
  /** The runs of full-size channels that the output holds; several after a concatenation. */
  readonly slices: readonly ChannelSlice[]
  /** The concrete window of convolutions and pools. */
  readonly kernel?: Triple
  /** Trainable parameters in use. */
  readonly parameters: readonly ParameterSlice[]
  /** Multiply-adds for one sample (convolution and linear layers only, as the literature counts). */
  readonly macs: number
}

export interface SubNetwork {
  readonly network: Network
  readonly configuration: Configuration
  /** In execution order. */
  readonly nodes: readonly ResolvedNode[]
  /** Multiply-adds for one sample. */
  readonly macs: number
  /** The number of trainable values in use. */
  readonly params: number
}

/**
 * Resolves a network at a configuration.
 *
 * @throws MnVideoError `network` when the width, frames or size are not possible, naming the node that
 *   cannot be computed where it is one.
 */
export function resolve(network: Network, configuration: Configuration): SubNetwork {
  checkConfiguration(network, configuration)
  const resolved = new Map<string, ResolvedNode>()
  const parts = new Map<string, readonly Channels[]>()
  for (const node of network.nodes) {
    const op = opOf(node)
    const inputs = op.inputs(node).map((name) => resolved.get(name)!)
    const sources = inputs.map((input) => input.shape)
    const nodeParts = op.channels(node, (name) => parts.get(name)!)
    const slices = slicesAt(nodeParts, configuration.width, network.maxWidth)
    const { shape: extent, kernel } = op.output(node, sources, { network, configuration })
    const shape = { ...extent, channels: countOf(slices) }
    const parameters = op.parameters(node, {
      in: inputs[0]?.slices ?? [],
      out: slices,
      fullIn: inputs[0] ? fullCount(parts.get(inputs[0].node.name)!, network.maxWidth) : 0,
      fullOut: fullCount(nodeParts, network.maxWidth),
    })
    parts.set(node.name, nodeParts)
    const macs = op.macs(node, shape, sources)
    resolved.set(node.name, {
      node,
      inputs: sources,
      shape,
      slices,
      ...(kernel && { kernel }),
      parameters,
      macs,
    })
  }
  const nodes = [...resolved.values()]
  return {
    network,
    configuration,
    nodes,
    macs: nodes.reduce((sum, node) => sum + node.macs, 0),
    params: nodes.reduce((sum, node) => sum + node.parameters.reduce((n, p) => n + sizeOf(p.shape), 0), 0),
  }
}

/**
 * The configuration whose batch-norm statistics another one runs with: above the training size pictures show more, not
 * larger things, so that the training size's are theirs (as PySlowFast tests at 256 what it trained at 224).
 */
export const trainedSize = (network: Network, configuration: Configuration): Configuration => ({
  ...configuration,
  size: Math.min(configuration.size, network.size),
})

/** The full configuration: the widest (at most 1), all frames, the training size. */
export const fullConfiguration = (network: Network): Configuration => ({
  width: 1,
  frames: network.frames,
  size: network.size,
})

/** `1-16-224`: a configuration as a file name or key. */
export const configurationKey = ({ width, frames, size }: Configuration): string =>
  `${width}-${frames}-${size}`

/** Whether a resolved node is of a kind, narrowing its type. */
export function isKind<K extends Node['kind']>(
  resolved: ResolvedNode,
  kind: K,
): resolved is ResolvedNode<NodeOf<K>> {
  return resolved.node.kind === kind
}

function checkConfiguration(network: Network, { width, frames, size }: Configuration): void {
  checkWidth(width, network.maxWidth)
  const whole = (value: number) => Number.isInteger(value) && value >= 1
  if (!whole(size)) {
    throw new MnVideoError('network', `size ${size} is not possible: give a whole number of pixels from 1.`)
  }
  if (!whole(frames)) {
    throw new MnVideoError('network', `frames ${frames} is not possible: give a whole number from 1.`)
  }
  if (network.media === 'image' && frames !== 1) {
    throw new MnVideoError('network', `${network.name} classifies images: give 1 frame, not ${frames}.`)
  }
  const fast = network.nodes.find((node) => node.kind === 'input' && node.follows === 'whole')
  if (fast?.kind === 'input' && fast.follows === 'whole' && frames > fast.frames) {
    throw new MnVideoError(
      'network',
      `${network.name}: ${frames} slow frames cannot be taken from its ${fast.frames} fast ones. Give at most ${fast.frames}.`,
    )
  }
}
