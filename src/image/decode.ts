/**
 * Decodes still images with sharp, as clips of one frame: turned upright, on black, 8-bit sRGB. They are scaled here:
 * sharp's linear kernel shifts what it enlarges by half a pixel, and lets libjpeg shrink what it reduces.
 */
import type { Sharp } from 'sharp'
import { MnVideoError, messageOf } from '../errors.ts'
import { checkOptions } from '../options.ts'
import type { Clip } from '../video/decode.ts'
import {
  MAX_PIXELS,
  PICTURE_OPTIONS,
  type PictureRequest,
  planPicture,
  type Rectangle,
  type Scaling,
  type Size,
} from '../video/geometry.ts'
import { type MediaFile, mediaFile } from '../video/paths.ts'
import { createScaler, type ScaleRequest } from './scale.ts'
import { loadSharp } from './sharp.ts'

/** The test view of ImageNet recipes: a centre crop of the size asked for, out of a short side 256/224 as long. */
export function imageTestView(size: number): PictureRequest {
  return { shortSide: Math.round((size * 256) / 224), crop: { size, position: 'centre' } }
}

/**
 * Decodes an image: its EXIF orientation applied, transparency laid on black, grey, CMYK and 16-bit brought to
 * 8-bit sRGB, of an animation the first frame. Scaling is what PIL's bilinear filter gives, or PyTorch's.
 *
 * @returns data [1, H, W, 3], at time 0
 * @throws MnVideoError 'media', one line naming the file and why
 */
export async function decodeImage(path: string, request: PictureRequest = {}): Promise<Clip> {
  checkOptions('decodeImage', request, PICTURE_OPTIONS)
  return decode(path, (native, shown) => planPicture(shown, native, request))
}

/** A part of an image, scaled to a square whatever its shape. */
export interface ImageRegion {
  readonly region: Rectangle
  /** Pixels a side. */
  readonly size: number
  readonly flip?: boolean
  /** Antialiased where left out. */
  readonly scaling?: Scaling
}

/**
 * Decodes a part of an image that is chosen by the image's size; otherwise as `decodeImage`.
 *
 * @throws MnVideoError 'media', one line naming the file and why
 */
export async function decodeImageRegion(path: string, choose: (native: Size) => ImageRegion): Promise<Clip> {
  return decode(path, (native, shown) => {
    planPicture(shown, native, {})
    const { region, size, flip = false, scaling = 'antialiased' } = choose(native)
    const scaled = { width: size, height: size }
    return { region, native: region, scaled, scaling, flip }
  })
}

/** The part of a picture to decode, all of it where left out, and what to make of it. */
interface Decoding extends ScaleRequest {
  readonly region?: Rectangle
}

async function decode(path: string, choose: (native: Size, shown: string) => Decoding): Promise<Clip> {
  const file = await mediaFile(path)
  const refuse = refusalOf(file)
  const open = await opener(file)
  const { autoOrient } = await open()
    .metadata()
    .catch((error: unknown) => Promise.reject(refuse(error)))
  const { region, ...scaling } = choose(autoOrient, file.shown)
  const picture = open().autoOrient()
  if (region) picture.extract(region)
  const { data, info } = await picture
    .flatten({ background: '#000' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
    .catch((error: unknown) => Promise.reject(refuse(error)))
  const { width, height } = scaling.crop ?? scaling.scaled
  const pixels = Buffer.alloc(width * height * 3)
  createScaler(scaling)(threeChannels(data, info.channels), pixels)
  return { data: pixels, frames: 1, height, width, times: [0] }
}

/**
 * What an image file is: its upright size and its format, from its headers or (with decode) after reading all of it.
 *
 * @throws MnVideoError 'media', one line naming the file and why
 */
export async function probeImage(
  path: string,
  { decode = false } = {},
): Promise<{ width: number; height: number; format: string }> {
  const file = await mediaFile(path)
  const open = await opener(file)
  try {
    const { autoOrient, format } = await open().metadata()
    if (decode) await open().stats()
    return { ...autoOrient, format: format ?? 'unknown' }
  } catch (error) {
    throw refusalOf(file)(error)
  }
}

async function opener(file: MediaFile): Promise<() => Sharp> {
  const sharp = await loadSharp()
  return () => sharp(file.path, { limitInputPixels: MAX_PIXELS, failOn: 'error', sequentialRead: true })
}

const refusalOf = (file: MediaFile) => (error: unknown) => {
  const reason = messageOf(error)
    .split('\n')[0]!
    .replaceAll(file.path, '')
    .replace(/^Input file /, '')
  return new MnVideoError('media', `${file.shown}: is not an image that can be read (${reason}).`, {
    cause: error,
  })
}

/** Grey images come out with one channel. */
function threeChannels(data: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return data
  const pixels = data.length / channels
  const result = new Uint8Array(pixels * 3)
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) result[i * 3 + c] = data[i * channels + (channels > 2 ? c : 0)]!
  }
  return result
}
