/**
 * Batches for training: samples in shuffled order, decoded and augmented ahead of their use, with what cannot be
 * read replaced. Evaluation reads through `evaluation-clips.ts`.
 */
import type { Config } from '../config/index.ts'
import type { FrameBatch } from '../engines/engine.ts'
import { MnVideoError } from '../errors.ts'
import { decodeImageRegion } from '../image/decode.ts'
import type { Network } from '../network/graph.ts'
import type { Random } from '../network/random.ts'
import { decodeClip } from '../video/decode.ts'
import { trackBadFiles } from './bad-files.ts'
import type { Dataset } from './dataset.ts'
import { createDecodedVideos, cutClip } from './decoded-videos.ts'
import { createFrameIndexes, type FrameIndexes } from './frame-indexes.ts'
import { inOrder } from './prefetch.ts'
import { randomAt, shuffled } from './streams.ts'
import { cropPadded, drawRegion, drawTrainingClip, jitterColours } from './transforms.ts'
import { asBatch, clipSpan } from './views.ts'

export interface Batch {
  /** Bytes [batch, T, S, S, 3]: whole clips, of the frames that the network's largest input takes; images have T = 1. */
  readonly clips: FrameBatch
  readonly labels: Int32Array
  /** Which samples of the data set they are, for messages. */
  readonly samples: readonly number[]
}

export interface TrainingLoader {
  /** At least one; the last is smaller where the samples run out, unless `drop_last`. */
  readonly batchesPerEpoch: number
  /**
   * The batches of one epoch in its own shuffled order, from one of them on, decoded ahead in bounded memory. All that
   * is random follows from the seed, the epoch and the place in it: batches are the same bit for bit from whichever
   * one the epoch is begun and in whatever order decoding finishes. Epochs may be negative: other orders again, such
   * as for calibration. Leaving the loop ends all decoding.
   *
   * @throws MnVideoError 'data' when too many samples cannot be read; the signal's reason on abort
   */
  epoch(epoch: number, from?: number): AsyncGenerator<Batch, void, undefined>
  /** Why samples could not be read, by name, each once. */
  readonly bad: ReadonlyMap<string, string>
}

export interface TrainingLoaderOptions {
  readonly signal?: AbortSignal
  /** Told of each sample that cannot be read, once. */
  readonly onBad?: (file: string, reason: string) => void
  /** Frame indexes to share with other loaders. */
  readonly indexes?: FrameIndexes
}

/** What waits decoded may take this many bytes, or one batch where that is more. */
const AHEAD_BYTES = 2 ** 29
/** And never more batches than this. */
const AHEAD_BATCHES = 3
/** Replacements from the class of the bad sample before any other sample will do. */
const SAME_CLASS = 4

/** What random numbers are for, so that no two uses share a stream. */
const STREAM = { order: 1, sample: 2, replacement: 3 } as const

