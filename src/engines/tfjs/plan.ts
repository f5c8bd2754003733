/** Runs a sub-network node by node with tfjs, freeing every value as soon as its last reader has run. */
import * as tf from '@tensorflow/tfjs-core'
import { inputsOf, type Node } from '../../network/graph.ts'
import type { ResolvedNode, SubNetwork } from '../../network/resolve.ts'
import type { ParameterStore } from '../../network/store.ts'
import type { CompileOptions, Inputs, Observed, Plan, RunOptions, RunResult } from '../engine.ts'
import { checkInputs, toFloats } from '../inputs.ts'
import { averagePositions } from '../scores.ts'
import * as ops from './ops.ts'

/** Weights and statistics in use, as tensors by parameter name. The plan owns them. */
type Constants = ReadonlyMap<string, tf.Tensor>

/**
 * @param activate makes the engine's backend tfjs's current one; called before every synchronous stretch
 */
export function createPlan(
  subNetwork: SubNetwork,
  weights: ParameterStore,
  { normalisation, statistics }: CompileOptions,
  activate: () => Promise<void>,
): Plan {
  const constants = upload(subNetwork, weights, statistics)
  const { classifier, output, nodes } = subNetwork.network
  // What comes after the classifier only averages its positions, which `averagePositions` does.
  const compute = subNetwork.nodes.slice(0, nodes.findIndex((node) => node.name === classifier) + 1)

  return {
    subNetwork,
    async run(inputs: Inputs, { observe = [] }: RunOptions = {}): Promise<RunResult> {
      const batch = checkInputs(subNetwork, inputs)
      await activate()
      const wanted = new Set([classifier, ...observe.filter((name) => name !== output)])
      const kept = forward(compute, batch, wanted, constants, inputs, normalisation, statistics === 'batch')
      try {
        const observed = new Map<string, Observed>()
        for (const [name, tensor] of kept) {
          const { shape } = compute.find(({ node }) => node.name === name)!
          observed.set(name, { batch, shape, data: (await tensor.data()) as Float32Array })
        }
        const outputs = observed.get(classifier)!.data
        if (!observe.includes(classifier)) observed.delete(classifier)
        return { ...averagePositions(outputs, batch, subNetwork.network.classes), observed }
      } finally {
        for (const tensor of kept.values()) tensor.dispose()
      }
    },
    dispose() {
      for (const tensor of constants.values()) tensor.dispose()
    },
  }
}

function upload(
  subNetwork: SubNetwork,
  weights: ParameterStore,
  statistics: CompileOptions['statistics'],
): Constants {
  const constants = new Map<string, tf.Tensor>()
  for (const { node, parameters } of subNetwork.nodes) {
    for (const slice of parameters) {
      constants.set(slice.name, tf.tensor(weights.gather(slice), [...slice.shape]))
    }
    if (node.kind === 'batchNorm' && statistics !== 'batch') {
      const { mean, variance } = statistics.get(node.name)!
      constants.set(`${node.name}.mean`, tf.tensor1d(mean))
      constants.set(`${node.name}.variance`, tf.tensor1d(variance))
    }
  }
  return constants
}

/** Computes all nodes and returns the wanted outputs, which the caller disposes. */
function forward(
  nodes: readonly ResolvedNode[],
  batch: number,
  wanted: ReadonlySet<string>,
  constants: Constants,
  inputs: Inputs,
  normalisation: CompileOptions['normalisation'],
  batchStatistics: boolean,
): Map<string, tf.Tensor5D> {
  const readers = new Map<string, number>()
  for (const { node } of nodes) {
    for (const name of inputsOf(node)) readers.set(name, (readers.get(name) ?? 0) + 1)
  }
  const values = new Map<string, tf.Tensor5D>()
  const kept = new Map<string, tf.Tensor5D>()
  for (const resolved of nodes) {
    const { node, shape } = resolved
    const value = tf.tidy(() => {
      if (node.kind !== 'input') return compute(node, resolved, values, constants, batchStatistics)
      const floats = toFloats(inputs[node.name]!, normalisation)
      return tf.tensor5d(floats, [batch, shape.frames, shape.height, shape.width, shape.channels])
    })
    values.set(node.name, value)
    if (wanted.has(node.name)) kept.set(node.name, tf.clone(value))
    for (const name of new Set([...inputsOf(node), node.name])) {
      const left = (readers.get(name) ?? 0) - inputsOf(node).filter((input) => input === name).length
      readers.set(name, left)
      if (left === 0) values.get(name)!.dispose()
    }
  }
  return kept
}

function compute(
  node: Exclude<Node, { kind: 'input' }>,
  resolved: ResolvedNode,
  values: ReadonlyMap<string, tf.Tensor5D>,
  constants: Constants,
  batchStatistics: boolean,
): tf.Tensor5D {
  const read = (name: string) => values.get(name)!
  const constant = <T extends tf.Tensor>(suffix: string) => constants.get(`${node.name}.${suffix}`) as T
  switch (node.kind) {
    case 'conv': {
      const y = ops.conv(read(node.input), constant('weight'), node)
      return node.bias ? tf.add(y, constant<tf.Tensor1D>('bias')) : y
    }
    case 'channelwiseConv':
      return ops.channelwiseConv(read(node.input), constant('weight'), node)
    case 'batchNorm': {
      const x = read(node.input)
      const statistics = batchStatistics
        ? ops.channelMoments(x)
        : { mean: constant<tf.Tensor1D>('mean'), variance: constant<tf.Tensor1D>('variance') }
      return ops.batchNorm(x, statistics, constant('weight'), constant('bias'), node.epsilon)
    }
    case 'activation':
      return ops.activate(read(node.input), node.activation)
    case 'add':
      return tf.add(read(node.inputs[0]), read(node.inputs[1]))
    case 'concat':
      return tf.concat(node.inputs.map(read), 4)
    case 'gate':
      return ops.gate(read(node.input), read(node.gate))
    case 'maxPool':
      return ops.maxPool(read(node.input), node)
    case 'globalPool':
      return ops.globalPool(read(node.input), resolved.kernel!)
    case 'resample':
      return ops.adaptiveAveragePool(read(node.input), resolved.shape)
    case 'dropout':
      // Neither inference nor statistics drop anything.
      return tf.clone(read(node.input))
    case 'linear':
      return ops.linear(read(node.input), constant('weight'), constant('bias'))
  }
}
