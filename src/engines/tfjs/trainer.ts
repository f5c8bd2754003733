/**
 * Trains weights with tfjs: the graph forward, keeping every value, then the graph backward. Gradients and the
 * optimiser live on the host at full size, where slices of any width add up.
 */
import * as tf from '@tensorflow/tfjs-core'
import { inputsOf, type Network } from '../../network/graph.ts'
import { createRandom } from '../../network/random.ts'
import { isKind, type ResolvedNode, type SubNetwork } from '../../network/resolve.ts'
import { type BatchNormStatistics, forEachRun, type ParameterStore } from '../../network/store.ts'
import type { Inputs, Trainer, TrainerOptions } from '../engine.ts'
import { checkInputs, toFloats } from '../inputs.ts'
import { lossOf } from '../loss.ts'
import { createSgd } from '../sgd.ts'
import { backwardNode, type Trace } from './backward.ts'
import type { Backend } from './kernels.ts'
import { computeNode, type Environment, inputTensor } from './nodes.ts'
import { channelMoments, type Moments } from './ops.ts'

export function createTrainer(
  network: Network,
  weights: ParameterStore,
  options: TrainerOptions,
  backend: Backend,
): Trainer {
  const sgd = createSgd(network, weights, options)
  return {
    async accumulate(subNetwork, inputs, target, { scale = 1, dropoutSeed } = {}) {
      checkInputs(subNetwork, inputs)
      backend.activate()
      return tf.tidy(() => {
        const trace = forward(subNetwork, weights, inputs, backend, options, dropoutSeed)
        const output = trace.read(network.output)
        const logits = output.dataSync() as Float32Array
        const { loss, gradient } = lossOf(logits, network.classes, target)
        const dy = tf.tensor5d(
          gradient.map((value) => value * scale),
          output.shape,
        )
        backward(subNetwork, trace, dy, sgd.gradients)
        return { loss, logits: logits.slice() }
      })
    },
    gradients: () => sgd.gradients,
    velocities: () => sgd.velocities,
    step: async (rates) => sgd.step(rates),
    async statistics(subNetwork, inputs) {
      const batch = checkInputs(subNetwork, inputs)
      backend.activate()
      let found: BatchNormStatistics = new Map()
      tf.tidy(() => {
        found = unbiased(subNetwork, forward(subNetwork, weights, inputs, backend, options), batch)
      })
      return found
    },
    // Tensors live only while a call runs.
    dispose() {},
  }
}

/** Computes every node and keeps what the backward pass reads. Called inside a tidy, which frees it. */
function forward(
  subNetwork: SubNetwork,
  weights: ParameterStore,
  inputs: Inputs,
  { kernels }: Backend,
  { normalisation }: TrainerOptions,
  dropoutSeed?: number,
): Omit<Trace, 'output'> {
  const batch = checkInputs(subNetwork, inputs)
  const parameters = new Map(
    subNetwork.nodes.flatMap((node) =>
      node.parameters.map((slice) => [slice.name, tf.tensor(weights.gather(slice), [...slice.shape])]),
    ),
  )
  const random = dropoutSeed === undefined ? undefined : createRandom(dropoutSeed)
  const values = new Map<string, tf.Tensor5D>()
  const moments = new Map<string, Moments>()
  const masks = new Map<string, tf.Tensor5D>()
  const environment: Environment = {
    kernels,
    read: (name) => values.get(name)!,
    parameter: <T extends tf.Tensor>(name: string) => parameters.get(name) as T,
    moments(node, x) {
      const found = channelMoments(x)
      moments.set(node.name, found)
      return found
    },
    dropout({ name, rate }, x) {
      const mask = Float32Array.from({ length: x.size }, () =>
        random === undefined ? 1 : random.uniform() < rate ? 0 : 1 / (1 - rate),
      )
      masks.set(name, tf.tensor5d(mask, x.shape))
      return tf.mul(x, masks.get(name)!)
    },
  }
  for (const resolved of subNetwork.nodes) {
    const { node } = resolved
    const value =
      node.kind === 'input'
        ? inputTensor(toFloats(inputs[node.name]!, normalisation), batch, resolved)
        : computeNode(node, resolved, environment)
    values.set(node.name, value)
  }
  return {
    kernels,
    read: environment.read,
    parameter: environment.parameter,
    moments: (name) => moments.get(name)!,
    dropoutMask: (name) => masks.get(name)!,
  }
}

/** Walks the graph from the output to the inputs and adds the parameters' gradients to the full-size ones. */
function backward(
  subNetwork: SubNetwork,
  trace: Omit<Trace, 'output'>,
  dy: tf.Tensor5D,
  gradients: ReadonlyMap<string, Float32Array>,
): void {
  const arriving = new Map<string, tf.Tensor5D>([[subNetwork.network.output, dy]])
  for (const resolved of subNetwork.nodes.toReversed()) {
    const { node } = resolved
    const gradient = arriving.get(node.name)
    if (!gradient || node.kind === 'input') continue
    const own = backwardNode(node, resolved, gradient, { ...trace, output: trace.read(node.name) })
    inputsOf(node).forEach((name, i) => {
      const part = own.inputs[i]
      if (!part) return
      const others = arriving.get(name)
      arriving.set(name, others ? tf.add(others, part) : part)
    })
    addToFullSize(resolved, own.parameters, gradients)
  }
}

function addToFullSize(
  { parameters }: ResolvedNode,
  own: Readonly<Record<string, tf.Tensor>>,
  gradients: ReadonlyMap<string, Float32Array>,
): void {
  for (const slice of parameters) {
    const values = own[slice.name]!.dataSync()
    const full = gradients.get(slice.name)!
    let position = 0
    forEachRun(slice, (start, count) => {
      for (let i = 0; i < count; i++) full[start + i]! += values[position++]!
    })
  }
}

function unbiased(subNetwork: SubNetwork, trace: Omit<Trace, 'output'>, batch: number): BatchNormStatistics {
  return new Map(
    subNetwork.nodes
      .filter((resolved) => isKind(resolved, 'batchNorm'))
      .map(({ node, shape }) => {
        const { mean, variance } = trace.moments(node.name)
        const values = batch * shape.frames * shape.height * shape.width
        const correction = values / Math.max(1, values - 1)
        return [
          node.name,
          {
            mean: Float32Array.from(mean.dataSync()),
            variance: Float32Array.from(variance.dataSync(), (value) => value * correction),
          },
        ]
      }),
  )
}
