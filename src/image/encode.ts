/** Packs pixels as JPEG, for pages that people look at. */
import { loadSharp } from './sharp.ts'

/** @param pixels 8-bit RGB, row-major [H, W, 3] */
export async function encodeJpeg(pixels: Uint8Array, width: number, height: number): Promise<Buffer> {
  const sharp = await loadSharp()
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 85 })
    .toBuffer()
}
