/**
 * The running statistics of batch norm in a checkpoint: a static network's are those of full width;
 * MutualNet's come in sets (`NODE.bn.INDEX.running_mean`), one for each width of its list.
 */
import type { Network } from '../../network/graph.ts'
import { resolve } from '../../network/resolve.ts'
import { type BatchNormStatistics, type ChannelStatistics, initialStatistics } from '../../network/store.ts'

/** Named vectors of the checkpoint, by our names. */
type Vectors = ReadonlyMap<string, Float32Array>

export interface WidthStatistics {
  readonly width: number
  readonly statistics: BatchNormStatistics
  /** The names they were read from. */
  readonly names: readonly string[]
  /** What the checkpoint lacks of them: a mean of 0 and a variance of 1 stand in. */
  readonly absent: readonly string[]
}

/**
 * The statistics of every width whose channel counts a set in the checkpoint has at every batch norm. A
 * static network's may lack some: a 2D one knows nothing of a fast pathway.
 *
 * @param widths those that a set may belong to; the full one first
 */
export function statisticsIn(
  network: Network,
  vectors: Vectors,
  widths: readonly number[],
): WidthStatistics[] {
  const sets = new Set<string>()
  for (const name of vectors.keys()) {
    const set = /\.(?:bn\.\d+\.)?(?=running_mean$)/.exec(name)
    if (set) sets.add(set[0])
  }
  const found: WidthStatistics[] = []
  for (const set of sets) {
    for (const width of set === STATIC ? [1] : widths) {
      if (found.some((other) => other.width === width)) continue
      const statistics = setAt(network, vectors, set, width)
      const fits = set === STATIC ? statistics.names.length > 0 : statistics.absent.length === 0
      if (!fits) continue
      found.push(statistics)
      break
    }
  }
  return found
}

/** The separator of a static network's statistics from their node. */
const STATIC = '.'

function setAt(network: Network, vectors: Vectors, set: string, width: number): WidthStatistics {
  const { frames, size } = network
  const names: string[] = []
  const absent: string[] = []
  const statistics = new Map<string, ChannelStatistics>()
  for (const [node, { mean, variance }] of initialStatistics(resolve(network, { width, frames, size }))) {
    const read = (part: string, standIn: Float32Array) => {
      // Where channels do not slim, MutualNet has one set for all widths.
      const name = [`${node}${set}${part}`, `${node}.${part}`].find((one) => vectors.has(one)) ?? ''
      const vector = vectors.get(name)
      const fits = vector?.length === standIn.length
      if (fits) names.push(name)
      else absent.push(`${node}${set}${part}`)
      return fits ? vector : standIn
    }
    statistics.set(node, { mean: read('running_mean', mean), variance: read('running_var', variance) })
  }
  return { width, statistics, names, absent }
}
