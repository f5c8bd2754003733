/** What happens when in a film: its windows scored in one pass of decoding, and the spans that they make. */
import { clipSpan, hasWholeInput, testPicture } from '../../data/loading/test-clips.ts'
import { MnVideoError, throwIfCancelled } from '../../errors.ts'
import { toInputs } from '../../frames/inputs.ts'
import { subsampleFrames } from '../../frames/subsample.ts'
import { clipFrames } from '../../network/graph.ts'
import * as option from '../../options.ts'
import { checkOptions, checkPath, type OptionTable } from '../../options.ts'
import type { TableEntry } from '../../runs/query-table.ts'
import { cachedFrameIndex } from '../../video/index-cache.ts'
import { clipSeconds, sourceTiming } from '../../video/sampling.ts'
import { streamFrames } from '../../video/stream-frames.ts'
import type { Model } from '../model.ts'
import type { Budget } from '../options.ts'
import { type Span, SpanFinder, type SpanOptions, type WindowScores } from './span-finder.ts'
import { clipOf, type Window, Windows, windowStarts } from './windows.ts'

/** When a span begins, and what is none. */
export interface SpanThresholds {
  /** The smoothed score that a span begins with, 0 to 1; 0.5 by default. It ends below 0.6 of that. */
  readonly minScore?: number
  /** Seconds; what is shorter is no span. Half a clip by default. */
  readonly minLength?: number
  /** The name of a class that is no span. */
  readonly background?: string
}

export interface FindSpansOptions extends SpanThresholds {
  /** What one window may cost; default: the full width, frames and size. */
  readonly budget?: Budget
  /** Seconds from one window's beginning to the next one's; half a clip by default. */
  readonly stride?: number
  /** Seconds without progress after which FFmpeg is stopped; 60 by default. */
  readonly deadline?: number
  readonly signal?: AbortSignal
  /** Told of every window, in order. */
  readonly onWindow?: (window: WindowScores) => void
  /** Told of seconds of the film done, and of all. */
  readonly onProgress?: (done: number, total: number) => void
}

const OPTIONS: OptionTable<FindSpansOptions> = {
  ...{ budget: option.any, stride: option.any, minScore: option.any, minLength: option.any },
  ...{ background: option.text, deadline: option.seconds, signal: option.signal },
  ...{ onWindow: option.callback, onProgress: option.callback },
}

export interface NamedSpan extends Span {
  readonly label: string
}

/** What was found in one film. */
export interface FilmSpans {
  readonly file: string
  /** The configuration that every window was classified with. */
  readonly configuration: TableEntry
  /** Seconds of the film, of one window, and from one window to the next. */
  readonly duration: number
  readonly window: number
  readonly stride: number
  readonly windows: number
  /** In order of their ends. */
  readonly spans: readonly NamedSpan[]
}

/**
 * Finds the spans of a video. It is decoded once, from its beginning to its end, and never held whole: memory does not
 * grow with its length. A window is the clip that `classify` would take there, one view with the centre crop: its scores
 * are the same bit for bit.
 *
 * @param onSpan called for each span as it closes
 * @throws MnVideoError `media` for a file that cannot be read, `budget`, `usage`, `weights`, `cancelled`
 */
export async function findSpans(
  model: Model,
  path: string | URL,
  options: FindSpansOptions = {},
  onSpan: (span: NamedSpan) => void = () => {},
): Promise<FilmSpans> {
  const file = checkPath(path, 'the file to look through')
  checkOptions('findSpans', options, OPTIONS)
  const { network, config, labels } = model
  if (network.media !== 'video')
    throw new MnVideoError(
      'usage',
      `${model.folder} is ${network.name}, which classifies images: they have no spans.`,
    )
  const span = clipSpan(network, config)
  const seconds = clipSeconds(span)
  const { budget = {}, signal, deadline } = options
  const stride = positive('stride', options.stride ?? seconds / 2)
  const finder = new SpanFinder(spanOptions(model, options))
  const entry = model.choose(budget)
  throwIfCancelled(signal, 'findSpans')
  const limits = { ...(deadline !== undefined && { deadline }), ...(signal && { signal }) }
  const index = await cachedFrameIndex(file, limits)
  const { duration, frame } = sourceTiming(index)
  const whole = clipFrames(network)
  const take = hasWholeInput(network)
    ? Array.from({ length: whole }, (_, i) => i)
    : subsampleFrames(whole, entry.frames)
  const windows = new Windows({ span, frame, take, starts: windowStarts(duration, span, stride) })
  const { side, ...picture } = testPicture(network, config, entry.size)
  const spans: NamedSpan[] = []
  let scored = 0

  const tell = (found: readonly Span[]) => {
    for (const each of found) {
      const named = { ...each, label: labels[each.index]! }
      spans.push(named)
      onSpan(named)
    }
  }
  const score = async (windows: readonly Window[]) => {
    for (const ready of windows) {
      const { start } = ready
      const inputs = toInputs(network, entry, clipOf(ready, side))
      const { scores } = await model.run(entry, inputs, signal ? { signal } : {})
      const window = { start, end: Math.min(duration, start + seconds), scores }
      scored++
      options.onWindow?.(window)
      tell(finder.push(window))
      options.onProgress?.(window.end, duration)
    }
  }
  const { frames, reason } = await streamFrames(
    file,
    index,
    { ...picture, crop: { size: side, position: 'centre' } },
    ({ time, pixels }) => score(windows.push(time, pixels)),
    limits,
  )
  if (frames === 0)
    throw new MnVideoError('media', `${file}: no frame can be decoded: ${reason ?? 'no reason given'}.`)
  await score(windows.end())
  tell(finder.end(duration))
  return { file, configuration: entry, duration, window: seconds, stride, windows: scored, spans }
}

/** @throws MnVideoError `usage` for thresholds that cannot be, and a class that is not there */
export function spanOptions(
  { network, config, labels }: Model,
  { minScore = 0.5, minLength = clipSeconds(clipSpan(network, config)) / 2, background }: SpanThresholds,
): SpanOptions {
  return {
    minScore: share('minScore', minScore),
    minLength: atLeast0('minLength', minLength),
    ...(background !== undefined && { background: classOf(labels, background) }),
  }
}

function classOf(labels: readonly string[], name: string): number {
  const index = labels.indexOf(name)
  if (index >= 0) return index
  throw new MnVideoError(
    'usage',
    `background: there is no class "${name}". The first are ${labels.slice(0, 5).join(', ')}.`,
  )
}

function positive(name: string, value: number): number {
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value
  throw new MnVideoError('usage', `${name} must be seconds above 0, not ${value}.`)
}

function atLeast0(name: string, value: number): number {
  return value === 0 ? 0 : positive(name, value)
}

function share(name: string, value: number): number {
  if (typeof value === 'number' && value > 0 && value <= 1) return value
  throw new MnVideoError('usage', `${name} must be above 0 and at most 1, not ${value}.`)
}
