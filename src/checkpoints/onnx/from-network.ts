/**
 * A sub-network as an ONNX graph: the weights in use and no others, batch norm folded into the convolutions
 * before it, PyTorch's layout (channels before frames), any batch size.
 */
import { MnVideoError } from '../../errors.ts'
import { inputsOf, type NodeOf, type Triple } from '../../network/graph.ts'
import { type ParameterSlice, sizeOf } from '../../network/parameters.ts'
import { isKind, type ResolvedNode, type Shape, type SubNetwork } from '../../network/resolve.ts'
import type { BatchNormStatistics, ParameterStore } from '../../network/store.ts'
import { torchShapeOf, toTorch } from '../import/layouts.ts'
import { type OnnxModel, type OnnxNode, type OnnxTensor, OPSETS } from './model.ts'

/** The name of the graph's result: [batch, classes], the mean over the classifier's positions. */
export const LOGITS = 'logits'

export interface OnnxOptions {
  readonly opset?: number
  readonly producer?: string
  readonly metadata?: Readonly<Record<string, string>>
}

/** @throws MnVideoError `usage` for an operator set that is too old or too new */
export function onnxOf(
  subNetwork: SubNetwork,
  weights: ParameterStore,
  statistics: BatchNormStatistics,
  { opset = 17, producer = 'mn-video', metadata = {} }: OnnxOptions = {},
): OnnxModel {
  if (!Number.isInteger(opset) || opset < OPSETS.oldest || opset > OPSETS.newest) {
    throw new MnVideoError(
      'usage',
      `--opset must be from ${OPSETS.oldest} to ${OPSETS.newest}, not ${opset}.`,
    )
  }
  const { network } = subNetwork
  const graph = new Graph(subNetwork, weights, statistics)
  for (const resolved of subNetwork.nodes) graph.add(resolved)
  return {
    name: network.name,
    producer,
    opset,
    inputs: subNetwork.nodes
      .filter((resolved) => isKind(resolved, 'input'))
      .map(({ node, shape }) => ({ name: node.name, shape: ['batch', ...graph.axesOf(shape)] })),
    outputs: [{ name: LOGITS, shape: ['batch', network.classes] }],
    ...graph.finish(network.output),
    metadata,
  }
}

class Graph {
  readonly #nodes: OnnxNode[] = []
  readonly #constants: OnnxTensor[] = []
  /** The value that each of our nodes' output is. */
  readonly #values = new Map<string, string>()
  /** Values [batch, channels] without positions. */
  readonly #flat = new Set<string>()
  /** The batch norm that each convolution takes in. */
  readonly #norms: ReadonlyMap<string, ResolvedNode<NodeOf<'batchNorm'>>>
  readonly #weights: ParameterStore
  readonly #statistics: BatchNormStatistics
  readonly #video: boolean

  constructor(subNetwork: SubNetwork, weights: ParameterStore, statistics: BatchNormStatistics) {
    this.#weights = weights
    this.#statistics = statistics
    this.#video = subNetwork.network.media === 'video'
    this.#norms = foldableNorms(subNetwork)
  }

  /** Channels, frames (of videos), height, width. */
  axesOf({ channels, frames, height, width }: Shape): number[] {
    return this.#video ? [channels, frames, height, width] : [channels, height, width]
  }

