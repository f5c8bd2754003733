/** The tensors of a run as files: weights at full size, and the batch-norm statistics of one configuration. */
import { createHash } from 'node:crypto'
import { asHalves } from '../checkpoints/half.ts'
import {
  readSafetensors,
  type SafetensorsTensor,
  toFloat32,
  writeSafetensors,
} from '../checkpoints/safetensors.ts'
import { MnVideoError, messageOf } from '../errors.ts'
import type { Network } from '../network/graph.ts'
import type { SubNetwork } from '../network/resolve.ts'
import {
  type BatchNormStatistics,
  initialStatistics,
  ParameterStore,
  parametersOf,
} from '../network/store.ts'

/** @returns what identifies the weights: accuracies and statistics belong to one set of weights */
export async function writeWeights(path: string, network: Network, weights: ParameterStore): Promise<string> {
  const hash = createHash('sha256')
  const tensors = new Map<string, SafetensorsTensor>()
  for (const { name, shape } of parametersOf(network)) {
    const data = weights.values.get(name)!
    hash.update(name).update(data)
    tensors.set(name, { dtype: 'F32', shape, data })
  }
  const id = hash.digest('hex').slice(0, 16)
  await writeSafetensors(path, tensors, {
    format: 'mn-video',
    network: network.name,
    layout: 'channels last',
    id,
  })
  return id
}

/** @throws MnVideoError `weights` when the file is damaged or another network's */
export async function readWeights(
  path: string,
  network: Network,
): Promise<{ readonly weights: ParameterStore; readonly id: string }> {
  const { tensors, metadata } = await readSafetensors(path)
  const values = new Map(
    [...tensors].map(([name, tensor]) => [name, finite(toFloat32(tensor, path), name, path)]),
  )
  try {
    return { weights: new ParameterStore(network, values), id: metadata.id ?? '' }
  } catch (error) {
    throw new MnVideoError('weights', `${path}: ${messageOf(error)}`)
  }
}

/** A network with one value that is no number answers nonsense, so none is taken. */
function finite(values: Float32Array, name: string, path: string): Float32Array {
  if (values.every(Number.isFinite)) return values
  throw new MnVideoError(
    'weights',
    `${path}: "${name}" has values that are not numbers. The file is damaged; copy or create it again.`,
  )
}

/**
 * Writes statistics, in half precision where that loses nothing (`calibrate` rounds to it) and it halves the file.
 *
 * @param weights what identifies the weights that the statistics belong to
 */
export async function writeStatistics(
  path: string,
  statistics: BatchNormStatistics,
  weights: string | undefined,
): Promise<void> {
  const vector = (data: Float32Array): SafetensorsTensor => {
    const shape = [data.length]
    const halves = asHalves(data)
    return halves ? { dtype: 'F16', shape, data: halves } : { dtype: 'F32', shape, data }
  }
  const tensors = [...statistics].flatMap(([name, { mean, variance }]) => [
    [`${name}.running_mean`, vector(mean)] as const,
    [`${name}.running_var`, vector(variance)] as const,
  ])
  await writeSafetensors(path, new Map(tensors), {
    format: 'mn-video batch-norm statistics',
    ...(weights !== undefined && { weights }),
  })
}

/** What identifies the weights that statistics belong to; undefined where the file does not say, or is damaged. */
export const weightsOfStatistics = (path: string): Promise<string | undefined> =>
  readSafetensors(path).then(
    ({ metadata }) => metadata.weights,
    () => undefined,
  )

/** @throws MnVideoError `weights` when the file is damaged or another configuration's */
export async function readStatisticsFile(
  path: string,
  subNetwork: SubNetwork,
): Promise<{ readonly statistics: BatchNormStatistics; readonly weights?: string }> {
  const { tensors, metadata } = await readSafetensors(path)
  const statistics = new Map(
    [...initialStatistics(subNetwork)].map(([name, { mean }]) => {
      const read = (suffix: string) => {
        const tensor = tensors.get(`${name}.${suffix}`)
        if (tensor?.data.length === mean.length) return finite(toFloat32(tensor, path), name, path)
        throw new MnVideoError(
          'weights',
          `${path}: "${name}.${suffix}" must have ${mean.length} values. Calibrate the run again.`,
        )
      }
      return [name, { mean: read('running_mean'), variance: read('running_var') }]
    }),
  )
  return { statistics, ...(metadata.weights !== undefined && { weights: metadata.weights }) }
}
