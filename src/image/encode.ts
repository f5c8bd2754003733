/** Packs pixels as JPEG, for pages that people look at. */
import sharp from 'sharp'

/** @param pixels 8-bit RGB, row-major [H, W, 3] */
export function encodeJpeg(pixels: Uint8Array, width: number, height: number): Promise<Buffer> {
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 85 })
    .toBuffer()
}
