/**
 * Batches for training: samples in shuffled order, decoded and augmented ahead of their use, with what cannot be
 * read replaced. Evaluation reads through `evaluation-clips.ts`.
 */
import type { Config } from '../../config/index.ts'
import { MnVideoError, orMediaError, throwIfCancelled } from '../../errors.ts'
import type { FrameBatch } from '../../frames/batch.ts'
import { decodeImageRegion } from '../../image/decode.ts'
import { clipFrames, type Network } from '../../network/graph.ts'
import type { Random } from '../../network/random.ts'
import { type ClipJob, decodeClips } from '../../video/decode-many.ts'
import type { Dataset } from '../sets/dataset.ts'
import { trackBadFiles } from './bad-files.ts'
import { createDecodedVideos } from './decoded-videos.ts'
import { createFrameIndexes, type FrameIndexes } from './frame-indexes.ts'
import { inOrder } from './prefetch.ts'
import { randomAt, shuffled } from './streams.ts'
import { asBatch, clipSpan } from './test-clips.ts'
import { cropPadded, drawRegion, drawTrainingClip, jitterColours } from './transforms.ts'

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
   * @param shard of the batches from there on, which are wanted; default: all of them. Shards of one count have each batch
   *   once between them, and each decodes its own alone
   * @throws MnVideoError 'data' when too many samples cannot be read; `cancelled` when the signal ends it
   */
  epoch(epoch: number, from?: number, shard?: Shard): AsyncGenerator<Batch, void, undefined>
  /** Why samples could not be read, by name, each once. */
  readonly bad: ReadonlyMap<string, string>
}

/** Every `count`th batch, beginning with the one at `index`, from 0. */
export interface Shard {
  readonly index: number
  readonly count: number
}

const WHOLE: Shard = { index: 0, count: 1 }

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
/** Samples of one job: videos are decoded several at a time by one process, whose start costs as much as a clip. */
const TOGETHER = { video: 8, image: 1 } as const
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
  const clipBytes = clipFrames(network) * config.image_size ** 2 * 3
  const aheadSamples = Math.min(
    AHEAD_BATCHES * batchSize,
    Math.max(batchSize, Math.floor(AHEAD_BYTES / clipBytes)),
  )
  // Fewer together in a small batch, so that its parts are decoded side by side.
  const group = Math.min(TOGETHER[network.media], Math.max(1, Math.floor(batchSize / 2)))
  const ahead = Math.max(1, Math.floor(aheadSamples / group))

  /** The samples at some places of an epoch, or what stands in for them. */
  const readSamples = async (
    epoch: number,
    wanted: readonly Wanted[],
    ending: AbortSignal,
  ): Promise<Sample[]> => {
    const attempts = wanted.map(() => new Set<number>())
    const chosen = wanted.map(({ sample }) => sample)
    const found: (Sample | undefined)[] = wanted.map(() => undefined)
    for (;;) {
      const open = [...wanted.keys()].filter((i) => found[i] === undefined)
      if (open.length === 0) return found as Sample[]
      // What is known to be bad is not tried again; the outcome is the same as if it were.
      const untried = open.filter((i) => !bad.reasons.has(dataset.name(chosen[i]!)))
      const decoded = await decode(
        untried.map((i) => ({
          source: dataset.source(chosen[i]!),
          random: randomAt(seed, STREAM.sample, epoch, wanted[i]!.place, attempts[i]!.size),
        })),
        ending,
      )
      for (const [k, i] of untried.entries()) {
        const [sample, clip] = [chosen[i]!, decoded[k]!]
        if (clip instanceof MnVideoError) await bad.add(dataset.name(sample), clip.message)
        else {
          bad.good()
          found[i] = { clip, sample, label: dataset.label(sample) }
        }
      }
      for (const i of open) {
        if (found[i]) continue
        const tried = attempts[i]!.add(chosen[i]!)
        const { place, sample } = wanted[i]!
        const random = randomAt(seed, STREAM.replacement, epoch, place, tried.size)
        const other = drawReplacement(random, dataset, dataset.label(sample), tried)
        if (other === undefined) {
          throw new MnVideoError(
            'data',
            `${dataset.origin}: none of the ${dataset.size} samples can be read.`,
          )
        }
        chosen[i] = other
      }
    }
  }

  return {
    batchesPerEpoch,
    bad: bad.reasons,
    async *epoch(epoch, from = 0, { index, count } = WHOLE) {
      const order = shuffled(dataset.size, randomAt(seed, STREAM.order, epoch)).subarray(0, perEpoch)
      const wanted: Wanted[] = []
      for (let batch = from + index; batch < batchesPerEpoch; batch += count) {
        const first = batch * batchSize
        order.subarray(first, first + batchSize).forEach((sample, i) => {
          wanted.push({ place: first + i, sample })
        })
      }
      const groups = inOrder(
        Math.ceil(wanted.length / group),
        (i, ending) => readSamples(epoch, wanted.slice(i * group, (i + 1) * group), ending),
        { atOnce: Math.max(1, config.data_loader_workers), ahead, ...(signal && { signal }) },
      )
      try {
        let waiting: Sample[] = []
        for await (const samples of groups) {
          waiting.push(...samples)
          while (waiting.length >= batchSize) {
            yield toBatch(waiting.slice(0, batchSize))
            waiting = waiting.slice(batchSize)
          }
        }
        if (waiting.length > 0) yield toBatch(waiting)
      } finally {
        await groups.return()
      }
    },
  }
}

