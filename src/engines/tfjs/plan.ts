/** Runs a sub-network node by node with tfjs, freeing every value as soon as its last reader has run. */
import * as tf from '@tensorflow/tfjs-core'
import type { Inputs } from '../../frames/batch.ts'
import { inputsOf } from '../../network/graph.ts'
import type { ResolvedNode, SubNetwork } from '../../network/resolve.ts'
import type { ParameterStore } from '../../network/store.ts'
import type { CompileOptions, Observed, Plan, RunOptions, RunResult } from '../engine.ts'
import { checkInputs, checkMemory, checkObserved, checkOpen, checkSignal, toFloats } from '../inputs.ts'
import { averagePositions } from '../scores.ts'
import type { Backend, Kernels } from './kernels.ts'
import { channelMoments } from './moments.ts'
import { opOf } from './ops/index.ts'
import type { Environment } from './ops/op.ts'

/** Weights and statistics in use, as tensors by parameter name. The plan owns them. */
type Constants = ReadonlyMap<string, tf.Tensor>

export function createPlan(
  subNetwork: SubNetwork,
  weights: ParameterStore,
  options: CompileOptions,
  { activate, kernels, memoryLimit }: Backend,
): Plan {
  activate()
  const constants = upload(subNetwork, weights, options.statistics)
  const { name, classifier, classes } = subNetwork.network
  let isOpen = true

  return {
    subNetwork,
    async run(inputs: Inputs, { observe = [], signal }: RunOptions = {}): Promise<RunResult> {
      checkOpen(isOpen, `the plan of ${name}`)
      checkSignal(subNetwork, signal)
      const batch = checkInputs(subNetwork, inputs)
      checkObserved(subNetwork, observe)
      checkMemory(subNetwork, batch, memoryLimit)
      activate()
      const wanted = new Set([classifier, ...observe])
      const kept = forward(subNetwork.nodes, batch, wanted, { constants, kernels }, inputs, options)
      try {
        const observed = new Map<string, Observed>()
        for (const [name, tensor] of kept) {
          const { shape } = subNetwork.nodes.find(({ node }) => node.name === name)!
          observed.set(name, { batch, shape, data: (await tensor.data()) as Float32Array })
        }
        // Nodes are computed in one synchronous stretch, in which no signal can arrive.
        checkSignal(subNetwork, signal)
        const outputs = observed.get(classifier)!.data
        if (!observe.includes(classifier)) observed.delete(classifier)
        return { ...averagePositions(outputs, batch, classes), observed }
      } finally {
        for (const tensor of kept.values()) tensor.dispose()
      }
    },
    dispose() {
      isOpen = false
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
  { constants, kernels }: { readonly constants: Constants; readonly kernels: Kernels },
  inputs: Inputs,
  { normalisation, statistics }: CompileOptions,
): Map<string, tf.Tensor5D> {
  const values = new Map<string, tf.Tensor5D>()
  const environment: Environment = {
    kernels,
    input: (name) => ({ data: toFloats(inputs[name]!, normalisation), batch }),
    read: (name) => values.get(name)!,
    parameter: <T extends tf.Tensor>(name: string) => constants.get(name) as T,
    moments: ({ name }, x) =>
      statistics === 'batch'
        ? channelMoments(x)
        : {
            mean: constants.get(`${name}.mean`) as tf.Tensor1D,
            variance: constants.get(`${name}.variance`) as tf.Tensor1D,
          },
    // Neither inference nor statistics drop anything.
    dropout: (_, x) => tf.clone(x),
  }
  const readers = new Map<string, number>()
  for (const { node } of nodes) {
    for (const name of inputsOf(node)) readers.set(name, (readers.get(name) ?? 0) + 1)
  }
  // The outer tidy frees everything if an operation throws.
  const kept = tf.tidy(() => {
    for (const resolved of nodes) {
      const { node } = resolved
      const value = tf.tidy(() => opOf(resolved).forward(resolved, environment))
      values.set(node.name, value)
      for (const name of new Set([...inputsOf(node), node.name])) {
        const left = (readers.get(name) ?? 0) - inputsOf(node).filter((input) => input === name).length
        readers.set(name, left)
        if (left === 0 && !wanted.has(name)) values.get(name)!.dispose()
      }
    }
    return [...wanted].map((name) => values.get(name)!)
  })
  return new Map([...wanted].map((name, i) => [name, kept[i]!]))
}
