/** SVG pictures as PNG, by sharp's librsvg with the fonts of the machine. */
import { loadSharp } from './sharp.ts'

/** Dots per inch of SVG's own pixel. */
const SVG_DENSITY = 72

/** @param scale pixels of the PNG for one of the SVG */
export async function svgToPng(svg: string, scale: number): Promise<Uint8Array> {
  const sharp = await loadSharp()
  return sharp(Buffer.from(svg), { density: SVG_DENSITY * scale })
    .png()
    .toBuffer()
}

/** Whether this machine has a font: without one every letter is drawn as the same empty box, and nothing says so. */
export async function hasFonts(): Promise<boolean> {
  const [one, other] = await Promise.all(['1', '8'].map(drawnText))
  return !one!.equals(other!)
}

async function drawnText(text: string): Promise<Buffer> {
  const sharp = await loadSharp()
  const letters = `<text x="2" y="30" font-family="sans-serif" font-size="30">${text}</text>`
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40">${letters}</svg>`
  return sharp(Buffer.from(svg)).raw().toBuffer()
}
