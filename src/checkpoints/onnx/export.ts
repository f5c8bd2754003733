/**
 * A sub-network as an ONNX file: one operator per node, channels first ([N, C, T, H, W]; images [N, C, H, W]),
 * float32, any batch size. Batch norm uses the given running statistics.
 */
import { MnVideoError } from '../../errors.ts'
import { inputsOf, type Triple } from '../../network/graph.ts'
import type { ParameterSlice } from '../../network/parameters.ts'
import type { ResolvedNode, Shape, SubNetwork } from '../../network/resolve.ts'
import type { BatchNormStatistics, ParameterStore } from '../../network/store.ts'
import { type Attribute, model, node as operator, tensor, valueInfo } from './messages.ts'
import type { Message } from './protobuf.ts'

export function exportOnnx(
  subNetwork: SubNetwork,
  weights: ParameterStore,
  statistics: BatchNormStatistics,
): Uint8Array {
  const { network } = subNetwork
  const flat = network.media === 'image'
  const nodes: Message[] = []
  const initializers: Message[] = []
  const inputs: Message[] = []
  const names = new Map<string, string>()

  const emit = (
    type: string,
    from: readonly string[],
    to: string,
    attributes?: Record<string, Attribute>,
  ) => {
    nodes.push(operator(type, from, to, attributes))
  }
  const constant = (name: string, shape: readonly number[], values: Float32Array): string => {
    initializers.push(tensor(name, shape, values))
    return name
  }
  const spatial = (triple: Triple): number[] => (flat ? [triple[1], triple[2]] : [...triple])
  const window = (w: { kernel: Triple; stride: Triple; padding: Triple }) => ({
    kernel_shape: spatial(w.kernel),
    strides: spatial(w.stride),
    pads: [...spatial(w.padding), ...spatial(w.padding)],
  })
  const vector = (slice: ParameterSlice) => constant(slice.name, slice.shape, weights.gather(slice))

  for (const resolved of subNetwork.nodes) {
    const { node, shape, parameters } = resolved
    const { name } = node
    const [x = '', second = ''] = inputsOf(node).map((input) => names.get(input)!)
    names.set(name, name)
    switch (node.kind) {
      case 'input':
        inputs.push(valueInfo(name, ['batch', 3, ...extentOf(shape, flat)]))
        break
      case 'conv': {
        const [filter, bias] = parameters
        const { values, dims } = channelsFirst(weights.gather(filter!), filter!.shape, flat)
        const rest = bias ? [vector(bias)] : []
        emit('Conv', [x, constant(filter!.name, dims, values), ...rest], name, window(node))
        break
      }
      case 'channelwiseConv': {
        const [filter] = parameters
        const [kt, kh, kw, c] = filter!.shape as [number, number, number, number]
        const { values, dims } = channelsFirst(weights.gather(filter!), [kt, kh, kw, 1, c], flat)
        emit('Conv', [x, constant(filter!.name, dims, values)], name, { ...window(node), group: c })
        break
      }
      case 'batchNorm': {
        const found = statistics.get(name)
        if (!found) throw new MnVideoError('weights', `${network.name}: ${name} has no statistics to export.`)
        const mean = constant(`${name}.running_mean`, [shape.channels], found.mean)
        const variance = constant(`${name}.running_var`, [shape.channels], found.variance)
        const from = [x, vector(parameters[0]!), vector(parameters[1]!), mean, variance]
        emit('BatchNormalization', from, name, { epsilon: { float: node.epsilon } })
        break
      }
      case 'activation':
        switch (node.activation) {
          case 'relu':
            emit('Relu', [x], name)
            break
          case 'sigmoid':
            emit('Sigmoid', [x], name)
            break
          case 'relu6': {
            const [low, high] = [0, 6].map((v) => constant(`${name}.${v}`, [], Float32Array.of(v)))
            emit('Clip', [x, low!, high!], name)
            break
          }
          case 'swish':
            emit('Sigmoid', [x], `${name}.sigmoid`)
            emit('Mul', [x, `${name}.sigmoid`], name)
        }
        break
      case 'add':
        emit('Add', [x, second], name)
        break
      case 'gate':
        emit('Mul', [x, second], name)
        break
      case 'concat':
        emit(
          'Concat',
          node.inputs.map((input) => names.get(input)!),
          name,
          { axis: 1 },
        )
        break
      case 'maxPool':
        emit('MaxPool', [x], name, window(node))
        break
      case 'globalPool':
        if (shape.frames * shape.height * shape.width === 1) emit('GlobalAveragePool', [x], name)
        else emit('AveragePool', [x], name, { kernel_shape: spatial(resolved.kernel!) })
        break
      case 'resample': {
        const kernel = poolOf(resolved, network.name)
        if (kernel.every((k) => k === 1)) names.set(name, x)
        else emit('AveragePool', [x], name, { kernel_shape: spatial(kernel), strides: spatial(kernel) })
        break
      }
      case 'dropout':
        names.set(name, x)
        break
      case 'linear': {
        // A 1×1×1 convolution: the classifier may have several positions.
        const [filter, bias] = parameters
        const [cin, cout] = filter!.shape as [number, number]
        const { values, dims } = channelsFirst(weights.gather(filter!), [1, 1, 1, cin, cout], flat)
        emit('Conv', [x, constant(filter!.name, dims, values), vector(bias!)], name)
      }
    }
  }
  const classifier = names.get(network.output)!
  emit('GlobalAveragePool', [classifier], 'mean logits')
  emit('Flatten', ['mean logits'], 'logits')
  return model({
    name: network.name,
    nodes,
    initializers,
    inputs,
    outputs: [valueInfo('logits', ['batch', network.classes])],
  })
}

const extentOf = ({ frames, height, width }: Shape, flat: boolean): number[] =>
  flat ? [height, width] : [frames, height, width]

/** From [kt, kh, kw, in, out] to [out, in, kt, kh, kw], without kt for images. */
function channelsFirst(weights: Float32Array, shape: readonly number[], flat: boolean) {
  const [kt, kh, kw, cin, cout] = shape as [number, number, number, number, number]
  const taps = kt * kh * kw
  const values = new Float32Array(weights.length)
  for (let tap = 0; tap < taps; tap++) {
    for (let i = 0; i < cin; i++) {
      for (let o = 0; o < cout; o++) values[(o * cin + i) * taps + tap] = weights[(tap * cin + i) * cout + o]!
    }
  }
  return { values, dims: [cout, cin, ...(flat ? [kh, kw] : [kt, kh, kw])] }
}

/** The plain average pool that an adaptive one is when every extent is a multiple of the output's. */
function poolOf({ node, inputs, shape }: ResolvedNode, network: string): Triple {
  const from = inputs[0]!
  const kernel = [from.frames / shape.frames, from.height / shape.height, from.width / shape.width]
  if (!kernel.every(Number.isInteger)) {
    throw new MnVideoError(
      'network',
      `${network}: ${node.name} resamples by a broken factor, which ONNX has no operator for. Export a configuration whose size and frames divide the full ones.`,
    )
  }
  return kernel as [number, number, number]
}
