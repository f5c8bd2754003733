/** Resizing frames that are already in memory, as mutual learning does for smaller inputs. */
import type { FrameBatch } from './batch.ts'

/**
 * Bilinear with aligned corners (PyTorch's `align_corners = true`), every frame by itself. Bytes are rounded
 * to the nearest; floats stay floats.
 */
export function resizeFrames(frames: FrameBatch, size: number): FrameBatch {
  const { data, batch, frames: count, height, width } = frames
  if (height === size && width === size) return frames
  const images = batch * count
  const resized =
    data instanceof Float32Array
      ? new Float32Array(images * size * size * 3)
      : new Uint8ClampedArray(images * size * size * 3)
  const rows = positions(height, size)
  const columns = positions(width, size)
  let target = 0
  for (let image = 0; image < images; image++) {
    const offset = image * height * width
    for (const row of rows) {
      for (const column of columns) {
        const topLeft = (offset + row.from * width + column.from) * 3
        const topRight = (offset + row.from * width + column.to) * 3
        const bottomLeft = (offset + row.to * width + column.from) * 3
        const bottomRight = (offset + row.to * width + column.to) * 3
        for (let channel = 0; channel < 3; channel++) {
          const top = mix(data[topLeft + channel]!, data[topRight + channel]!, column.share)
          const bottom = mix(data[bottomLeft + channel]!, data[bottomRight + channel]!, column.share)
          resized[target++] = mix(top, bottom, row.share)
        }
      }
    }
  }
  const values = resized instanceof Float32Array ? resized : new Uint8Array(resized.buffer)
  return { data: values, batch, frames: count, height: size, width: size }
}

const mix = (a: number, b: number, share: number): number => a + (b - a) * share

/** For each output position, the two inputs around it and how far it lies towards the second. */
function positions(from: number, to: number) {
  return Array.from({ length: to }, (_, i) => {
    const exact = to === 1 ? 0 : (i * (from - 1)) / (to - 1)
    const before = Math.min(Math.floor(exact), from - 1)
    return { from: before, to: Math.min(before + 1, from - 1), share: exact - before }
  })
}
