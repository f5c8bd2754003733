/** Watches a source as it goes on: answers by their deadlines, spans as they close, lost sources found again. */
import { clipSpan, testPicture } from '../../data/loading/test-clips.ts'
import { MnVideoError } from '../../errors.ts'
import type { PictureRequest } from '../../frames/geometry.ts'
import * as option from '../../options.ts'
import { checkOptions, type OptionTable } from '../../options.ts'
import { cachedFrameIndex } from '../../video/index-cache.ts'
import { type LiveSource, liveSource, type RawFormat, readLive } from '../../video/live-source.ts'
import { clipSeconds, sourceTiming } from '../../video/sampling.ts'
import { streamFrames } from '../../video/stream-frames.ts'
import type { Model } from '../model.ts'
import { Answers, type Happened, largest } from './answers.ts'
import { type CostOptions, candidatesOf, deadlineOf, everyFrom0, milliseconds } from './candidates.ts'
import { Channel } from './channel.ts'
import type { SpanOptions } from './span-finder.ts'
import { type SpanThresholds, spanOptions } from './spans.ts'
import { windowStarts } from './windows.ts'

export interface WatchOptions extends SpanThresholds, CostOptions {
  /** Milliseconds from one answer to the next; half a clip by default. */
  readonly every?: number
  /** Whether spans are told as well. */
  readonly spans?: boolean
  /** A file as fast as it goes: every window is answered, none skipped. */
  readonly fast?: boolean
  /** Of frames on standard input. */
  readonly raw?: RawFormat
  /** Standard input, where the source is `-`; the process's own by default. */
  readonly stdin?: NodeJS.ReadableStream
  /** Seconds without a frame after which a source is taken for lost; 10 by default. */
  readonly patience?: number
  readonly signal?: AbortSignal
}

const OPTIONS: OptionTable<WatchOptions> = {
  ...{ budget: option.any, deadline: option.any, share: option.any, every: option.any, spans: option.flag },
  ...{ fast: option.flag, raw: option.object, stdin: option.object, patience: option.seconds },
  ...{ minScore: option.any, minLength: option.any, background: option.text, signal: option.signal },
}

/** What becomes of the source. */
export type SourceEvent =
  | { readonly event: 'lost'; readonly reason: string; readonly seconds: number }
  | { readonly event: 'found' }
  | { readonly event: 'jump'; readonly seconds: number }

export type WatchEvent = Happened | SourceEvent

/** Events that wait for a slow reader at most; the oldest goes. */
const MOST_WAITING = 10_000
/** Seconds in which a stream must show what it is, and where it did not. */
const ANALYSIS = 2
const LONGER_ANALYSIS = 10
/** Seconds before a lost source is tried again, and at most. */
const BACKOFF = 0.5
const MOST_BACKOFF = 10

/**
 * Watches a source until it ends, the signal comes or the loop is left.
 *
 * @param source a file (in real time, or `fast`), `-`, a device, or a URL (`rtsp`, `rtmp`, `srt`, `udp`, `http`, …)
 * @throws MnVideoError `media` for a source that cannot be read; `usage`, `budget`, `engine`, `weights`
 */
export function watch(
  model: Model,
  source: string,
  options: WatchOptions = {},
): AsyncIterableIterator<WatchEvent> {
  checkOptions('watch', options, OPTIONS)
  const stop = new AbortController()
  const events = new Channel<WatchEvent>(MOST_WAITING, () => stop.abort())
  const abort = () => stop.abort()
  options.signal?.addEventListener('abort', abort, { once: true })
  if (options.signal?.aborted) stop.abort()
  run(model, source, options, stop.signal, events)
    .then(
      () => events.close(),
      (error: unknown) => events.close(stop.signal.aborted ? {} : { error }),
    )
    .finally(() => options.signal?.removeEventListener('abort', abort))
  return events
}

