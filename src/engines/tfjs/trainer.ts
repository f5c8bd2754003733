/**
 * Trains weights with tfjs: the graph forward, keeping the output of every node, then the graph backward, letting them
 * go.
 */
import * as tf from '@tensorflow/tfjs-core'
import type { Inputs } from '../../frames/batch.ts'
import { inputsOf, type Network } from '../../network/graph.ts'
import { activations, peakActivations } from '../../network/profile.ts'
import { createRandom } from '../../network/random.ts'
import { isKind, type SubNetwork } from '../../network/resolve.ts'
import type { BatchNormStatistics, ParameterStore } from '../../network/store.ts'
import type { Trainer, TrainerOptions } from '../engine.ts'
import {
  checkAccumulateOptions,
  checkGradients,
  checkInputs,
  checkOpen,
  checkRates,
  checkTarget,
  checkTrainerOptions,
  toFloats,
} from '../inputs.ts'
import { lossOf } from '../loss.ts'
import type { Backend } from './kernels.ts'
import { channelMoments, type Moments } from './moments.ts'
import { opOf } from './ops/index.ts'
import type { Environment, Trace } from './ops/op.ts'
import type { SliceGradient, TrainedParameters } from './trained-parameters.ts'

export function createTrainer(
  network: Network,
  weights: ParameterStore,
  options: TrainerOptions,
  backend: Backend,
): Trainer {
  checkTrainerOptions(weights, options)
  const { activate: activateBackend, kernels } = backend
  let isOpen = true
  const activate = () => {
    checkOpen(isOpen, `the trainer of ${network.name}`)
    activateBackend()
  }
  activate()
  const parameters = backend.openParameters(network, weights, options)
  const forwardPass = (subNetwork: SubNetwork, inputs: Inputs, dropoutSeed?: number) =>
    forward(subNetwork, parameters, inputs, kernels, options, dropoutSeed)
  return {
    async accumulate(subNetwork, inputs, target, options = {}) {
      activate()
      checkAccumulateOptions(options)
      const { scale = 1, dropoutSeed } = options
      checkTarget(target, checkInputs(subNetwork, inputs), network.classes)
      return tf.tidy(() => {
        const pass = forwardPass(subNetwork, inputs, dropoutSeed)
        const output = pass.read(network.output)
        const logits = output.dataSync() as Float32Array
        const { loss, gradient } = lossOf(logits, network.classes, target)
        const dy = tf.tensor5d(
          gradient.map((value) => value * scale),
          output.shape,
        )
        const copied = logits.slice()
        parameters.addGradients(backward(subNetwork, pass, dy))
        return { loss, logits: copied }
      })
    },
    gradients() {
      activate()
      return parameters.gradients()
    },
    setGradients(gradients) {
      activate()
      checkGradients(weights, gradients)
      parameters.setGradients(gradients)
    },
    velocities() {
      activate()
      return parameters.velocities()
    },
    async step(rates) {
      activate()
      checkRates(rates)
      return parameters.step(rates)
    },
    // Every output is kept until its gradient is done; what a node computes on the way goes with the node.
    bytesFor: (subNetwork, batch) => 4 * batch * (2 * activations(subNetwork) + peakActivations(subNetwork)),
    async statistics(subNetwork, inputs) {
      activate()
      const batch = checkInputs(subNetwork, inputs)
      let found: BatchNormStatistics = new Map()
      tf.tidy(() => {
        found = unbiased(subNetwork, forwardPass(subNetwork, inputs), batch)
      })
      return found
    },
    dispose() {
      if (isOpen) parameters.dispose()
      isOpen = false
    },
  }
}

/** What a forward pass kept for the backward one. */
interface Pass extends Omit<Trace, 'output'> {
  /** Frees the output of a node that nothing reads any more. */
  free(name: string): void
}

/** Computes every node and keeps what the backward pass reads. Called inside a tidy, which frees it. */
function forward(
  subNetwork: SubNetwork,
  trained: TrainedParameters,
  inputs: Inputs,
  kernels: Backend['kernels'],
  { normalisation }: TrainerOptions,
  dropoutSeed?: number,
): Pass {
  const batch = checkInputs(subNetwork, inputs)
  const parameters = new Map(
    subNetwork.nodes.flatMap((node) =>
      node.parameters.map((slice) => [slice.name, tf.tidy(() => trained.use(slice))]),
    ),
  )
  const random = dropoutSeed === undefined ? undefined : createRandom(dropoutSeed)
  const values = new Map<string, tf.Tensor5D>()
  const moments = new Map<string, Moments>()
  const masks = new Map<string, tf.Tensor5D>()
  const environment: Environment = {
    kernels,
    input: (name) => ({ data: toFloats(inputs[name]!, normalisation), batch }),
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
    // Of what a node computes on the way, only these outlive it.
    const kept = tidy(() => {
      const value = opOf(resolved).forward(resolved, environment)
      return { value, moments: moments.get(node.name), mask: masks.get(node.name) }
    })
    values.set(node.name, kept.value)
  }
  return {
    kernels,
    read: environment.read,
    parameter: environment.parameter,
    moments: (name) => moments.get(name)!,
    dropoutMask: (name) => masks.get(name)!,
    free: (name) => values.get(name)!.dispose(),
  }
}

/** `tf.tidy` of an object of tensors; its own type does not allow for absent ones. */
const tidy = <T extends object>(compute: () => T): T =>
  tf.tidy(compute as unknown as () => tf.TensorContainer) as unknown as T

/** Walks the graph from the output to the inputs, and returns the gradients of the parameters. */
function backward(subNetwork: SubNetwork, pass: Pass, dy: tf.Tensor5D): SliceGradient[] {
  const found: SliceGradient[] = []
  const arriving = new Map<string, tf.Tensor5D>([[subNetwork.network.output, dy]])
  for (const resolved of subNetwork.nodes.toReversed()) {
    const { node, parameters } = resolved
    const gradient = arriving.get(node.name)
    if (gradient) {
      const trace = { ...pass, output: pass.read(node.name) }
      const own = tidy(() => opOf(resolved).backward(resolved, gradient, trace))
      inputsOf(node).forEach((name, i) => {
        const part = own.inputs[i]
        if (!part) return
        const others = arriving.get(name)
        // Several nodes may be given the same tensor; each frees its own.
        arriving.set(name, others ? tf.add(others, part) : tf.clone(part))
        others?.dispose()
      })
      for (const part of new Set(own.inputs)) part?.dispose()
      for (const slice of parameters) found.push({ slice, gradient: own.parameters[slice.name]! })
      if (!gradient.isDisposed) gradient.dispose()
    }
    // Its readers came before it.
    pass.free(node.name)
  }
  return found
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
