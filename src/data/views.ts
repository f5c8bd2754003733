/**
 * The pixels that a network is evaluated on: test views of videos and images as whole clips. Which of a clip's
 * frames a configuration takes is not decided here.
 */
import type { Config } from '../config/index.ts'
import type { FrameBatch } from '../engines/engine.ts'
import { decodeImage, type PictureOptions } from '../image/decode.ts'
import type { Network } from '../network/graph.ts'
import type { Clip, ClipRequest, DecodeOptions } from '../video/decode.ts'
import { cropRectangle } from '../video/geometry.ts'
import { type ClipSpan, clipTimes, type Views, viewStarts } from '../video/sampling.ts'
import { decodeViews } from '../video/views.ts'
import { cropFrames } from './crop.ts'
import { resizeFrames } from './resize.ts'

/** The span of time that a network's clip covers: SlowFast's clip has the fast pathway's frames. */
export function clipSpan(network: Network, config: Config): ClipSpan {
  return {
    frames: network.frames * config.alpha,
    stride: config.frame_stride / config.alpha,
    rate: config.clip_fps,
  }
}

/** Pixels a side of the clips that a configuration's inputs are made of: those of its largest input. */
export const decodedSize = (network: Network, size: number): number =>
  hasWholeInput(network) ? Math.max(size, network.size) : size

/**
 * Decodes the test views of a video, each spatial crop of the first temporal view, then of the next. A single
 * crop is cut from the middle of a picture scaled as in training; three crops cover the whole picture, scaled to
 * the crop's size (as PySlowFast tests).
 *
 * @param size pixels a side of the configuration's input; the crops are as large as its largest input
 * @param take which of each clip's frames to decode, by position; all by default
 */
export async function videoTestClips(
  file: string,
  network: Network,
  config: Config,
  { size, views, take }: { readonly size: number; readonly views: Views; readonly take?: readonly number[] },
  options: DecodeOptions = {},
): Promise<FrameBatch[]> {
  const { side, shortSide } = testScale(network, config, size, views)
  const clips = await decodeViews(
    file,
    { ...clipSpan(network, config), views, size: side, shortSide, ...(take && { take }) },
    options,
  )
  return clips.map(asBatch)
}

/**
 * What to ask of `decodeClips` for the single-crop test views of a video: all of them as one long clip, each frame
 * at its time.
 */
export function testViewsRequest(
  network: Network,
  config: Config,
  { size, views }: { readonly size: number; readonly views: Views },
  duration: number,
): ClipRequest {
  const span = clipSpan(network, config)
  const { side, shortSide } = testScale(network, config, size, views)
  return {
    times: viewStarts(duration, span, views.temporal).flatMap((start) => clipTimes(span, start)),
    shortSide,
    crop: { size: side, position: 'centre' },
  }
}

/** Pixels a side of the crops, as large as the network's largest input, and of the picture that they are cut from. */
function testScale(network: Network, config: Config, size: number, views: Views) {
  const side = decodedSize(network, size)
  const shortSide = views.spatial === 3 ? side : Math.round((side * config.short_side) / config.image_size)
  return { side, shortSide }
}

/** The test view of an image, in a file or in memory: scaled, then the centre crop. */
export async function imageTestClip(
  source: { readonly path: string } | FrameBatch,
  config: Config,
  size: number,
  options: PictureOptions = {},
): Promise<FrameBatch> {
  const shortSide = Math.round((size * config.image_resize) / config.image_size)
  const crop = { size, position: 'centre' } as const
  if ('path' in source) return asBatch(await decodeImage(source.path, { shortSide, crop }, options))
  const scaled = resizeFrames(source, shortSide)
  return cropFrames(scaled, cropRectangle(scaled, crop))
}

/** Whether an input of the network takes all frames at full size in every configuration (SlowFast's fast pathway). */
export const hasWholeInput = (network: Network): boolean =>
  network.nodes.some((node) => node.kind === 'input' && node.follows === 'whole')

/** A decoded clip as a batch of one. */
export const asBatch = ({ data, frames, height, width }: Clip): FrameBatch => ({
  data,
  batch: 1,
  frames,
  height,
  width,
})