  finish(output: string): Pick<OnnxModel, 'nodes' | 'constants'> {
    const value = this.#values.get(output)!
    if (!this.#flat.has(value)) {
      this.#nodes.push({ op: 'Flatten', inputs: [value], output: LOGITS, attributes: { axis: 1 } })
      return { nodes: this.#nodes, constants: this.#constants }
    }
    const nodes = this.#nodes.map((node) => (node.output === value ? { ...node, output: LOGITS } : node))
    return { nodes, constants: this.#constants }
  }

  add(resolved: ResolvedNode): void {
    this.#values.set(resolved.node.name, this.#valueOf(resolved))
  }

  /** The value that a node's output is, after the operations that it takes. */
  #valueOf(resolved: ResolvedNode): string {
    const { node, shape } = resolved
    const read = (name: string) => this.#values.get(name)!
    switch (node.kind) {
      case 'input':
        return node.name
      case 'conv':
      case 'channelwiseConv':
        return this.#convolution(resolved as ResolvedNode<typeof node>, read(node.input))
      case 'batchNorm': {
        if (this.#norms.has(node.input)) return read(node.input)
        const { scale, shift } = this.#affine(resolved as ResolvedNode<typeof node>)
        const axes = [
          shape.channels,
          ...this.axesOf(shape)
            .slice(1)
            .map(() => 1),
        ]
        const scaled = this.#emit(
          'Mul',
          [read(node.input), this.#constant(`${node.name}.scale`, axes, scale)],
          `${node.name}.scaled`,
        )
        return this.#emit('Add', [scaled, this.#constant(`${node.name}.shift`, axes, shift)], node.name)
      }
      case 'activation':
        return this.#activation(node, read(node.input))
      case 'add':
        return this.#emit('Add', node.inputs.map(read), node.name)
      case 'concat':
        return this.#emit('Concat', node.inputs.map(read), node.name, { axis: 1 })
      case 'gate':
        return this.#emit('Mul', [read(node.input), read(node.gate)], node.name)
      case 'maxPool':
        return this.#emit('MaxPool', [read(node.input)], node.name, this.#window(node))
      case 'globalPool': {
        const value = read(node.input)
        if (this.#flat.has(value)) return value
        const { frames, height, width } = resolved.inputs[0]!
        const kernel = resolved.kernel!
        const whole = kernel.join() === [frames, height, width].join()
        const axes = this.#axes(kernel)
        return whole
          ? this.#emit('GlobalAveragePool', [value], node.name)
          : this.#emit('AveragePool', [value], node.name, {
              kernel_shape: axes,
              strides: axes.map(() => 1),
            })
      }
      case 'resample':
        return this.#resample(resolved, read(node.input))
      case 'dropout':
        return read(node.input)
      case 'linear':
        return this.#linear(resolved, read(node.input))
    }
  }

  #convolution(resolved: ResolvedNode<NodeOf<'conv' | 'channelwiseConv'>>, input: string): string {
    const { node, shape, parameters } = resolved
    const [filter, bias] = parameters as [ParameterSlice, ParameterSlice | undefined]
    const norm = this.#norms.get(node.name)
    const torchShape = torchShapeOf(filter.role, filter.shape)
    const values = toTorch(this.#weights.gather(filter), torchShape)
    let offsets = bias && this.#weights.gather(bias)
    if (norm) {
      const { scale, shift } = this.#affine(norm)
      const perChannel = values.length / shape.channels
      for (let i = 0; i < values.length; i++) values[i]! *= scale[Math.floor(i / perChannel)]!
      offsets = shift.map((value, c) => value + (offsets ? offsets[c]! * scale[c]! : 0))
    }
    const [out, into, ...kernel] = torchShape as [number, number, ...number[]]
    const weight = this.#constant(
      filter.name,
      [out, into, ...(this.#video ? kernel : kernel.slice(1))],
      values,
    )
    const inputs = [input, weight]
    if (offsets) inputs.push(this.#constant(`${node.name}.bias`, [out], offsets))
    const group = node.kind === 'channelwiseConv' ? out : 1
    return this.#emit('Conv', inputs, node.name, { ...this.#window(node), group })
  }

  #activation(node: NodeOf<'activation'>, input: string): string {
    switch (node.activation) {
      case 'relu':
        return this.#emit('Relu', [input], node.name)
      case 'relu6':
        return this.#emit('Clip', [input, this.#scalar('zero', 0), this.#scalar('six', 6)], node.name)
      case 'sigmoid':
        return this.#emit('Sigmoid', [input], node.name)
      case 'swish': {
        const gate = this.#emit('Sigmoid', [input], `${node.name}.sigmoid`)
        return this.#emit('Mul', [input, gate], node.name)
      }
    }
  }

  /** At one position a matrix product, at several a convolution of one tap. */
  #linear({ node, shape, parameters, inputs }: ResolvedNode, input: string): string {
    const [filter, bias] = parameters as [ParameterSlice, ParameterSlice]
    const torchShape = torchShapeOf(filter.role, filter.shape)
    const [out, into] = torchShape as [number, number]
    const values = toTorch(this.#weights.gather(filter), torchShape)
    const offsets = this.#constant(bias.name, [out], this.#weights.gather(bias))
    if (shape.frames * shape.height * shape.width > 1) {
      const ones = this.axesOf(inputs[0]!)
        .slice(1)
        .map(() => 1)
      return this.#emit(
        'Conv',
        [input, this.#constant(filter.name, [out, into, ...ones], values), offsets],
        node.name,
      )
    }
    const rows = this.#emit('Flatten', [input], `${node.name}.input`, { axis: 1 })
    const weight = this.#constant(filter.name, [out, into], values)
    this.#flat.add(node.name)
    return this.#emit('Gemm', [rows, weight, offsets], node.name, { transB: 1 })
  }

  /** Adaptive average pooling: one averaging matrix for each axis that changes, as PyTorch divides it. */
  #resample({ node, inputs, shape }: ResolvedNode, input: string): string {
    const from = inputs[0]!
    let value = input
    if (from.width !== shape.width) {
      const matrix = this.#averaging(`${node.name}.columns`, from.width, shape.width, true)
      value = this.#emit('MatMul', [value, matrix], `${node.name}.width`)
    }
    if (from.height !== shape.height) {
      const matrix = this.#averaging(`${node.name}.rows`, from.height, shape.height, false)
      value = this.#emit('MatMul', [matrix, value], `${node.name}.height`)
    }
    if (from.frames === shape.frames) return value
    const { channels, height, width } = shape
    const frames = this.#averaging(`${node.name}.times`, from.frames, shape.frames, false)
    const rows = this.#reshape(value, [0, channels, from.frames, height * width], `${node.name}.flat`)
    const mixed = this.#emit('MatMul', [frames, rows], `${node.name}.frames`)
    return this.#reshape(mixed, [0, channels, shape.frames, height, width], node.name)
  }

  /** [to, from], or its transpose. */
  #averaging(name: string, from: number, to: number, transposed: boolean): string {
    const matrix = new Float32Array(to * from)
    for (let row = 0; row < to; row++) {
      const start = Math.floor((row * from) / to)
      const end = Math.ceil(((row + 1) * from) / to)
      for (let at = start; at < end; at++)
        matrix[transposed ? at * to + row : row * from + at] = 1 / (end - start)
    }
    return this.#constant(name, transposed ? [from, to] : [to, from], matrix)
  }

