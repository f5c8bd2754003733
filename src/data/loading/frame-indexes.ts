/** Keeps the frame indexes of videos from one epoch to the next, as many as fit: reading one costs a process. */
import { stat } from 'node:fs/promises'
import type { RunOptions } from '../../video/ffmpeg.ts'
import type { FrameIndex } from '../../video/frame-index.ts'
import { cachedFrameIndex } from '../../video/index-cache.ts'

export interface FrameIndexes {
  /** The index of a file, read when it is not there or the file has changed since (by size and time of change). */
  of(path: string, options: RunOptions): Promise<FrameIndex>
}

/** @param maxBytes what the indexes kept may take, about; those used least recently go first */
export function createFrameIndexes(maxBytes = 2 ** 26): FrameIndexes {
  const kept = new Map<string, { readonly index: FrameIndex; readonly state: string }>()
  let bytes = 0
  const remove = (path: string) => {
    const found = kept.get(path)
    if (!found) return
    kept.delete(path)
    bytes -= bytesOf(found.index)
  }
  return {
    async of(path, options) {
      const state = await stateOf(path)
      const found = kept.get(path)
      const index = found?.state === state ? found.index : await cachedFrameIndex(path, options)
      remove(path)
      kept.set(path, { index, state })
      bytes += bytesOf(index)
      for (const oldest of kept.keys()) {
        if (bytes <= maxBytes) break
        remove(oldest)
      }
      return index
    },
  }
}

/** What changes when a file does; one that is gone is found out when it is read. */
const stateOf = (path: string): Promise<string> =>
  stat(path, { bigint: true }).then(
    ({ size, mtimeNs }) => `${size} ${mtimeNs}`,
    () => 'absent',
  )

/** Two numbers a frame, and about as much as the description of a file takes. */
const bytesOf = ({ pts, keyframes }: FrameIndex): number => 2048 + 16 * pts.length + 8 * keyframes.length
