/** Classifies a video or an image at a chosen cost: decode its views, run them, average their scores. */

import { parseViews } from '../config/views.ts'
import { throwIfCancelled } from '../errors.ts'
import type { Inputs } from '../frames/batch.ts'
import { checkPath } from '../options.ts'
import type { TableEntry } from '../runs/query-table.ts'
import { decodeImageView, decodeVideoViews } from './inputs-of-file.ts'
import type { Model } from './model.ts'
import { type ClassifyOptions, checkClassifyOptions } from './options.ts'

export interface Classification {
  readonly file: string
  /** The configuration that ran, with its cost per clip (or image). */
  readonly configuration: TableEntry
  /** Clips of the video that were classified: temporal × spatial; 1 for an image. */
  readonly views: number
  /** Multiply-adds for all views. */
  readonly macs: number
  /** One probability per class: the softmax averaged over views. */
  readonly scores: Float32Array
  /** With `perView`: the probabilities of each view, [classes], each spatial crop of a moment, then of the next. */
  readonly perView?: readonly Float32Array[]
  /** All classes, the most probable first. */
  readonly ranking: readonly { readonly index: number; readonly label: string; readonly score: number }[]
  /** Seconds from the file to pixels. */
  readonly decodeSeconds: number
  /** Seconds from pixels to scores, a first call's compilation included. */
  readonly computeSeconds: number
}

/**
 * Classifies one file: a video with a video model, an image with an image model.
 *
 * @throws MnVideoError `media` for a file that cannot be read, `budget` when nothing is cheap enough, `weights` when
 *   the scores are not numbers, `cancelled` by the signal
 */
export async function classify(
  model: Model,
  path: string | URL,
  options: ClassifyOptions = {},
): Promise<Classification> {
  const file = checkPath(path, 'the file to classify')
  const { budget = {}, views, deadline, signal, perView, onView } = checkClassifyOptions(options)
  const { network, config } = model
  const entry = model.choose(budget)
  throwIfCancelled(signal, 'classify')
  const started = performance.now()
  const limits = { ...(deadline !== undefined && { deadline }), ...(signal && { signal }) }
  const inputs: Inputs[] =
    network.media === 'video'
      ? await decodeVideoViews(file, network, config, entry, views ?? parseViews(config.views), limits)
      : [await decodeImageView(file, network, config, entry, limits)]
  throwIfCancelled(signal, 'classify')
  const decoded = performance.now()
  const scores = new Float32Array(network.classes)
  const each: Float32Array[] = []
  // One view at a time: memory stays that of one clip, whatever the number of views.
  for (const [index, view] of inputs.entries()) {
    throwIfCancelled(signal, 'classify')
    const result = await model.run(entry, view, signal && { signal })
    result.scores.forEach((score, k) => {
      scores[k]! += score / inputs.length
    })
    if (perView) each.push(result.scores)
    onView?.(index + 1, inputs.length)
  }
  const ranking = [...scores]
    .map((score, index) => ({ index, label: model.labels[index]!, score }))
    .sort((a, b) => b.score - a.score || a.index - b.index)
  return {
    file,
    configuration: entry,
    views: inputs.length,
    macs: entry.macs * inputs.length,
    scores,
    ...(perView && { perView: each }),
    ranking,
    decodeSeconds: (decoded - started) / 1000,
    computeSeconds: (performance.now() - decoded) / 1000,
  }
}
