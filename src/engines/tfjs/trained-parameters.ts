/**
 * The weights that a trainer changes, their gradients and velocities, at full size. For backends that compute in the
 * host's memory they are the store's own arrays; for TensorFlow they stay on its device from step to step.
 */
import * as tf from '@tensorflow/tfjs-core'
import type { ChannelSlice } from '../../network/channels.ts'
import type { Network } from '../../network/graph.ts'
import { decays, type ParameterSlice, sizeOf } from '../../network/parameters.ts'
import { forEachRun, type ParameterStore, parametersOf } from '../../network/store.ts'
import type { Trainer, TrainerOptions } from '../engine.ts'
import { createSgd } from '../sgd.ts'

/** A gradient in the shape of the slice that it belongs to. */
export interface SliceGradient {
  readonly slice: ParameterSlice
  readonly gradient: tf.Tensor
}

export interface TrainedParameters
  extends Pick<Trainer, 'gradients' | 'setGradients' | 'velocities' | 'step' | 'dispose'> {
  /** What a sub-network uses of a parameter, as a tensor that the surrounding tidy frees. */
  use(slice: ParameterSlice): tf.Tensor
  /** Adds the gradients of one backward pass. */
  addGradients(gradients: readonly SliceGradient[]): void
}

export type OpenParameters = (
  network: Network,
  weights: ParameterStore,
  options: TrainerOptions,
) => TrainedParameters

/** In the host's memory: tensors live only while a call runs. */
export const openHostParameters: OpenParameters = (network, weights, options) => {
  const sgd = createSgd(network, weights, options)
  return {
    use: (slice) => tf.tensor(weights.gather(slice), [...slice.shape]),
    addGradients(gradients) {
      for (const { slice, gradient } of gradients) {
        const values = gradient.dataSync()
        const full = sgd.gradients.get(slice.name)!
        let position = 0
        forEachRun(slice, (start, count) => {
          for (let i = 0; i < count; i++) full[start + i]! += values[position++]!
        })
      }
    },
    gradients: () => sgd.gradients,
    setGradients(gradients) {
      for (const [name, values] of sgd.gradients) values.set(gradients.get(name)!)
    },
    velocities: () => sgd.velocities,
    step: async (rates) => sgd.step(rates),
    dispose() {},
  }
}

/**
 * On the backend's device, as three vectors of all parameters one after the other, so that a step is a dozen
 * operations and one transfer: the new weights, to the store, where plans and checkpoints read them.
 */
export const openDeviceParameters: OpenParameters = (network, weights, options) => {
  const { momentum, nesterov, weightDecay, decayRule = 'dense' } = options
  const parameters = parametersOf(network)
  const offsets = new Map<string, number>()
  let total = 0
  for (const { name, shape } of parameters) {
    offsets.set(name, total)
    total += sizeOf(shape)
  }
  const hostArrays = () =>
    new Map(parameters.map(({ name, shape }) => [name, new Float32Array(sizeOf(shape))]))
  const host = { gradients: hostArrays(), velocities: hostArrays() }

  const device = {
    weights: new DeviceVector(),
    gradients: new DeviceVector(),
    velocities: new DeviceVector(),
    /** How much of each weight is added to its gradient. */
    decay: new DeviceVector(),
  }
  device.gradients.set(tf.zeros([total]))
  device.velocities.set(tf.zeros([total]))
  const rates = parameters.map(({ shape, role }) => ({
    count: sizeOf(shape),
    rate: decays(role, decayRule) ? weightDecay : 0,
  }))
  device.decay.set(
    tf.tidy(() => tf.concat1d(rates.map(({ count, rate }) => tf.fill<tf.Rank.R1>([count], rate)))),
  )
  /** The version of the store that the device has. */
  let version = Number.NaN
  /** Whoever asked for the velocities may have changed them, as resuming from a checkpoint does. */
  let velocitiesShared = false

  const upload = (values: ReadonlyMap<string, Float32Array>): tf.Tensor1D => {
    const flat = new Float32Array(total)
    for (const [name, offset] of offsets) flat.set(values.get(name)!, offset)
    return tf.tensor1d(flat)
  }
  const download = (from: tf.Tensor1D, to: ReadonlyMap<string, Float32Array>) => {
    const flat = from.dataSync<'float32'>()
    for (const [name, offset] of offsets) {
      const values = to.get(name)!
      values.set(flat.subarray(offset, offset + values.length))
    }
    return to
  }
  const currentWeights = (): tf.Tensor1D => {
    // Also before a step, which writes them back: refused where they were given away.
    for (const { name, shape } of parameters) weights.of(name, sizeOf(shape))
    if (version !== weights.version) device.weights.set(upload(weights.values))
    version = weights.version
    return device.weights.get()
  }

  return {
    use(slice) {
      const full = tf.slice(currentWeights(), offsets.get(slice.name)!, sizeOf(slice.fullShape))
      const [taps, cin, cout] = matrixShape(slice)
      const matrices = tf.reshape<tf.Rank.R3>(full, [taps, cin, cout])
      const rows = slice.in ? takeRuns(matrices, 1, slice.in) : matrices
      return tf.reshape(takeRuns(rows, 2, slice.out), [...slice.shape])
    },
    addGradients(gradients) {
      tf.tidy(() => {
        const found = new Map(gradients.map((one) => [one.slice.name, one]))
        const flat = parameters.map(({ name, shape }) => {
          const one = found.get(name)
          if (!one) return tf.zeros([sizeOf(shape)])
          return tf.reshape(toFullSize(one), [sizeOf(shape)])
        })
        device.gradients.set(tf.add(device.gradients.get(), tf.concat(flat)))
      })
    },
    gradients: () => download(device.gradients.get(), host.gradients),
    setGradients: (gradients) => device.gradients.set(upload(gradients)),
    velocities() {
      if (!velocitiesShared) download(device.velocities.get(), host.velocities)
      velocitiesShared = true
      return host.velocities
    },
    async step({ learningRate, clipNorm }) {
      const gradientNorm = tf.tidy(() => {
        const old = currentWeights()
        if (velocitiesShared) device.velocities.set(upload(host.velocities))
        velocitiesShared = false
        const sum = device.gradients.get()
        const norm = Math.sqrt(tf.sum(tf.square(sum)).dataSync()[0]!)
        const factor = clipNorm !== undefined && norm > clipNorm ? clipNorm / norm : 1
        const gradient = tf.add<tf.Tensor1D>(tf.mul(sum, factor), tf.mul(device.decay.get(), old))
        const velocity = tf.add<tf.Tensor1D>(tf.mul(device.velocities.get(), momentum), gradient)
        const direction = nesterov ? tf.add(gradient, tf.mul(velocity, momentum)) : velocity
        device.weights.set(tf.sub(old, tf.mul(direction, learningRate)))
        device.velocities.set(velocity)
        device.gradients.set(tf.zeros([total]))
        return norm
      })
      download(device.weights.get(), weights.values)
      weights.touch()
      version = weights.version
      return { gradientNorm }
    },
    dispose() {
      for (const vector of Object.values(device)) vector.dispose()
    },
  }
}

