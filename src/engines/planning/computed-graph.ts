/**
 * What planners of inference and of training ask of a sub-network: which nodes are computed, who reads whom, and where a
 * border of zeros saves work. Nothing here knows an engine.
 */
import { inputsOf, type NodeOf, type Triple } from '../../network/graph.ts'
import type { ResolvedNode, Shape, SubNetwork } from '../../network/resolve.ts'

/** Zeros around the frames of an input, on each side. */
export interface Border {
  readonly height: number
  readonly width: number
}

export interface Window {
  readonly kernel: Triple
  readonly stride: Triple
  readonly padding: Triple
}

export class ComputedGraph {
  /** In execution order, the classifier last: what comes after it only averages its positions, which the caller does. */
  readonly nodes: readonly ResolvedNode[]
  readonly #readers = new Map<string, ResolvedNode[]>()
  readonly #kept: ReadonlySet<string>

  /** @param kept nodes whose output is wanted besides */
  constructor({ network, nodes }: SubNetwork, kept: ReadonlySet<string> = new Set()) {
    this.nodes = nodes.slice(0, network.nodes.findIndex(({ name }) => name === network.classifier) + 1)
    this.#kept = kept
    for (const resolved of this.nodes) {
      for (const name of new Set(inputsOf(resolved.node))) {
        this.#readers.set(name, [...(this.#readers.get(name) ?? []), resolved])
      }
    }
  }

  /** Who reads a node, each once. */
  readersOf(name: string): readonly ResolvedNode[] {
    return this.#readers.get(name) ?? []
  }

  /** The single reader of a node whose output nobody else wants. */
  onlyReader(name: string): ResolvedNode | undefined {
    const readers = this.readersOf(name)
    return readers.length === 1 && !this.#kept.has(name) ? readers[0] : undefined
  }

  /** Zeros around an input's frames let a first convolution read the columns of its kernel as one run. */
  borderOf({ name }: NodeOf<'input'>): Border | undefined {
    const reader = this.onlyReader(name)?.node
    if (reader?.kind !== 'conv' || reader.kernel[2] === 1) return undefined
    return { height: reader.padding[1], width: reader.padding[2] }
  }
}

/** A shape with a border around its frames. */
export const bordered = (shape: Shape, border: Border | undefined): Shape =>
  border
    ? { ...shape, height: shape.height + 2 * border.height, width: shape.width + 2 * border.width }
    : shape

/** A convolution's window over an input with a border: its columns are read as one run, in fewer, longer taps. */
export function windowOver(
  { kernel, stride, padding }: Window,
  channels: number,
  border: Border | undefined,
): { readonly window: Window; readonly inner: number } {
  if (!border) return { window: { kernel, stride, padding }, inner: channels }
  return {
    window: { kernel: [kernel[0], kernel[1], 1], stride, padding: [padding[0], 0, 0] },
    inner: channels * kernel[2],
  }
}