export function openTrainingLoader(
  dataset: Dataset,
  network: Network,
  config: Config,
  { signal, onBad, indexes = createFrameIndexes() }: TrainingLoaderOptions = {},
): TrainingLoader {
  const { batch_size: batchSize, random_seed: seed } = config
  const whole = Math.floor(dataset.size / batchSize)
  const batchesPerEpoch = Math.max(1, config.drop_last ? whole : Math.ceil(dataset.size / batchSize))
  const perEpoch = Math.min(dataset.size, batchesPerEpoch * batchSize)
  const bad = trackBadFiles(dataset, config.max_bad_fraction, onBad)
  const decode = trainingDecoder(dataset, network, config, indexes)
  const clipBytes = network.frames * config.alpha * config.image_size ** 2 * 3

  /** The sample at a place of an epoch, or what stands in for it. */
  const readSample = async (epoch: number, place: number, wanted: number, ending: AbortSignal) => {
    const tried = new Set<number>()
    for (let sample = wanted; ; ) {
      const name = dataset.name(sample)
      // What is known to be bad is not tried again; the outcome is the same as if it were.
      if (!bad.reasons.has(name)) {
        try {
          const random = randomAt(seed, STREAM.sample, epoch, place, tried.size)
          const clip = await decode(dataset.source(sample), random, ending)
          bad.good()
          return { clip, sample, label: dataset.label(sample) }
        } catch (error) {
          if (!(error instanceof MnVideoError && error.code === 'media')) throw error
          await bad.add(name, error.message)
        }
      }
      tried.add(sample)
      const random = randomAt(seed, STREAM.replacement, epoch, place, tried.size)
      const other = drawReplacement(random, dataset, dataset.label(wanted), tried)
      if (other === undefined) {
        throw new MnVideoError('data', `${dataset.origin}: none of the ${dataset.size} samples can be read.`)
      }
      sample = other
    }
  }

  return {
    batchesPerEpoch,
    bad: bad.reasons,
    async *epoch(epoch, from = 0) {
      const order = shuffled(dataset.size, randomAt(seed, STREAM.order, epoch)).subarray(0, perEpoch)
      const first = from * batchSize
      const samples = inOrder(
        Math.max(0, perEpoch - first),
        (i, ending) => readSample(epoch, first + i, order[first + i]!, ending),
        {
          atOnce: Math.max(1, config.data_loader_workers),
          ahead: Math.min(
            AHEAD_BATCHES * batchSize,
            Math.max(batchSize, Math.floor(AHEAD_BYTES / clipBytes)),
          ),
          ...(signal && { signal }),
        },
      )
      try {
        for (let begin = first; begin < perEpoch; begin += batchSize) {
          yield await collect(samples, Math.min(batchSize, perEpoch - begin))
        }
      } finally {
        await samples.return()
      }
    },
  }
}

interface Sample {
  readonly clip: FrameBatch
  readonly sample: number
  readonly label: number
}

/** The next samples, copied side by side. */
async function collect(source: AsyncGenerator<Sample, void, undefined>, count: number): Promise<Batch> {
  const labels = new Int32Array(count)
  const samples: number[] = []
  let data = new Uint8Array(0)
  let shape: FrameBatch | undefined
  for (let i = 0; i < count; i++) {
    const { value } = await source.next()
    if (!value) throw new Error('the samples of an epoch ended early')
    shape ??= value.clip
    if (i === 0) data = new Uint8Array(count * shape.data.length)
    data.set(value.clip.data, i * shape.data.length)
    labels[i] = value.label
    samples.push(value.sample)
  }
  const { frames, height, width } = shape!
  return { clips: { data, batch: count, frames, height, width }, labels, samples }
}

/** From a sample's source to its augmented pixels. */
function trainingDecoder(dataset: Dataset, network: Network, config: Config, indexes: FrameIndexes) {
  const span = clipSpan(network, config)
  const videos =
    config.cache_gib > 0
      ? createDecodedVideos(config.train_short_side[1], config.cache_gib * 2 ** 30, dataset.size)
      : undefined
  return async (
    source: ReturnType<Dataset['source']>,
    random: Random,
    signal: AbortSignal,
  ): Promise<FrameBatch> => {
    if (!('path' in source)) return cropPadded(random, source, config)
    if (network.media === 'image') {
      signal.throwIfAborted()
      const clip = await decodeImageRegion(source.path, (native) => drawRegion(random, native, config))
      jitterColours(random, clip.data)
      return asBatch(clip)
    }
    const index = await indexes.of(source.path, { signal })
    const { width, height } = index.info
    const request = drawTrainingClip(random, { width, height, duration: index.duration }, span, config)
    if (videos) return cutClip(await videos.of(source.path, index, { signal }), request)
    return asBatch(await decodeClip(source.path, request, { signal, index }))
  }
}

/** A sample not yet tried: of the same class while the class has any, then any. */
function drawReplacement(
  random: Random,
  dataset: Dataset,
  label: number,
  tried: ReadonlySet<number>,
): number | undefined {
  const others = tried.size <= SAME_CLASS ? dataset.indicesOf(label).filter((index) => !tried.has(index)) : []
  if (others.length > 0) return others[random.integer(others.length)]
  if (tried.size >= dataset.size) return undefined
  let index = random.integer(dataset.size)
  while (tried.has(index)) index = (index + 1) % dataset.size
  return index
}
