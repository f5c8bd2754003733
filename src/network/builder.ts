/**
 * Writes a graph down: each method appends one node and returns its name, so that a model reads as the
 * sequence of its layers. Nothing here knows any particular network.
 */
import { type Channels, fixed } from './channels.ts'
import type { ActivationFunction, Node, NodeKind, NodeOf, Triple } from './graph.ts'

interface Window {
  readonly kernel: Triple
  readonly stride?: Triple
  /** Default: none. `same` keeps the size at stride 1: (kernel − 1) / 2 on each side. */
  readonly padding?: Triple | 'same'
}

const UNIT: Triple = [1, 1, 1]

/** PyTorch's epsilon, used by every network here. */
export const BATCH_NORM_EPSILON = 1e-5

export class GraphBuilder {
  readonly nodes: Node[] = []
  #stage = 'stem'
  readonly #names = new Set<string>()

  /** Names the part that the following nodes belong to. */
  stage(name: string): void {
    this.#stage = name
  }

  /** The RGB clip or image whose frames and size follow the configuration. */
  clip(name: string): string {
    return this.#add({ kind: 'input', name, stage: this.#stage, channels: fixed(3), follows: 'clip' })
  }

  /** An RGB clip of a given number of frames at full size in every configuration. */
  wholeClip(name: string, frames: number): string {
    return this.#add({
      kind: 'input',
      name,
      stage: this.#stage,
      channels: fixed(3),
      follows: 'whole',
      frames,
    })
  }

  conv(name: string, input: string, out: Channels, window: Window, options: { bias?: boolean } = {}): string {
    const node = { name, stage: this.#stage, input, out, bias: options.bias ?? false }
    return this.#add({ kind: 'conv', ...node, ...complete(window) })
  }

  channelwiseConv(name: string, input: string, window: Window): string {
    return this.#add({ kind: 'channelwiseConv', name, stage: this.#stage, input, ...complete(window) })
  }

  batchNorm(name: string, input: string, options: { zeroInit?: boolean } = {}): string {
    const zeroInit = options.zeroInit ?? false
    const node = { name, stage: this.#stage, input, epsilon: BATCH_NORM_EPSILON, zeroInit }
    return this.#add({ kind: 'batchNorm', ...node })
  }

  activation(name: string, input: string, activation: ActivationFunction): string {
    return this.#add({ kind: 'activation', name, stage: this.#stage, input, activation })
  }

  add(name: string, a: string, b: string): string {
    return this.#add({ kind: 'add', name, stage: this.#stage, inputs: [a, b] })
  }

  concat(name: string, inputs: readonly string[]): string {
    return this.#add({ kind: 'concat', name, stage: this.#stage, inputs })
  }

  gate(name: string, input: string, gate: string): string {
    return this.#add({ kind: 'gate', name, stage: this.#stage, input, gate })
  }

  maxPool(name: string, input: string, window: Window): string {
    return this.#add({ kind: 'maxPool', name, stage: this.#stage, input, ...complete(window) })
  }

  globalPool(name: string, input: string, options: { window?: number } = {}): string {
    return this.#add({ kind: 'globalPool', name, stage: this.#stage, input, ...options })
  }

  resample(name: string, input: string, like: string): string {
    return this.#add({ kind: 'resample', name, stage: this.#stage, input, like })
  }

  /** Nothing is added for a rate of 0. */
  dropout(name: string, input: string, rate: number): string {
    return rate === 0 ? input : this.#add({ kind: 'dropout', name, stage: this.#stage, input, rate })
  }

  linear(name: string, input: string, out: Channels, options: { uniformInit?: boolean } = {}): string {
    return this.#add({ kind: 'linear', name, stage: this.#stage, input, out, ...options })
  }

  /** Any node, in the current stage; the methods above are for reading models. */
  append<K extends NodeKind>(node: Omit<NodeOf<K>, 'stage'> & { readonly kind: K }): string {
    return this.#add({ ...node, stage: this.#stage } as unknown as Node)
  }

  #add(node: Node): string {
    if (this.#names.has(node.name)) throw new Error(`two nodes are named "${node.name}"`)
    this.#names.add(node.name)
    this.nodes.push(node)
    return node.name
  }
}

function complete({ kernel, stride = UNIT, padding = [0, 0, 0] }: Window) {
  const [t, h, w] = kernel
  const same: Triple = [(t - 1) / 2, (h - 1) / 2, (w - 1) / 2]
  return { kernel, stride, padding: padding === 'same' ? same : padding }
}
