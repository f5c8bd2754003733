/**
 * Decodes a whole video and keeps nothing: does every frame that its index promises come out, are its keyframes what
 * they are called, and what does FFmpeg complain of on the way?
 */
import { mediaFile } from '../files/media-file.ts'
import { findBinaries } from './binaries.ts'
import { ffmpegArguments, type RunOptions, reasonFrom, run } from './ffmpeg.ts'
import { exactInput, exactOutput, type FrameIndex, FrameLog } from './frame-index.ts'

export interface Decoded {
  /** Frames of the index that came out. */
  readonly frames: number
  /**
   * Frames at which the index says that decoding may begin, and that are no keyframes to their decoder. None are told
   * of H.264, where decoding begins at others too.
   */
  readonly falseKeyframes: number
  /** FFmpeg's most telling error line. */
  readonly complaint: string | undefined
}

/** @throws MnVideoError 'media' for what is no file any more, or at the deadline */
export async function decodeWhole(
  path: string,
  index: FrameIndex,
  options: RunOptions = {},
): Promise<Decoded> {
  const file = await mediaFile(path)
  const { ffmpeg, version } = await findBinaries()
  const { input, inputOptions } = exactInput(file)
  const log = new FrameLog()
  const errors = await run({
    ...options,
    file,
    program: ffmpeg,
    args: ffmpegArguments({
      input,
      // Files are decoded side by side; threads inside each would only get in each other's way.
      inputOptions: [...inputOptions, '-threads', '1'],
      filters: log.filter,
      format: 'null',
      outputOptions: exactOutput(index.info, version),
    }),
    onLine: (line) => log.add(line),
    onOutput: () => false,
  })
  const shown = new Set(log.pts)
  let frames = 0
  for (const pts of index.pts) if (shown.has(pts)) frames++
  const isFalse = (position: number) => {
    const pts = index.pts[position]!
    return index.info.codec !== 'h264' && shown.has(pts) && !log.keys.has(pts)
  }
  return {
    frames,
    falseKeyframes: index.keyframes.filter(isFalse).length,
    complaint: errors.length > 0 ? reasonFrom(errors, file) : undefined,
  }
}
