/** Cutting rectangles out of frames that are already in memory. */
import type { FrameBatch } from './batch.ts'
import type { Rectangle } from './geometry.ts'

/**
 * One rectangle of every frame. It may reach over the edges by less than the frame's side: what lies outside is
 * the frame's reflection, without repeating the edge itself (PyTorch's `reflect` padding).
 *
 * @param flip mirrors left and right, after cutting
 */
export function cropFrames(
  frames: FrameBatch,
  { left, top, width, height }: Rectangle,
  flip = false,
): FrameBatch {
  const { data, batch, frames: count } = frames
  if (!flip && left === 0 && top === 0 && width === frames.width && height === frames.height) return frames
  const length = batch * count * height * width * 3
  const cut = data instanceof Float32Array ? new Float32Array(length) : new Uint8Array(length)
  const rows = reflected(top, height, frames.height)
  const columns = reflected(left, width, frames.width)
  if (flip) columns.reverse()
  let target = 0
  for (let image = 0; image < batch * count; image++) {
    for (const row of rows) {
      const line = (image * frames.height + row) * frames.width
      for (const column of columns) {
        const from = (line + column) * 3
        cut[target++] = data[from]!
        cut[target++] = data[from + 1]!
        cut[target++] = data[from + 2]!
      }
    }
  }
  return { data: cut, batch, frames: count, height, width }
}

function reflected(from: number, count: number, side: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    const place = Math.abs(from + i)
    return place < side ? place : 2 * (side - 1) - place
  })
}
