/**
 * Decodes still images with sharp, as clips of one frame: turned upright, on black, 8-bit sRGB. What a file is, is told
 * by its content, and it must be pixels: formats that may name other files, such as SVG, are not read. They are scaled
 * here: sharp's linear kernel shifts what it enlarges by half a pixel, and lets libjpeg shrink what it reduces.
 */
import { open as openFile } from 'node:fs/promises'
import type { Sharp } from 'sharp'
import { MnVideoError, messageOf, throwIfCancelled } from '../errors.ts'
import { type MediaFile, mediaFile } from '../files/media-file.ts'
import type { Clip } from '../frames/batch.ts'
import {
  layOutPicture,
  MAX_PIXELS,
  PICTURE_OPTIONS,
  type PictureRequest,
  type Rectangle,
  type Scaling,
  type Size,
} from '../frames/geometry.ts'
import { createScaler, type ScaleRequest } from '../frames/scale.ts'
import * as option from '../options.ts'
import { checkOptions, type OptionTable } from '../options.ts'
import { loadSharp } from './sharp.ts'

/**
 * Decodes an image: its EXIF orientation applied, transparency laid on black, grey, CMYK and 16-bit brought to
 * 8-bit sRGB, of an animation the first frame. Scaling is what PIL's bilinear filter gives, or PyTorch's.
 *
 * @returns data [1, H, W, 3], at time 0
 * @throws MnVideoError 'media', one line naming the file and why; 'cancelled' by the signal
 */
export async function decodeImage(
  path: string,
  request: PictureRequest = {},
  options: PictureOptions = {},
): Promise<Clip> {
  checkOptions('decodeImage', request, PICTURE_OPTIONS)
  checkOptions('decodeImage', options, LIMITS)
  return decode(path, options, (native, shown) => layOutPicture(shown, native, request))
}

/** What every call that decodes a picture accepts. */
export interface PictureOptions {
  /** Seconds after which decoding is given up; 60 by default, at most 3600. */
  readonly deadline?: number
  /** Ends the call, which then fails with `cancelled`. */
  readonly signal?: AbortSignal
}

const LIMITS: OptionTable<PictureOptions> = { deadline: option.seconds, signal: option.signal }

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
  return decode(path, {}, (native, shown) => {
    layOutPicture(shown, native, {})
    const { region, size, flip = false, scaling = 'antialiased' } = choose(native)
    const scaled = { width: size, height: size }
    return { region, native: region, scaled, scaling, flip }
  })
}

/**
 * Decodes an image that is in memory, at its size: pictures of a stream.
 *
 * @param shown what messages call it
 * @returns data [H, W, 3]
 * @throws MnVideoError 'media', one line
 */
export async function decodeImageBytes(
  bytes: Uint8Array,
  shown: string,
): Promise<Size & { readonly data: Uint8Array }> {
  const refuse = (reason: string) =>
    new MnVideoError('media', `${shown}: is not an image that can be read (${reason}).`)
  if (!isPixels(Buffer.from(bytes.subarray(0, 16)).toString('latin1')))
    throw refuse('its content is not JPEG, PNG, WebP, GIF, TIFF or AVIF')
  const sharp = await loadSharp()
  const { data, info } = await sharp(bytes, {
    limitInputPixels: MAX_PIXELS,
    failOn: 'error',
    sequentialRead: true,
  })
    .autoOrient()
    .flatten({ background: '#000' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
    .catch((error: unknown) => Promise.reject(refuse(messageOf(error).split('\n')[0] ?? '')))
  return { data: threeChannels(data, info.channels), width: info.width, height: info.height }
}

/** The part of a picture to decode, all of it where left out, and what to make of it. */
interface Decoding extends ScaleRequest {
  readonly region?: Rectangle
}

async function decode(
  path: string,
  options: PictureOptions,
  choose: (native: Size, shown: string) => Decoding,
): Promise<Clip> {
  const file = await mediaFile(path)
  const refuse = refusalOf(file)
  const open = await opener(file)
  const until = limits(file, options)
  const { autoOrient } = await until(
    open()
      .metadata()
      .catch((error: unknown) => Promise.reject(refuse(error))),
  )
  const { region, ...scaling } = choose(autoOrient, file.shown)
  const picture = open().autoOrient()
  if (region) picture.extract(region)
  const { data, info } = await until(
    picture
      .flatten({ background: '#000' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .timeout({ seconds: Math.ceil(options.deadline ?? DEADLINE) })
      .toBuffer({ resolveWithObject: true })
      .catch((error: unknown) => Promise.reject(refuse(error))),
  )
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
  const until = limits(file, {})
  try {
    const { autoOrient, format } = await until(open().metadata())
    if (decode) await until(open().stats())
    return { ...autoOrient, format: format ?? 'unknown' }
  } catch (error) {
    throw error instanceof MnVideoError ? error : refusalOf(file)(error)
  }
}

/** Seconds. */
const DEADLINE = 60

/**
 * Waits for parts of the work, no longer than the deadline in all and the signal allow. A part that is given up is
 * left to end by itself: libvips looks at no clock in the middle of some formats.
 */
function limits({ shown }: MediaFile, { deadline = DEADLINE, signal }: PictureOptions) {
  const end = performance.now() + deadline * 1000
  return async <T>(work: Promise<T>): Promise<T> => {
    let stop = () => {}
    const stopped = new Promise<never>((_, reject) => {
      const late = () =>
        reject(new MnVideoError('media', `${shown}: was not decoded in ${deadline} s and given up.`))
      const timer = setTimeout(late, end - performance.now())
      const abort = () => {
        try {
          throwIfCancelled(signal, shown)
        } catch (error) {
          reject(error)
        }
      }
      signal?.addEventListener('abort', abort)
      abort()
      stop = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
      }
    })
    try {
      return await Promise.race([work, stopped])
    } finally {
      stop()
    }
  }
}

/**
 * How files of the formats that are read begin: bytes at an offset. They hold all their pixels themselves; what else
 * libvips may have been built with (SVG, PDF, ImageMagick's scripts) can point to files and commands.
 */
const BEGINNINGS: readonly (readonly [offset: number, bytes: string])[] = [
  [0, '\xff\xd8\xff'],
  [0, '\x89PNG\r\n\x1a\n'],
  [0, 'GIF8'],
  [8, 'WEBP'],
  // TIFF and BigTIFF, in both byte orders.
  ...['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].map((bytes) => [0, bytes] as const),
  // AVIF and HEIF; JPEG 2000 and JPEG XL where libvips has them.
  [4, 'ftyp'],
  [4, 'jP  '],
  [4, 'JXL '],
  [0, '\xff\x0a'],
]

const isPixels = (start: string): boolean =>
  BEGINNINGS.some(([offset, bytes]) => start.startsWith(bytes, offset))

/** @throws MnVideoError 'media' for what does not begin as a picture that is read */
async function requirePixels({ path, shown }: MediaFile): Promise<void> {
  const handle = await openFile(path).catch((error: unknown) => {
    throw new MnVideoError('media', `${shown}: cannot be read (${messageOf(error)}).`)
  })
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(16), 0, 16, 0)
    const start = buffer.toString('latin1', 0, bytesRead)
    if (isPixels(start)) return
  } finally {
    await handle.close()
  }
  throw new MnVideoError(
    'media',
    `${shown}: is not an image that can be read (its content is not JPEG, PNG, WebP, GIF, TIFF or AVIF).`,
  )
}

async function opener(file: MediaFile): Promise<() => Sharp> {
  await requirePixels(file)
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
