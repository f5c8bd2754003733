/** Keeps the frame indexes of videos from one epoch to the next, as many as fit: reading one costs a process. */
import type { RunOptions } from '../video/ffmpeg.ts'
import { type FrameIndex, readFrameIndex } from '../video/frame-index.ts'

export interface FrameIndexes {
  /** The index of a file, read when it is not there. */
  of(path: string, options: RunOptions): Promise<FrameIndex>
}

/** @param maxBytes what the indexes kept may take, about; those used least recently go first */
export function createFrameIndexes(maxBytes = 2 ** 26): FrameIndexes {
  const kept = new Map<string, FrameIndex>()
  let bytes = 0
  const remove = (path: string) => {
    const index = kept.get(path)
    if (!index) return
    kept.delete(path)
    bytes -= bytesOf(index)
  }
  return {
    async of(path, options) {
      const index = kept.get(path) ?? (await readFrameIndex(path, options))
      remove(path)
      kept.set(path, index)
      bytes += bytesOf(index)
      for (const oldest of kept.keys()) {
        if (bytes <= maxBytes) break
        remove(oldest)
      }
      return index
    },
  }
}

/** Two numbers a frame, and about as much as the description of a file takes. */
const bytesOf = ({ pts, keyframes }: FrameIndex): number => 2048 + 16 * pts.length + 8 * keyframes.length
