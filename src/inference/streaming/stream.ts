/** Answers about frames that a caller's own capture code brings. */
import { clipSpan, testPicture } from '../../data/loading/test-clips.ts'
import { MnVideoError } from '../../errors.ts'
import { layOutPicture, type Size } from '../../frames/geometry.ts'
import { createScaler } from '../../frames/scale.ts'
import * as option from '../../options.ts'
import { checkOptions, type OptionTable } from '../../options.ts'
import { clipSeconds } from '../../video/sampling.ts'
import type { Model } from '../model.ts'
import { Answers, type Happened, largest } from './answers.ts'
import {
  type CostOptions,
  candidatesOf,
  deadlineOf,
  everyFrom0,
  milliseconds,
  readyOf,
} from './candidates.ts'
import { Channel } from './channel.ts'
import { type SpanThresholds, spanOptions } from './spans.ts'

export interface StreamOptions extends CostOptions, SpanThresholds {
  /** Frames a second of those without a time of their own. */
  readonly fps: number
  /** Milliseconds from one answer to the next; half a clip by default. */
  readonly every?: number
  /** Whether spans are told as well. */
  readonly spans?: boolean
  /** Whether `set` will be called: frames are then kept at the largest size of the query table, and resized. */
  readonly changes?: boolean
  readonly signal?: AbortSignal
}

const COST_OPTIONS: OptionTable<CostOptions> = {
  ...{ budget: option.any, deadline: option.any, share: option.any },
}

const OPTIONS: OptionTable<StreamOptions> = {
  ...COST_OPTIONS,
  ...{ fps: option.any, every: option.any },
  ...{ spans: option.flag, minScore: option.any, minLength: option.any, background: option.text },
  ...{ changes: option.flag, signal: option.signal },
}

/** A picture, 8-bit RGB [height, width, 3]. */
export interface CapturedFrame extends Size {
  readonly data: Uint8Array
  /** Seconds, more than those of the frame before; by the rate where left out. */
  readonly time?: number
}

export interface FrameStream extends AsyncIterableIterator<Happened> {
  /**
   * Takes a frame; it is scaled and cropped at once, and the caller's again. Nothing waits: what is not taken in time is told
   * as skipped.
   *
   * @throws MnVideoError `usage` for a frame of another kind
   */
  push(frame: CapturedFrame): void
  /**
   * Another budget or deadline from the next answer on. Only with `changes`.
   *
   * @throws MnVideoError `usage`, `budget`; then what was before stays
   */
  set(cost: CostOptions): Promise<void>
  /** Nothing follows: the loop ends after what is under way. */
  end(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const MOST_WAITING = 10_000

/** Opens a stream of frames: see `Model.stream`. */
export async function openStream(model: Model, options: StreamOptions): Promise<FrameStream> {
  checkOptions('stream', options, OPTIONS)
  const { network, config } = model
  if (network.media !== 'video')
    throw new MnVideoError(
      'usage',
      `${model.folder} is ${network.name}, which classifies images: it takes no stream.`,
    )
  const { fps } = options
  if (!(typeof fps === 'number' && fps > 0 && fps <= 1000))
    throw new MnVideoError('usage', `fps must be frames a second, above 0 and at most 1000, not ${fps}.`)
  const every = milliseconds('every', options.every ?? 500 * clipSeconds(clipSpan(network, config))) / 1000
  const deadline = deadlineOf(options, every)
  const spans = options.spans ? spanOptions(model, options) : undefined
  const candidates = await candidatesOf(model, options)
  const others = options.changes ? readyOf(model) : []
  const events = new Channel<Happened>(MOST_WAITING, () => void answers.stop())
  const answers = new Answers(model, {
    ...{ candidates, others, deadline, spans, waits: false, frame: 1 / fps, starts: everyFrom0(every) },
    tell: (event) => events.push(event),
    fail: (error) => events.close({ error }),
  })
  const { side, ...picture } = testPicture(network, config, largest([...candidates, ...others]))
  const request = { ...picture, crop: { size: side, position: 'centre' as const } }
  const pixels = new Uint8Array(side * side * 3)
  let scale: { readonly size: Size; readonly into: ReturnType<typeof createScaler> } | undefined
  let [next, isOver] = [0, false]
  const stop = async () => {
    isOver = true
    await answers.stop()
    events.close()
  }
  options.signal?.addEventListener('abort', () => void stop(), { once: true })
  if (options.signal?.aborted) await stop()

  const stream: FrameStream = {
    push({ data, width, height, time = next }) {
      if (isOver) return
      if (!(data instanceof Uint8Array) || data.length !== width * height * 3)
        throw new MnVideoError(
          'usage',
          `a frame must be ${width}x${height} RGB bytes, ${width * height * 3}, not ${data?.length}.`,
        )
      if (!Number.isFinite(time) || time < next - 1 / fps)
        throw new MnVideoError('usage', `a frame's time must be seconds after the one before, not ${time}.`)
      if (scale?.size.width !== width || scale.size.height !== height)
        scale = {
          size: { width, height },
          into: createScaler(layOutPicture('frame', { width, height }, request)),
        }
      scale.into(data, pixels)
      next = time + 1 / fps
      void answers.push(time, pixels)
    },
    async set(cost) {
      if (!options.changes)
        throw new MnVideoError('usage', 'the stream was opened without changes: true; nothing can be set.')
      checkOptions('set', cost, COST_OPTIONS)
      const deadline = deadlineOf(cost, every)
      answers.change(await candidatesOf(model, cost), deadline)
    },
    async end() {
      if (isOver) return
      isOver = true
      await answers.end()
      events.close()
    },
    next: () => events.next(),
    async return() {
      await stop()
      return events.return()
    },
    [Symbol.asyncIterator]: () => stream,
    [Symbol.asyncDispose]: stop,
  }
  return stream
}
