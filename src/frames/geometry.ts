/**
 * Scaling the short side and placing a square crop, in whole pixels; the same rules for images and video.
 */
import { MnVideoError } from '../errors.ts'
import { any, flag, type OptionTable, object } from '../options.ts'

/** Pixels. */
export interface Size {
  readonly width: number
  readonly height: number
}

export interface Rectangle extends Size {
  readonly left: number
  readonly top: number
}

/**
 * Where a crop lies. Along the long side 'start' is the left or top end and 'end' the right or bottom one, the
 * short side staying centred; x and y are the shares (0 to 1) of the free room that lie left of and above it.
 */
export type CropPosition = 'start' | 'centre' | 'end' | { readonly x: number; readonly y: number }

/** A square cut out of the scaled picture. */
export interface Crop {
  /** Pixels a side. */
  readonly size: number
  readonly position: CropPosition
  /** Which way a centred crop goes by half a pixel: up, as PySlowFast's (default), or to the even one, as torchvision's. */
  readonly halves?: 'up' | 'even'
}

/**
 * How pictures are scaled, by a triangle filter either way: antialiased averages all pixels under a new one when reducing (PIL, and FFmpeg
 * but for rounding), bilinear reads the four around its centre, whatever the size (PyTorch's `interpolate`, with which
 * PySlowFast and PyTorchVideo scale).
 */
export type Scaling = 'antialiased' | 'bilinear'

/** What to make of a picture. */
export interface PictureRequest {
  /** Scales so that the short side has this many pixels, aspect kept; left out, the native size is kept. */
  readonly shortSide?: number
  /** Antialiased where left out. */
  readonly scaling?: Scaling
  readonly crop?: Crop
  /** Mirrors left and right, after cropping. */
  readonly flip?: boolean
}

/** The sizes and the crop are checked where the picture is planned. */
export const PICTURE_OPTIONS: OptionTable<PictureRequest> = {
  shortSide: any,
  scaling: any,
  crop: object,
  flip: flag,
}

/** A picture may have at most this many pixels a side, and MAX_PIXELS in all, before and after scaling. */
export const MAX_SIDE = 16_384
export const MAX_PIXELS = 2 ** 26
/** The most bytes of pixels that one call decodes. */
export const MAX_BYTES = 2 ** 30

/** How a picture of a given size becomes the requested one. */
export interface PictureLayout {
  readonly native: Size
  readonly scaled: Size
  readonly isScaled: boolean
  readonly scaling: Scaling
  readonly crop: Rectangle | undefined
  readonly flip: boolean
  /** The size that comes out. */
  readonly output: Size
}

/** @throws MnVideoError 'media' naming the file where sizes are out of bounds or the crop does not fit */
export function layOutPicture(shown: string, native: Size, request: PictureRequest): PictureLayout {
  requireSide(shown, 'short side', request.shortSide)
  requireSide(shown, 'crop', request.crop?.size)
  requireBounded(shown, 'is', native)
  requireScaling(shown, request.scaling)
  const scaled = request.shortSide === undefined ? native : scaledSize(native, request.shortSide)
  requireBounded(shown, 'would be scaled to', scaled)
  const crop = request.crop && cropRectangle(scaled, request.crop)
  if (crop && (crop.width > scaled.width || crop.height > scaled.height)) {
    throw new MnVideoError(
      'media',
      `${shown}: a crop of ${crop.width} does not fit in ${scaled.width}x${scaled.height}. Scale the short side to at least ${crop.width}.`,
    )
  }
  if (crop && !(crop.left >= 0 && crop.top >= 0 && crop.left <= scaled.width && crop.top <= scaled.height)) {
    throw new MnVideoError(
      'media',
      `${shown}: position of a crop: must be 'start', 'centre', 'end' or shares { x, y } from 0 to 1.`,
    )
  }
  return {
    native: { width: native.width, height: native.height },
    scaled,
    isScaled: request.shortSide !== undefined,
    scaling: request.scaling ?? 'antialiased',
    crop,
    flip: request.flip ?? false,
    output: crop ?? scaled,
  }
}

/** @throws MnVideoError 'media' where one call would hold more pixels than is allowed */
export function requireBytes(shown: string, bytes: number): void {
  if (bytes <= MAX_BYTES) return
  throw new MnVideoError(
    'media',
    `${shown}: the frames asked for take ${Math.ceil(bytes / 2 ** 20)} MiB, more than ${MAX_BYTES / 2 ** 20}. Ask for fewer or smaller ones.`,
  )
}

/** The long side is rounded down, as in PySlowFast. */
export function scaledSize({ width, height }: Size, shortSide: number): Size {
  return width < height
    ? { width: shortSide, height: Math.floor((height * shortSide) / width) }
    : { width: Math.floor((width * shortSide) / height), height: shortSide }
}

export function cropRectangle(picture: Size, { size, position, halves = 'up' }: Crop): Rectangle {
  const room = { x: picture.width - size, y: picture.height - size }
  const along = position === 'start' ? 0 : position === 'end' ? 1 : 0.5
  const landscape = picture.width >= picture.height
  const share =
    typeof position === 'object' ? position : { x: landscape ? along : 0.5, y: landscape ? 0.5 : along }
  const offset = (exact: number) => {
    const isHalf = Math.abs(exact % 1) === 0.5
    return halves === 'even' ? (isHalf ? 2 * Math.round(exact / 2) : Math.round(exact)) : Math.ceil(exact)
  }
  return { left: offset(room.x * share.x), top: offset(room.y * share.y), width: size, height: size }
}

function requireScaling(shown: string, scaling: Scaling = 'antialiased'): void {
  if (scaling === 'antialiased' || scaling === 'bilinear') return
  throw new MnVideoError('media', `${shown}: scaling: must be antialiased or bilinear, not ${scaling}.`)
}

function requireSide(shown: string, name: string, value: number | undefined): void {
  if (value === undefined || (Number.isInteger(value) && value >= 1)) return
  throw new MnVideoError('media', `${shown}: ${name}: must be a whole number of pixels from 1, not ${value}.`)
}

function requireBounded(shown: string, verb: string, { width, height }: Size): void {
  if (width <= MAX_SIDE && height <= MAX_SIDE && width * height <= MAX_PIXELS) return
  throw new MnVideoError(
    'media',
    `${shown}: ${verb} ${width}x${height}; pictures of at most ${MAX_SIDE} pixels a side and ${MAX_PIXELS / 2 ** 20} Mi pixels are read.`,
  )
}
