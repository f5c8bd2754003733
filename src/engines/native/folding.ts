/** Batch norm of known statistics as part of the convolution before it: other weights and another bias. */
import type { NodeOf } from '../../network/graph.ts'
import type { ResolvedNode } from '../../network/resolve.ts'
import type { BatchNormStatistics, ParameterStore } from '../../network/store.ts'

type BatchNorm = ResolvedNode<NodeOf<'batchNorm'>>

/** A convolution's weights, each output channel times what the batch norm multiplies it by. */
export function foldedWeights(
  weights: ParameterStore,
  statistics: BatchNormStatistics,
  resolved: ResolvedNode,
  batchNorm: BatchNorm | undefined,
): Float32Array {
  const values = weights.gather(resolved.parameters[0]!)
  if (!batchNorm) return values
  const factors = factorsOf(weights, statistics, batchNorm)
  for (let i = 0; i < values.length; i++) values[i]! *= factors[i % factors.length]!
  return values
}

/** What is added to each output channel: (bias − mean) · factor + shift. */
export function foldedBias(
  weights: ParameterStore,
  statistics: BatchNormStatistics,
  resolved: ResolvedNode,
  batchNorm: BatchNorm,
): Float32Array {
  const bias = resolved.parameters.find(({ role }) => role === 'bias')
  const factors = factorsOf(weights, statistics, batchNorm)
  const shift = weights.gather(batchNorm.parameters[1]!)
  const { mean } = statistics.get(batchNorm.node.name)!
  const before = bias ? weights.gather(bias) : new Float32Array(resolved.shape.channels)
  return shift.map((s, c) => s + (before[c]! - mean[c]!) * factors[c]!)
}

/** The factor of each output channel that a batch norm multiplies by, in double precision. */
function factorsOf(
  weights: ParameterStore,
  statistics: BatchNormStatistics,
  batchNorm: BatchNorm,
): Float64Array {
  const scale = weights.gather(batchNorm.parameters[0]!)
  const { variance } = statistics.get(batchNorm.node.name)!
  return Float64Array.from(scale, (s, c) => s / Math.sqrt(variance[c]! + batchNorm.node.epsilon))
}
