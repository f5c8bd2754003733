/**
 * The running statistics of batch norm in a checkpoint: a static network's are those of full width;
 * MutualNet's come in sets (`NODE.bn.INDEX.running_mean`), one for each width of its list.
 */
import type { Network } from '../../network/graph.ts'
import { resolve } from '../../network/resolve.ts'
import type { BatchNormStatistics, ChannelStatistics } from '../../network/store.ts'

/** Named vectors of the checkpoint, by our names. */
type Vectors = ReadonlyMap<string, Float32Array>

export interface WidthStatistics {
  readonly width: number
  readonly statistics: BatchNormStatistics
  /** The names they were read from. */
  readonly names: readonly string[]
}

/**
 * The statistics of every width whose channel counts a set in the checkpoint has at every batch norm.
 *
 * @param widths those that a set may belong to; the full one first
 */
export function statisticsIn(
  network: Network,
  vectors: Vectors,
  widths: readonly number[],
): WidthStatistics[] {
  const sets = new Set(['.'])
  for (const name of vectors.keys()) {
    const set = /\.bn\.\d+\.(?=running_mean$)/.exec(name)
    if (set) sets.add(set[0])
  }
  const found: WidthStatistics[] = []
  for (const set of sets) {
    for (const width of widths) {
      if (found.some((other) => other.width === width)) continue
      const statistics = setAt(network, vectors, set, width)
      if (!statistics) continue
      const names = [...statistics.keys()].flatMap((node) => [
        `${node}${set}running_mean`,
        `${node}${set}running_var`,
      ])
      found.push({ width, statistics, names })
      break
    }
  }
  return found
}

function setAt(
  network: Network,
  vectors: Vectors,
  set: string,
  width: number,
): BatchNormStatistics | undefined {
  const { frames, size } = network
  const statistics = new Map<string, ChannelStatistics>()
  for (const { node, shape } of resolve(network, { width, frames, size }).nodes) {
    if (node.kind !== 'batchNorm') continue
    const mean = vectors.get(`${node.name}${set}running_mean`)
    const variance = vectors.get(`${node.name}${set}running_var`)
    if (mean?.length !== shape.channels || variance?.length !== shape.channels) return undefined
    statistics.set(node.name, { mean, variance })
  }
  return statistics
}
