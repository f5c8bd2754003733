/** Checks and prepares the inputs of a run; the same for every engine. */
import { MnVideoError } from '../errors.ts'
import { peakActivations } from '../network/profile.ts'
import { isKind, type SubNetwork } from '../network/resolve.ts'
import type { CompileOptions, FrameBatch, Inputs, Normalisation } from './engine.ts'

/**
 * The common batch size of the inputs.
 *
 * @throws MnVideoError `engine` naming the input that is missing or has the wrong shape.
 */
export function checkInputs(subNetwork: SubNetwork, inputs: Inputs): number {
  let batch: number | undefined
  for (const resolved of subNetwork.nodes) {
    if (!isKind(resolved, 'input')) continue
    const { name } = resolved.node
    const given = inputs[name]
    if (!given) throw new MnVideoError('engine', `${subNetwork.network.name}: input "${name}" is missing.`)
    const { frames, height, width } = resolved.shape
    batch ??= given.batch
    const asked = `${batch || 'BATCH'}×${frames}×${height}×${width}×3`
    const got = `${given.batch}×${given.frames}×${given.height}×${given.width}×3`
    const values = given.batch * given.frames * given.height * given.width * 3
    if (got !== asked || given.data.length !== values || given.batch < 1) {
      throw new MnVideoError(
        'engine',
        `${subNetwork.network.name}: input "${name}" must be ${asked} values, not ${got} (${given.data.length} given).`,
      )
    }
  }
  return batch!
}

/** @throws MnVideoError `cancelled` when the signal asks to end the run. */
export function checkSignal(subNetwork: SubNetwork, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled(subNetwork, signal)
}

/** What a run that its caller's signal ends fails with; the signal's reason is its cause. */
export function cancelled({ network }: SubNetwork, signal: AbortSignal): MnVideoError {
  return new MnVideoError('cancelled', `${network.name}: the run was cancelled by its signal.`, {
    cause: signal.reason,
  })
}

/** @throws MnVideoError `engine` when a node to observe is not in the network. */
export function checkObserved(subNetwork: SubNetwork, observe: readonly string[]): void {
  const unknown = observe.find((name) => !subNetwork.nodes.some(({ node }) => node.name === name))
  if (unknown === undefined) return
  throw new MnVideoError('engine', `${subNetwork.network.name}: there is no node "${unknown}" to observe.`)
}

/** @throws MnVideoError `engine` when a run would need more memory than the engine has: some cannot recover from that. */
export function checkMemory(subNetwork: SubNetwork, batch: number, limit: number): void {
  const bytes = 4 * batch * peakActivations(subNetwork)
  if (bytes <= limit) return
  const { width, frames, size } = subNetwork.configuration
  const gib = (value: number) => (value / 2 ** 30).toFixed(2)
  throw new MnVideoError(
    'engine',
    `${subNetwork.network.name} at width ${width}, frames ${frames}, size ${size}, batch ${batch} needs about ${gib(bytes)} GiB; ` +
      `this engine has ${gib(limit)} GiB. Give a smaller size or batch, or fewer frames.`,
  )
}

/** @throws MnVideoError `engine` when batch-norm statistics are missing or belong to another width. */
export function checkStatistics(subNetwork: SubNetwork, statistics: CompileOptions['statistics']): void {
  if (statistics === 'batch') return
  for (const { node, shape } of subNetwork.nodes) {
    if (node.kind !== 'batchNorm') continue
    const found = statistics.get(node.name)
    if (found?.mean.length === shape.channels && found.variance.length === shape.channels) continue
    throw new MnVideoError(
      'engine',
      `${subNetwork.network.name}: batch norm "${node.name}" needs statistics of ${shape.channels} channels at width ${subNetwork.configuration.width}, ` +
        `${found ? `not of ${found.mean.length}` : 'but has none'}. Every configuration needs its own.`,
    )
  }
}

/** The values of a batch as floats: normalised when they are bytes. */
export function toFloats({ data }: FrameBatch, normalisation: Normalisation | undefined): Float32Array {
  if (data instanceof Float32Array) return data
  if (!normalisation) {
    throw new MnVideoError('engine', 'byte inputs need the mean and std to normalise them with.')
  }
  const tables = [0, 1, 2].map((channel) =>
    Float32Array.from(
      { length: 256 },
      (_, byte) => (byte / 255 - normalisation.mean[channel]!) / normalisation.std[channel]!,
    ),
  ) as [Float32Array, Float32Array, Float32Array]
  const floats = new Float32Array(data.length)
  for (let i = 0; i < data.length; i += 3) {
    floats[i] = tables[0][data[i]!]!
    floats[i + 1] = tables[1][data[i + 1]!]!
    floats[i + 2] = tables[2][data[i + 2]!]!
  }
  return floats
}
