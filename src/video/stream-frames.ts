/**
 * All frames of a video in one pass, from its beginning to its end, each with its time: for who looks at the whole of it.
 * Frames wait until they are taken, so that memory does not grow with the video.
 */
import { mediaFile } from '../files/media-file.ts'
import { layOutPicture, type PictureRequest, type Size } from '../frames/geometry.ts'
import { findBinaries } from './binaries.ts'
import { ffmpegArguments, type RunOptions, reasonFrom, run } from './ffmpeg.ts'
import { exactInput, exactOutput, type FrameIndex, FrameLog } from './frame-index.ts'
import { createFramePixels, isScaledHere } from './frame-pixels.ts'
import { pictureFilters } from './pull-frames.ts'

/** Turns of the event loop in which a program that has ended may still be heard. */
const PATIENCE = 100

/** A frame on its way. */
export interface StreamedFrame {
  /** Seconds from the video's first frame. */
  readonly time: number
  /** 8-bit RGB, [H, W, 3]; another frame's after the callback. */
  readonly pixels: Uint8Array
}

export interface StreamOptions extends RunOptions {
  /** Frames come when they are due, as from a camera. */
  readonly isRealTime?: boolean
}

/**
 * Decodes a video from its beginning, scaled and cropped as `decodeClip` does it: the same pixels. A frame that is stamped
 * no later than the one before it is passed over, as everywhere.
 *
 * @param index what `readFrameIndex` said of the file
 * @param onFrame called for each frame in order of time; the next comes when its promise is kept
 * @throws MnVideoError 'media', one line naming the file and why; 'missing' without FFmpeg; what `onFrame` throws
 */
export async function streamFrames(
  path: string,
  index: FrameIndex,
  request: PictureRequest,
  onFrame: (frame: StreamedFrame, size: Size) => Promise<void>,
  { isRealTime = false, ...options }: StreamOptions = {},
): Promise<{ readonly frames: number; readonly reason: string | undefined }> {
  const file = await mediaFile(path)
  const layout = layOutPicture(file.shown, index.info, request)
  const { ffmpeg, version } = await findBinaries()
  const { input, inputOptions } = exactInput(file)
  const { numerator, denominator } = index.timeBase
  const first = index.pts[0]!
  let position = 0
  const log = new FrameLog()
  const pixels = new Uint8Array(layout.output.width * layout.output.height * 3)
  let frame = createFramePixels(layout, pixels)
  const incoming = isScaledHere(layout) ? layout.native : layout.output
  const pieceBytes = incoming.width * incoming.height * 3
  let [held, frames] = [0, 0]
  let [isClosed, hasEnded] = [false, false]

  /** A frame's time is printed before its pixels are written, but the two pipes are read one after the other. */
  const nextPts = async (): Promise<number> => {
    for (let late = 0; log.pts.length === 0; ) {
      // Ended by somebody else between the two.
      if (hasEnded || (isClosed && ++late > PATIENCE)) return Number.POSITIVE_INFINITY
      await new Promise((settle) => setImmediate(settle))
    }
    log.keys.clear()
    return log.pts.shift()!
  }
  const take = async (piece: Uint8Array): Promise<boolean> => {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + pieceBytes - held)
      frame.add(part)
      held += part.length
      at += part.length
      if (held < pieceBytes) continue
      const pts = await nextPts()
      if (pts === Number.POSITIVE_INFINITY) return false
      while (position < index.pts.length - 1 && index.pts[position]! < pts) position++
      // Of frames stamped alike FFmpeg moves the later ones by a tick; nowhere else are they seen.
      const isListed = index.pts[position] === pts
      if (isListed) await onFrame({ time: ((pts - first) * numerator) / denominator, pixels }, layout.output)
      frames++
      held = 0
      frame = createFramePixels(layout, pixels)
    }
    return true
  }
  const errors = await run({
    ...options,
    file,
    program: ffmpeg,
    args: ffmpegArguments({
      input,
      inputOptions: [...inputOptions, ...(isRealTime ? ['-re'] : [])],
      filters: [
        "select='isnan(prev_selected_pts)+gt(pts,prev_selected_pts)'",
        log.filter,
        ...pictureFilters(layout),
      ].join(','),
      format: 'rawvideo',
      outputOptions: [...exactOutput(index.info, version), '-pix_fmt', 'rgb24'],
    }),
    onLine: (line) => log.add(line),
    onOutput: () => true,
    onPacedOutput: take,
    onClosed: () => {
      isClosed = true
    },
  }).finally(() => {
    hasEnded = true
  })
  return { frames, reason: errors.length > 0 ? reasonFrom(errors, file) : undefined }
}