/** A vector on the device that outlives tidies; setting it frees the one before. */
class DeviceVector {
  #tensor: tf.Tensor1D | undefined

  get(): tf.Tensor1D {
    return this.#tensor!
  }

  set(tensor: tf.Tensor1D): void {
    this.#tensor?.dispose()
    this.#tensor = tf.keep(tensor)
  }

  dispose(): void {
    this.#tensor?.dispose()
    this.#tensor = undefined
  }
}

/** [taps, cin, cout] of the full-size parameter, with one input where it has no such axis. */
function matrixShape({ fullShape, in: inputs }: ParameterSlice): [number, number, number] {
  const cout = fullShape.at(-1)!
  const cin = inputs ? fullShape.at(-2)! : 1
  return [sizeOf(fullShape) / (cin * cout), cin, cout]
}

function takeRuns(x: tf.Tensor3D, axis: 1 | 2, runs: readonly ChannelSlice[]): tf.Tensor3D {
  const parts = runs.map(({ start, count }) => {
    const begin = [0, 0, 0]
    begin[axis] = start
    const size: number[] = [...x.shape]
    size[axis] = count
    return tf.slice(x, begin as [number, number, number], size as [number, number, number])
  })
  return parts.length === 1 ? parts[0]! : tf.concat(parts, axis)
}

/** The transpose of taking a slice: its values at their places, zeros elsewhere; [taps, cin, cout]. */
function toFullSize({ slice, gradient }: SliceGradient): tf.Tensor3D {
  const [taps, cin, cout] = matrixShape(slice)
  const used = tf.reshape<tf.Rank.R3>(gradient, [taps, -1, slice.shape.at(-1)!])
  const rows = putRuns(used, 2, slice.out, cout)
  return slice.in ? putRuns(rows, 1, slice.in, cin) : rows
}

function putRuns(x: tf.Tensor3D, axis: 1 | 2, runs: readonly ChannelSlice[], full: number): tf.Tensor3D {
  let [taken, written] = [0, 0]
  const parts = runs.map(({ start, count }, i) => {
    const part = takeRuns(x, axis, [{ start: taken, count }])
    const before = start - written
    taken += count
    written = start + count
    const after = i === runs.length - 1 ? full - written : 0
    const border: [number, number][] = [
      [0, 0],
      [0, 0],
      [0, 0],
    ]
    border[axis] = [before, after]
    return before + after === 0 ? part : tf.pad(part, border)
  })
  return parts.length === 1 ? parts[0]! : tf.concat(parts, axis)
}
