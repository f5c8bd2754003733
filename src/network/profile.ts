/** What a sub-network costs, layer by layer: arithmetic on the graph, no tensors. */
import { type Configuration, inputsOf, type NodeKind, type Triple } from './graph.ts'
import { sizeOf } from './parameters.ts'
import { isKind, type Shape, type SubNetwork } from './resolve.ts'

/** How costs are counted, for printing beside every figure. */
export const MACS_CONVENTION =
  'MACs: multiply-adds of convolutions and linear layers for one sample (what papers call FLOPs); no batch norm, bias, activation or pooling'

/** One node of the network. */
export interface LayerProfile {
  readonly name: string
  readonly kind: NodeKind
  readonly stage: string
  /** [frames, height, width] of convolutions and pools. */
  readonly kernel?: Triple
  readonly stride?: Triple
  /** Channels read; 0 for an input. */
  readonly in: number
  /** Channels written. */
  readonly out: number
  /** Output for one sample. */
  readonly shape: Shape
  readonly params: number
  readonly macs: number
}

export interface Profile {
  readonly network: string
  readonly configuration: Configuration
  /** The shape of every input for one sample, by name. */
  readonly inputs: Readonly<Record<string, Shape>>
  readonly params: number
  /** Multiply-adds for one clip or image. */
  readonly macs: number
  readonly convention: string
  /** MACs by part of the network (stem, res2, …, head). */
  readonly stages: Readonly<Record<string, number>>
  readonly layers: readonly LayerProfile[]
}

export function profile(subNetwork: SubNetwork): Profile {
  const { network, configuration, nodes, params, macs } = subNetwork
  const layers = nodes.map(
    ({ node, inputs, shape, kernel, parameters, macs }): LayerProfile => ({
      name: node.name,
      kind: node.kind,
      stage: node.stage,
      ...(kernel && { kernel }),
      ...('stride' in node && { stride: node.stride }),
      in: inputs[0]?.channels ?? 0,
      out: shape.channels,
      shape,
      params: parameters.reduce((sum, parameter) => sum + sizeOf(parameter.shape), 0),
      macs,
    }),
  )
  const stages: Record<string, number> = {}
  for (const { stage, macs } of layers) stages[stage] = (stages[stage] ?? 0) + macs
  return {
    network: network.name,
    configuration,
    inputs: Object.fromEntries(
      nodes.filter((resolved) => isKind(resolved, 'input')).map(({ node, shape }) => [node.name, shape]),
    ),
    params,
    macs,
    convention: MACS_CONVENTION,
    stages,
    layers,
  }
}

/** The values that all nodes put out together, for one sample. */
export function activations({ nodes }: SubNetwork): number {
  return nodes.reduce(
    (sum, { shape: { frames, height, width, channels } }) => sum + frames * height * width * channels,
    0,
  )
}

/**
 * The most values that are alive at once when nodes run one by one and each output is freed after its last
 * reader, for one sample; with room for the largest intermediate of a node (a copy of its input or output).
 */
export function peakActivations({ nodes }: SubNetwork): number {
  const sizes = new Map(
    nodes.map(({ node, shape }) => [node.name, shape.frames * shape.height * shape.width * shape.channels]),
  )
  const lastReader = new Map<string, string>()
  for (const { node } of nodes) for (const name of inputsOf(node)) lastReader.set(name, node.name)
  let live = 0
  let peak = 0
  for (const { node } of nodes) {
    const inputs = inputsOf(node)
    const own = sizes.get(node.name)!
    live += own
    peak = Math.max(peak, live + Math.max(own, ...inputs.map((name) => sizes.get(name)!)))
    for (const name of new Set(inputs)) if (lastReader.get(name) === node.name) live -= sizes.get(name)!
  }
  return peak
}