async function run(
  model: Model,
  name: string,
  options: WatchOptions,
  signal: AbortSignal,
  events: Channel<WatchEvent>,
): Promise<void> {
  const { network, config, folder } = model
  if (network.media !== 'video')
    throw new MnVideoError(
      'usage',
      `${folder} is ${network.name}, which classifies images: it watches nothing.`,
    )
  const source = await liveSource(name, options.raw)
  const { fast = false } = options
  if (fast && source.kind !== 'file')
    throw new MnVideoError('usage', 'fast is for files: everything else has a speed of its own.')
  const seconds = clipSeconds(clipSpan(network, config))
  const every = milliseconds('every', options.every ?? 500 * seconds) / 1000
  const deadline = deadlineOf(options, every)
  const candidates = await candidatesOf(model, options, fast)
  const failed = new AbortController()
  const reading = AbortSignal.any([signal, failed.signal])
  let failure: unknown
  const spans: SpanOptions | undefined = options.spans ? spanOptions(model, options) : undefined
  const open = (starts: Iterable<number>, frame: number | undefined) =>
    new Answers(model, {
      ...{ candidates, starts, frame, spans, deadline: fast ? undefined : deadline, waits: fast },
      tell: (event) => events.push(event),
      fail: (error) => {
        failure ??= error
        failed.abort()
      },
    })
  const { side, ...picture } = testPicture(network, config, largest(candidates))
  const request = { ...picture, crop: { size: side, position: 'centre' as const } }
  try {
    if (source.kind === 'file')
      await watchFile(name, request, open, every, clipSpan(network, config), fast, reading)
    else
      await watchStream(
        source,
        request,
        open(everyFrom0(every), options.raw && 1 / options.raw.rate),
        options,
        events,
        reading,
      )
  } catch (error) {
    if (failure === undefined && !signal.aborted) throw error
  }
  if (failure !== undefined) throw failure
}

type Open = (starts: Iterable<number>, frame: number | undefined) => Answers

async function watchFile(
  file: string,
  request: PictureRequest,
  open: Open,
  every: number,
  span: ReturnType<typeof clipSpan>,
  fast: boolean,
  signal: AbortSignal,
): Promise<void> {
  const index = await cachedFrameIndex(file, { signal })
  const { duration, frame } = sourceTiming(index)
  const answers = open(windowStarts(duration, span, every), frame)
  try {
    await streamFrames(file, index, request, ({ time, pixels }) => answers.push(time, pixels), {
      signal,
      isRealTime: !fast,
    })
    await answers.end(duration)
  } catch (error) {
    if (signal.aborted) await answers.end()
    throw error
  } finally {
    await answers.stop()
  }
}

/** Again and again, where the source can be opened anew. */
async function watchStream(
  source: LiveSource,
  request: Parameters<typeof readLive>[1],
  answers: Answers,
  { patience = 10, stdin = process.stdin }: WatchOptions,
  events: Channel<WatchEvent>,
  signal: AbortSignal,
): Promise<void> {
  let [reached, offset, backoff, lostAt] = [0, 0, BACKOFF, Number.NaN]
  let [hasWorked, analysis] = [false, ANALYSIS]
  try {
    for (;;) {
      const begun = performance.now()
      const { frames, reason } = await readLive(source, request, {
        signal,
        patience,
        analysis,
        ...(source.kind === 'stdin' && { stdin }),
        onJump: (seconds) => events.push({ event: 'jump', seconds }),
        onFrame: ({ time, pixels }) => {
          if (!Number.isNaN(lostAt)) {
            // The source's own time stood still meanwhile, ours did not.
            offset = reached + (performance.now() - lostAt) / 1000
            answers.interrupt(reached, offset)
            events.push({ event: 'found' })
            ;[lostAt, backoff] = [Number.NaN, BACKOFF]
          }
          hasWorked = true
          reached = offset + time
          void answers.push(reached, pixels)
        },
      })
      const why = reason ?? 'it ended'
      if (!source.canReconnect) {
        if (hasWorked) break
        throw new MnVideoError('media', `${source.shown}: no frame came: ${reason ?? 'it is empty'}.`)
      }
      if (!hasWorked && analysis === ANALYSIS && performance.now() - begun > 1000 * ANALYSIS) {
        // It is there, but may not have shown a keyframe yet.
        analysis = LONGER_ANALYSIS
        continue
      }
      // What never worked is wrong, not lost.
      if (!hasWorked) throw new MnVideoError('media', `${source.shown}: cannot be watched: ${why}.`)
      if (Number.isNaN(lostAt)) lostAt = performance.now()
      events.push({ event: 'lost', reason: why, seconds: backoff })
      await sleep(backoff, signal)
      if (frames === 0) backoff = Math.min(MOST_BACKOFF, 2 * backoff)
    }
    await answers.end()
  } catch (error) {
    if (signal.aborted) await answers.end()
    throw error
  } finally {
    await answers.stop()
  }
}

async function sleep(seconds: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await new Promise<void>((settle, fail) => {
    const end = () => {
      clearTimeout(timer)
      fail(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', end)
      settle()
    }, 1000 * seconds)
    signal.addEventListener('abort', end, { once: true })
  })
}
