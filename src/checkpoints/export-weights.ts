/**
 * The weights of a sub-network as safetensors: in our own layouts, or in PyTorch's under the names that
 * `load_state_dict` expects of such a network. Slices of the first channels; running statistics included.
 */
import type { SubNetwork } from '../network/resolve.ts'
import type { BatchNormStatistics, ParameterStore } from '../network/store.ts'
import { savedShape, torchShapeOf, toTorch } from './import/layouts.ts'
import { statisticsPrefix } from './names/mutualnet.ts'
import type { SafetensorsTensor } from './safetensors.ts'

type Tensors = Map<string, SafetensorsTensor>

/** conv [kt, kh, kw, in, out], channelwise [kt, kh, kw, c], linear [in, out]. */
export function ownTensors(
  subNetwork: SubNetwork,
  weights: ParameterStore,
  statistics: BatchNormStatistics,
): Tensors {
  const tensors: Tensors = new Map()
  for (const { node, parameters } of subNetwork.nodes) {
    for (const slice of parameters) {
      tensors.set(slice.name, { dtype: 'F32', shape: slice.shape, data: weights.gather(slice) })
    }
    addStatistics(tensors, node.name, statistics)
  }
  return tensors
}

/**
 * PyTorchVideo's state dict, as PyTorch lays it out; for images MutualNet's, of a model whose `width_mult_list` has the
 * one width.
 */
export function torchTensors(
  subNetwork: SubNetwork,
  weights: ParameterStore,
  statistics: BatchNormStatistics,
): Tensors {
  const tensors: Tensors = new Map()
  const prefixOf = statisticsPrefix(subNetwork.network)
  for (const { node, parameters } of subNetwork.nodes) {
    for (const slice of parameters) {
      const shape = torchShapeOf(slice.role, slice.shape)
      tensors.set(slice.name, {
        dtype: 'F32',
        shape: savedShape(slice.role, shape, subNetwork.network.media),
        data: toTorch(weights.gather(slice), shape),
      })
    }
    if (addStatistics(tensors, node.name, statistics, prefixOf(node.name))) {
      tensors.set(`${prefixOf(node.name)}.num_batches_tracked`, {
        dtype: 'I64',
        shape: [],
        data: BigInt64Array.of(0n),
      })
    }
  }
  return tensors
}

function addStatistics(
  tensors: Tensors,
  node: string,
  statistics: BatchNormStatistics,
  prefix = node,
): boolean {
  const values = statistics.get(node)
  if (!values) return false
  const { mean, variance } = values
  tensors.set(`${prefix}.running_mean`, { dtype: 'F32', shape: [mean.length], data: mean })
  tensors.set(`${prefix}.running_var`, { dtype: 'F32', shape: [variance.length], data: variance })
  return true
}