/** Which sample stands at a place of an epoch. */
interface Wanted {
  readonly place: number
  readonly sample: number
}

interface Sample {
  readonly clip: FrameBatch
  readonly sample: number
  readonly label: number
}

/** Samples side by side. */
function toBatch(samples: readonly Sample[]): Batch {
  const { frames, height, width } = samples[0]!.clip
  const values = frames * height * width * 3
  const data = new Uint8Array(samples.length * values)
  for (const [i, { clip }] of samples.entries()) data.set(clip.data, i * values)
  return {
    clips: { data, batch: samples.length, frames, height, width },
    labels: Int32Array.from(samples, ({ label }) => label),
    samples: samples.map(({ sample }) => sample),
  }
}

/** What to decode, and where its augmentation comes from. */
interface Drawn {
  readonly source: ReturnType<Dataset['source']>
  readonly random: Random
}

type Decoded = FrameBatch | MnVideoError

/** From samples' sources to their augmented pixels, or why there are none. */
function trainingDecoder(dataset: Dataset, network: Network, config: Config, indexes: FrameIndexes) {
  const span = clipSpan(network, config)
  const videos =
    config.cache_gib > 0
      ? createDecodedVideos(config.train_short_side[1], config.cache_gib * 2 ** 30, dataset.size)
      : undefined

  const image = async ({ source, random }: Drawn): Promise<FrameBatch> => {
    if (!('path' in source)) return cropPadded(random, source, config)
    const clip = await decodeImageRegion(source.path, (native) => drawRegion(random, native, config))
    jitterColours(random, clip.data)
    return asBatch(clip)
  }

  const job = async ({ source, random }: Drawn, signal: AbortSignal): Promise<ClipJob> => {
    if (!('path' in source)) throw new Error('a video in memory')
    const index = await indexes.of(source.path, { signal })
    const { width, height } = index.info
    const request = drawTrainingClip(random, { width, height, duration: index.duration }, span, config)
    return { path: source.path, request, index }
  }

  return async (drawn: readonly Drawn[], signal: AbortSignal): Promise<Decoded[]> => {
    throwIfCancelled(signal)
    const decoded: Decoded[] = []
    if (network.media === 'image') {
      for (const each of drawn) decoded.push(await orMediaError(image(each)))
      return decoded
    }
    // One index after the other: how many processes run at once is for the caller to say.
    const jobs: (ClipJob | MnVideoError)[] = []
    for (const each of drawn) jobs.push(await orMediaError(job(each, signal)))
    if (videos) return videos.cut(jobs, { signal })
    const clips = await decodeClips(jobs, { signal })
    return clips.map((clip) => (clip instanceof MnVideoError ? clip : asBatch(clip)))
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
