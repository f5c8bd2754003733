/**
 * Decodes the test views of a video: N uniformly spaced clips × 1 or 3 crops, in one pass over the file.
 */

import type { Views } from '../config/views.ts'
import { shownPath } from '../files/media-file.ts'
import type { Clip } from '../frames/batch.ts'
import { type Crop, cropRectangle, type Rectangle, requireBytes, type Scaling } from '../frames/geometry.ts'
import type { DecodeOptions } from './decode.ts'
import { pullFrames } from './pull-frames.ts'
import { type ClipSpan, viewMoments } from './sampling.ts'

export interface ViewsRequest extends ClipSpan {
  readonly views: Views
  /** Pixels of the short side after scaling; size where left out. */
  readonly shortSide?: number
  /** Antialiased where left out. */
  readonly scaling?: Scaling
  /** Pixels a side of the square crops. */
  readonly size: number
  /** Which of each clip's frames to decode, by position; all by default. A clip then has just these. */
  readonly take?: readonly number[]
}

/**
 * Decodes all views, each spatial crop of the first temporal view, then of the next: one centre crop, or three
 * along the long side. Frames that several views share are decoded, and cross the pipe, once.
 *
 * @throws MnVideoError 'media', one line naming the file and why; 'missing' without FFmpeg
 */
export async function decodeViews(
  path: string,
  request: ViewsRequest,
  options: DecodeOptions = {},
): Promise<Clip[]> {
  const { views, size, shortSide = size, scaling = 'antialiased', take } = request
  const frames = take?.length ?? request.frames
  requireBytes(shownPath(path), views.temporal * views.spatial * frames * size * size * 3)
  const centre: Crop = { size, position: 'centre' }
  const pulled = await pullFrames(
    path,
    (index) =>
      viewMoments(index, request, views.temporal).flatMap((moments) =>
        take ? take.map((position) => moments[position]!) : moments,
      ),
    // Three crops are cut here out of whole frames, which cost less to move than to decode three times.
    views.spatial === 1 ? { shortSide, scaling, crop: centre } : { shortSide, scaling },
    options,
  )
  const crops = ((): Rectangle[] => {
    if (views.spatial === 1) return [{ left: 0, top: 0, width: size, height: size }]
    return (['start', 'centre', 'end'] as const).map((position) => cropRectangle(pulled, { size, position }))
  })()
  return Array.from({ length: views.temporal }, (_, k) =>
    pulled.shown.slice(k * frames, (k + 1) * frames),
  ).flatMap((places) =>
    crops.map((crop) => ({
      data: cut(pulled.data, pulled.width, pulled.height, places, crop),
      frames,
      height: size,
      width: size,
      times: places.map((place) => pulled.times[place]!),
    })),
  )
}

/** Copies one rectangle of some frames of [frames, H, W, 3]. */
function cut(
  data: Uint8Array,
  width: number,
  height: number,
  places: readonly number[],
  crop: Rectangle,
): Uint8Array {
  const rowBytes = crop.width * 3
  const result = new Uint8Array(places.length * crop.height * rowBytes)
  let written = 0
  for (const place of places) {
    for (let row = 0; row < crop.height; row++) {
      const begin = ((place * height + crop.top + row) * width + crop.left) * 3
      result.set(data.subarray(begin, begin + rowBytes), written)
      written += rowBytes
    }
  }
  return result
}
