/** The samples of a data set for evaluation: in order, each decoded once, ahead of its use. */
import type { Config } from '../../config/index.ts'
import type { Views } from '../../config/views.ts'
import { MnVideoError, orMediaError, throwIfCancelled } from '../../errors.ts'
import type { FrameBatch } from '../../frames/batch.ts'
import { clipFrames, type Network } from '../../network/graph.ts'
import { type ClipJob, decodeClips } from '../../video/decode-many.ts'
import type { Dataset } from '../sets/dataset.ts'
import { createFrameIndexes, type FrameIndexes } from './frame-indexes.ts'
import { inOrder } from './prefetch.ts'
import { asBatch, imageTestClip, testViewsRequest, videoTestClips } from './test-clips.ts'

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

/** What waits decoded may take this many bytes, or one group of samples where that is more. */
const AHEAD_BYTES = 2 ** 29
/** Videos that one process decodes, where their views take no more than this many bytes. */
const TOGETHER = { videos: 8, bytes: 2 ** 27 } as const

/**
 * Decodes samples as `eval` decodes the same files, in order. Leaving the loop ends all decoding.
 *
 * @throws `cancelled` when the signal ends it; MnVideoError 'missing' without FFmpeg
 */
export async function* evaluationClips(
  dataset: Dataset,
  network: Network,
  config: Config,
  request: EvaluationRequest,
): AsyncGenerator<EvaluationSample | UnreadableSample, void, undefined> {
  const { size, views, from = 0, signal: outer } = request
  const clips = network.media === 'video' ? views.temporal * views.spatial : 1
  const sampleBytes = clips * clipFrames(network) * Math.max(size, network.size) ** 2 * 3
  const canShare = network.media === 'video' && views.spatial === 1
  const group = canShare
    ? Math.max(1, Math.min(TOGETHER.videos, Math.floor(TOGETHER.bytes / sampleBytes)))
    : 1
  const workers = Math.max(1, config.data_loader_workers)
  const ahead = Math.max(1, Math.min(2 * workers, Math.floor(AHEAD_BYTES / (group * sampleBytes))))
  const decode = testDecoder(dataset, network, config, request)
  const count = Math.max(0, dataset.size - from)
  const groups = inOrder(
    Math.ceil(count / group),
    (i, signal) => {
      const first = from + i * group
      return decode(
        Array.from({ length: Math.min(group, dataset.size - first) }, (_, k) => first + k),
        signal,
      )
    },
    { atOnce: Math.min(workers, ahead), ahead, ...(outer && { signal: outer }) },
  )
  for await (const samples of groups) yield* samples
}

type Evaluated = EvaluationSample | UnreadableSample

/** From samples to their test views. */
function testDecoder(
  dataset: Dataset,
  network: Network,
  config: Config,
  { size, views, indexes = createFrameIndexes() }: EvaluationRequest,
) {
  const evaluated = (sample: number, clips: readonly FrameBatch[] | MnVideoError): Evaluated => {
    const label = dataset.label(sample)
    return clips instanceof MnVideoError ? { sample, label, error: clips } : { sample, label, clips }
  }
  const whole = clipFrames(network)

  const alone = async (sample: number, signal: AbortSignal): Promise<readonly FrameBatch[]> => {
    const source = dataset.source(sample)
    if (network.media === 'image') return [await imageTestClip(source, network, config, size)]
    const path = dataset.name(sample)
    const index = await indexes.of(path, { signal })
    return videoTestClips(path, network, config, { size, views }, { signal, index })
  }

  const job = async (sample: number, signal: AbortSignal): Promise<ClipJob> => {
    const path = dataset.name(sample)
    const index = await indexes.of(path, { signal })
    return { path, index, request: testViewsRequest(network, config, { size, views }, index) }
  }

  return async (samples: readonly number[], signal: AbortSignal): Promise<Evaluated[]> => {
    throwIfCancelled(signal)
    const [first] = samples
    if (samples.length === 1) return [evaluated(first!, await orMediaError(alone(first!, signal)))]
    const jobs: (ClipJob | MnVideoError)[] = []
    for (const sample of samples) jobs.push(await orMediaError(job(sample, signal)))
    const decoded = await decodeClips(jobs, { signal })
    return samples.map((sample, i) => {
      const clip = decoded[i]!
      return evaluated(sample, clip instanceof MnVideoError ? clip : splitClip(asBatch(clip), whole))
    })
  }
}

/** A long clip as clips of so many frames. */
function splitClip({ data, frames, height, width }: FrameBatch, each: number): FrameBatch[] {
  const values = each * height * width * 3
  return Array.from({ length: frames / each }, (_, k) => ({
    data: data.subarray(k * values, (k + 1) * values),
    batch: 1,
    frames: each,
    height,
    width,
  }))
}