  /** Batch norm with given statistics: a scale and a shift of each channel. */
  #affine({ node, parameters }: ResolvedNode<NodeOf<'batchNorm'>>) {
    const [scales, shifts] = parameters.map((slice) => this.#weights.gather(slice)) as [
      Float32Array,
      Float32Array,
    ]
    const { mean, variance } = this.#statistics.get(node.name)!
    const scale = scales.map((value, c) => value / Math.sqrt(variance[c]! + node.epsilon))
    return { scale, shift: shifts.map((value, c) => value - mean[c]! * scale[c]!) }
  }

  #window({ kernel, stride, padding }: { kernel: Triple; stride: Triple; padding: Triple }) {
    const pads = this.#axes(padding)
    return { kernel_shape: this.#axes(kernel), strides: this.#axes(stride), pads: [...pads, ...pads] }
  }

  #axes = (triple: Triple): number[] => (this.#video ? [...triple] : triple.slice(1))

  #reshape(input: string, shape: readonly number[], output: string): string {
    const name = `${output}.shape`
    this.#constants.push({ name, shape: [shape.length], data: BigInt64Array.from(shape, BigInt) })
    return this.#emit('Reshape', [input, name], output)
  }

  #constant(name: string, shape: readonly number[], data: Float32Array): string {
    if (sizeOf(shape) !== data.length) throw new Error(`${name}: ${data.length} values for [${shape}]`)
    this.#constants.push({ name, shape, data })
    return name
  }

  #scalar(name: string, value: number): string {
    if (!this.#constants.some((constant) => constant.name === name)) {
      this.#constants.push({ name, shape: [], data: Float32Array.of(value) })
    }
    return name
  }

  #emit(op: string, inputs: readonly string[], output: string, attributes?: OnnxNode['attributes']): string {
    this.#nodes.push({ op, inputs, output, ...(attributes && { attributes }) })
    return output
  }
}

/** Batch norms that are the only reader of the convolution before them, by that convolution. */
function foldableNorms({ nodes }: SubNetwork): Map<string, ResolvedNode<NodeOf<'batchNorm'>>> {
  const readers = new Map<string, number>()
  for (const { node } of nodes) {
    for (const name of inputsOf(node)) readers.set(name, (readers.get(name) ?? 0) + 1)
  }
  const kinds = new Map(nodes.map(({ node }) => [node.name, node.kind]))
  return new Map(
    nodes
      .filter((resolved) => isKind(resolved, 'batchNorm'))
      .filter(
        ({ node }) =>
          /^(?:conv|channelwiseConv)$/.test(kinds.get(node.input)!) && readers.get(node.input) === 1,
      )
      .map((resolved) => [resolved.node.input, resolved]),
  )
}
