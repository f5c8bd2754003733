/** SVG pictures as PNG, by sharp's librsvg with the fonts of the machine. */
import sharp from 'sharp'

/** Dots per inch of SVG's own pixel. */
const SVG_DENSITY = 72

/** @param scale pixels of the PNG for one of the SVG */
export async function svgToPng(svg: string, scale: number): Promise<Uint8Array> {
  return sharp(Buffer.from(svg), { density: SVG_DENSITY * scale })
    .png()
    .toBuffer()
}

/** Whether this machine has a font: without one, text is left out of pictures, and nothing says so. */
export async function hasFonts(): Promise<boolean> {
  const text = '<text x="2" y="30" font-family="sans-serif" font-size="30">0.5</text>'
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40">${text}</svg>`
  const { channels } = await sharp(Buffer.from(svg)).stats()
  return channels.some(({ max }) => max > 0)
}
