/**
 * What a network is: a list of named nodes in execution order, each saying what it computes and how its
 * channels slim. No sizes, no weights: `resolve` gives sizes, `parameters` lists weights.
 *
 * Layout is NDHWC (batch, frames, height, width, channels) everywhere. A 2D network is one whose inputs
 * have a single frame; a 2D convolution is one with kernel [1, h, w].
 */
import type { Channels } from './channels.ts'

/** [frames, height, width]. */
export type Triple = readonly [number, number, number]

/** One choice of cost: the width multiplier, the number of frames and the side of the square input. */
export interface Configuration {
  readonly width: number
  readonly frames: number
  readonly size: number
}

export type ActivationFunction = 'relu' | 'relu6' | 'swish' | 'sigmoid'

interface Named {
  /** Unique in the network; weights are stored under it: `NAME.weight`, `NAME.bias`. */
  readonly name: string
  /** The part of the network that this node belongs to (`stem`, `res2`, …, `head`), for summaries. */
  readonly stage: string
}

interface Unary extends Named {
  /** The name of the node whose output this one reads. */
  readonly input: string
}

/**
 * Frames to classify. `clip` is the input whose frames and size follow the configuration. `whole` is
 * SlowFast's fast pathway: `frames` frames whatever the configuration says, at the training size or,
 * above it, at the configuration's.
 */
export type InputNode = Named & { readonly kind: 'input'; readonly channels: Channels } & (
    | { readonly follows: 'clip' }
    | { readonly follows: 'whole'; readonly frames: number }
  )

/** A convolution over all input channels. Weight [kt, kh, kw, cin, cout]. */
export interface ConvNode extends Unary {
  readonly kind: 'conv'
  readonly out: Channels
  readonly kernel: Triple
  readonly stride: Triple
  /** Zeros added on both sides of each axis. */
  readonly padding: Triple
  readonly bias: boolean
}

/** A convolution of each channel by itself (depthwise, groups = channels). Weight [kt, kh, kw, c]. */
export interface ChannelwiseConvNode extends Unary {
  readonly kind: 'channelwiseConv'
  readonly kernel: Triple
  readonly stride: Triple
  readonly padding: Triple
}

export interface BatchNormNode extends Unary {
  readonly kind: 'batchNorm'
  readonly epsilon: number
  /** True for the last one of a residual block: its scale starts at 0 (Goyal et al. 2017, section 5.1). */
  readonly zeroInit: boolean
}

export interface ActivationNode extends Unary {
  readonly kind: 'activation'
  readonly activation: ActivationFunction
}

/** The sum of two values of equal shape. */
export interface AddNode extends Named {
  readonly kind: 'add'
  readonly inputs: readonly [string, string]
}

/** Values side by side on the channel axis. */
export interface ConcatNode extends Named {
  readonly kind: 'concat'
  readonly inputs: readonly string[]
}

/** Multiplies every channel by its gate, one number per sample and channel (squeeze-and-excitation). */
export interface GateNode extends Unary {
  readonly kind: 'gate'
  readonly gate: string
}

export interface MaxPoolNode extends Unary {
  readonly kind: 'maxPool'
  readonly kernel: Triple
  readonly stride: Triple
  readonly padding: Triple
}

/**
 * The mean over all frames and positions; with `window`, over all frames and at most `window` × `window`
 * positions at stride 1, so that an input larger than the training size gives several positions.
 */
export interface GlobalPoolNode extends Unary {
  readonly kind: 'globalPool'
  readonly window?: number
}

/** Adaptive average pooling to the frames × height × width of another node; the identity when equal. */
export interface ResampleNode extends Unary {
  readonly kind: 'resample'
  readonly like: string
}

export interface DropoutNode extends Unary {
  readonly kind: 'dropout'
  /** The share of values set to zero in training. */
  readonly rate: number
}

/** A linear layer on the channels of every position. Weight [cin, cout]. */
export interface LinearNode extends Unary {
  readonly kind: 'linear'
  readonly out: Channels
  /** Fresh weights evenly within ±1/√cin, as PyTorch's `nn.Linear` leaves them; absent: N(0, 0.01²). */
  readonly uniformInit?: boolean
}

export type Node =
  | InputNode
  | ConvNode
  | ChannelwiseConvNode
  | BatchNormNode
  | ActivationNode
  | AddNode
  | ConcatNode
  | GateNode
  | MaxPoolNode
  | GlobalPoolNode
  | ResampleNode
  | DropoutNode
  | LinearNode

export type NodeKind = Node['kind']

/** The node type of a kind. */
export type NodeOf<K extends NodeKind> = Extract<Node, { kind: K }>

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

/** The names of the nodes that a node reads, in order; none for an input. */
export function inputsOf(node: Node): readonly string[] {
  switch (node.kind) {
    case 'input':
      return []
    case 'add':
    case 'concat':
      return node.inputs
    case 'gate':
      return [node.input, node.gate]
    case 'resample':
      return [node.input, node.like]
    default:
      return [node.input]
  }
}
