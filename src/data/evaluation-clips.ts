/** The samples of a data set for evaluation: in order, each decoded once, ahead of its use. */
import type { Config } from '../config/index.ts'
import type { FrameBatch } from '../engines/engine.ts'
import { MnVideoError } from '../errors.ts'
import type { Network } from '../network/graph.ts'
import type { Views } from '../video/sampling.ts'
import type { Dataset } from './dataset.ts'
import { createFrameIndexes, type FrameIndexes } from './frame-indexes.ts'
import { inOrder } from './prefetch.ts'
import { imageTestClip, videoTestClips } from './views.ts'

export interface EvaluationRequest {
  /** Pixels a side of the configuration's input. */
  readonly size: number
  /** Test views of a video. */
  readonly views: Views
  /** The sample to begin with; 0 by default. */
  readonly from?: number
  readonly signal?: AbortSignal
  /** Frame indexes to share with other passes over the same files. */
  readonly indexes?: FrameIndexes
}

export interface EvaluationSample {
  /** Its number in the data set. */
  readonly sample: number
  readonly label: number
  /** Whole clips, each a batch of one: the crops of the first temporal view, then of the next; an image has one. */
  readonly clips: readonly FrameBatch[]
}

/** A sample that cannot be read. */
export interface UnreadableSample {
  readonly sample: number
  readonly label: number
  readonly error: MnVideoError
}

/** What waits decoded may take this many bytes, or one sample where that is more. */
const AHEAD_BYTES = 2 ** 29

/**
 * Decodes samples as `eval` decodes the same files, in order. Leaving the loop ends all decoding.
 *
 * @throws the signal's reason on abort; MnVideoError 'missing' without FFmpeg
 */
export async function* evaluationClips(
  dataset: Dataset,
  network: Network,
  config: Config,
  { size, views, from = 0, signal: outer, indexes = createFrameIndexes() }: EvaluationRequest,
): AsyncGenerator<EvaluationSample | UnreadableSample, void, undefined> {
  const decode = async (sample: number, signal: AbortSignal): Promise<readonly FrameBatch[]> => {
    const source = dataset.source(sample)
    if (network.media === 'image') return [await imageTestClip(source, config, size)]
    if (!('path' in source)) throw new Error(`${dataset.name(sample)}: a video in memory`)
    const index = await indexes.of(source.path, { signal })
    return videoTestClips(source.path, network, config, { size, views }, { signal, index })
  }
  const read = async (sample: number, signal: AbortSignal) => {
    const label = dataset.label(sample)
    try {
      return { sample, label, clips: await decode(sample, signal) }
    } catch (error) {
      if (error instanceof MnVideoError && error.code === 'media') return { sample, label, error }
      throw error
    }
  }
  const clips = network.media === 'video' ? views.temporal * views.spatial : 1
  const sampleBytes = clips * network.frames * config.alpha * Math.max(size, network.size) ** 2 * 3
  const workers = Math.max(1, config.data_loader_workers)
  const ahead = Math.max(1, Math.min(8 * workers, Math.floor(AHEAD_BYTES / sampleBytes)))
  yield* inOrder(Math.max(0, dataset.size - from), (i, signal) => read(from + i, signal), {
    atOnce: Math.min(workers, ahead),
    ahead,
    ...(outer && { signal: outer }),
  })
}
