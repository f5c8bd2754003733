/**
 * The pixels that a network is evaluated on: test views of videos and images as whole clips. Which of a clip's
 * frames a configuration takes is not decided here.
 */
import type { Config } from '../../config/index.ts'
import type { Views } from '../../config/views.ts'
import type { Clip, FrameBatch } from '../../frames/batch.ts'
import { cropFrames } from '../../frames/crop.ts'
import { cropRectangle, type Scaling } from '../../frames/geometry.ts'
import { resizeFrames } from '../../frames/resize.ts'
import { decodeImage, type PictureOptions } from '../../image/decode.ts'
import { clipFrames, type Network } from '../../network/graph.ts'
import type { ClipRequest, DecodeOptions } from '../../video/decode.ts'
import { decodeViews } from '../../video/decode-views.ts'
import type { FrameIndex } from '../../video/frame-index.ts'
import { type ClipSpan, viewMoments } from '../../video/sampling.ts'

/** The span of time that a network's clip covers: SlowFast's clip has the fast pathway's frames. */
export function clipSpan(network: Network, config: Config): ClipSpan {
  return {
    frames: clipFrames(network),
    stride: config.frame_stride / config.alpha,
    rate: config.clip_fps,
  }
}

/** Pixels a side of the clips that a configuration's inputs are made of: those of its largest input. */
export const decodedSize = (network: Network, size: number): number =>
  hasWholeInput(network) ? Math.max(size, network.size) : size

/** The picture that a configuration's test crops are cut from: everything that programs which prepare inputs must know. */
export interface TestPicture {
  /** Pixels a side of the crops, which are as large as the network's largest input. */
  readonly side: number
  /** Pixels of the shorter side that the picture is scaled to. */
  readonly shortSide: number
  readonly scaling: Scaling
}

/**
 * The one rule of testing, PySlowFast's at the sizes it tests. Up to the training size one crop keeps its share of the
 * picture, 224 of 256 for most recipes; above it the crop grows within a picture of the full size's short side, to 256 of
 * 256. Three crops cover a picture whose short side is theirs: 256 of 256 where accuracies were published.
 *
 * @param size pixels a side of the configuration's input
 */
export function testPicture(
  network: Network,
  config: Config,
  size: number,
  crops: Views['spatial'] = 1,
): TestPicture {
  const side = decodedSize(network, size)
  const isVideo = network.media === 'video'
  const [full, whole] = [config.image_size, isVideo ? config.short_side : config.image_resize]
  if (crops === 3) return { side, shortSide: side, scaling: config.scaling }
  const shortSide = side <= full ? Math.round((side * whole) / full) : Math.max(side, whole)
  return { side, shortSide, scaling: config.scaling }
}

/**
 * Decodes the test views of a video, each spatial crop of the first temporal view, then of the next: the centre of the
 * picture, or its middle and both ends along the long side.
 *
 * @param size pixels a side of the configuration's input
 * @param take which of each clip's frames to decode, by position; all by default
 */
export async function videoTestClips(
  file: string,
  network: Network,
  config: Config,
  { size, views, take }: { readonly size: number; readonly views: Views; readonly take?: readonly number[] },
  options: DecodeOptions = {},
): Promise<FrameBatch[]> {
  const { side, ...picture } = testPicture(network, config, size, views.spatial)
  const clips = await decodeViews(
    file,
    { ...clipSpan(network, config), ...picture, views, size: side, ...(take && { take }) },
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
  index: FrameIndex,
): ClipRequest {
  const { side, ...picture } = testPicture(network, config, size, views.spatial)
  return {
    ...picture,
    times: viewMoments(index, clipSpan(network, config), views.temporal).flat(),
    crop: { size: side, position: 'centre' },
  }
}

/** The test view of an image, in a file or in memory: scaled, then the centre crop. */
export async function imageTestClip(
  source: { readonly path: string } | FrameBatch,
  network: Network,
  config: Config,
  size: number,
  options: PictureOptions = {},
): Promise<FrameBatch> {
  const { side, shortSide, scaling } = testPicture(network, config, size)
  const crop = { size: side, position: 'centre', halves: 'even' } as const
  if ('path' in source) return asBatch(await decodeImage(source.path, { shortSide, scaling, crop }, options))
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
