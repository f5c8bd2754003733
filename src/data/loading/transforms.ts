/**
 * What training draws for each sample: pure functions of a random generator and a sample's size. Decoding is
 * `loader.ts`'s business.
 */
import type { Config } from '../../config/index.ts'
import type { FrameBatch } from '../../frames/batch.ts'
import { cropFrames } from '../../frames/crop.ts'
import { type Rectangle, type Size, scaledSize } from '../../frames/geometry.ts'
import { resizeFrames } from '../../frames/resize.ts'
import type { ImageRegion } from '../../image/decode.ts'
import type { Random } from '../../network/random.ts'
import type { ClipRequest } from '../../video/decode.ts'
import { type ClipSpan, clipSeconds } from '../../video/sampling.ts'

/**
 * PySlowFast's training clip: a uniform start, the short side drawn from `train_short_side` in whole pixels, a
 * uniform crop, and a mirror image half of the time.
 *
 * @param video pixels as displayed, and seconds
 */
export function drawTrainingClip(
  random: Random,
  video: Size & { readonly duration: number },
  span: ClipSpan,
  config: Pick<Config, 'train_short_side' | 'image_size' | 'scaling' | 'flip'>,
): ClipRequest {
  const [shortest, longest] = config.train_short_side
  const size = config.image_size
  const start = random.uniform() * Math.max(0, video.duration - clipSeconds(span))
  const shortSide = shortest + random.integer(longest - shortest + 1)
  const scaled = scaledSize(video, shortSide)
  return {
    times: { ...span, start },
    shortSide,
    scaling: config.scaling,
    crop: {
      size,
      position: { x: drawShare(random, scaled.width - size), y: drawShare(random, scaled.height - size) },
    },
    flip: drawFlip(random, config),
  }
}

/** The least area that a random crop may have, of the image's. */
const SMALLEST_AREA = { imagenet1k_basic: 0.08, imagenet1k_mobile: 0.25 } as const

/**
 * torchvision's RandomResizedCrop and flip: a region of a uniform share of the area and a log-uniform aspect
 * ratio in 3/4 to 4/3; after ten that do not fit, the largest centred one of an allowed ratio.
 */
export function drawRegion(
  random: Random,
  native: Size,
  config: Pick<Config, 'data_transforms' | 'image_size' | 'scaling' | 'flip'>,
): ImageRegion {
  const { image_size: size, scaling } = config
  const flip = drawFlip(random, config)
  const smallest = SMALLEST_AREA[config.data_transforms]
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = native.width * native.height * drawBetween(random, smallest, 1)
    const ratio = Math.exp(drawBetween(random, Math.log(3 / 4), Math.log(4 / 3)))
    const width = Math.round(Math.sqrt(area * ratio))
    const height = Math.round(Math.sqrt(area / ratio))
    if (width < 1 || height < 1 || width > native.width || height > native.height) continue
    const top = random.integer(native.height - height + 1)
    const left = random.integer(native.width - width + 1)
    return { region: { left, top, width, height }, size, flip, scaling }
  }
  return { region: centredRegion(native), size, flip, scaling }
}

/** CIFAR's training crop: padded by 4 reflected pixels on each side, cropped to its own size, mirrored. */
export function cropPadded(
  random: Random,
  image: FrameBatch,
  config: Pick<Config, 'image_size' | 'flip'>,
): FrameBatch {
  const { width, height } = image
  const region = { left: random.integer(9) - 4, top: random.integer(9) - 4, width, height }
  return resizeFrames(cropFrames(image, region, drawFlip(random, config)), config.image_size)
}

/** Principal components of ImageNet's RGB values in 0..1, and their standard deviations (Krizhevsky et al. 2012). */
const PCA = {
  deviations: [0.2175, 0.0188, 0.0045],
  vectors: [
    [-0.5675, 0.7192, 0.4009],
    [-0.5808, -0.0045, -0.814],
    [-0.5836, -0.6948, 0.4203],
  ],
} as const
const JITTER = 0.4
const LIGHTING = 0.1

/**
 * ImageNet's colour augmentation on bytes, in place: brightness, contrast and saturation each by a factor of 1 ± 0.4,
 * in random order and clamped as torchvision's ColorJitter; then PCA lighting of deviation 0.1. Everything is
 * computed in floats and rounded to bytes once, at the end: normalisation comes after it, in the engine.
 */
export function jitterColours(random: Random, pixels: Uint8Array): void {
  const factors = Array.from({ length: 3 }, () => drawBetween(random, 1 - JITTER, 1 + JITTER))
  const values = Float32Array.from(pixels)
  for (const which of shuffledThree(random)) {
    const factor = factors[which]!
    if (which === 0) blend(values, factor, () => 0)
    else if (which === 1) {
      const mean = meanLuma(values)
      blend(values, factor, () => mean)
    } else blend(values, factor, luma)
  }
  const amounts = PCA.deviations.map((deviation) => random.normal() * LIGHTING * deviation * 255)
  const light = PCA.vectors.map((row) => row.reduce((sum, part, k) => sum + part * amounts[k]!, 0))
  for (let i = 0; i < values.length; i++) {
    pixels[i] = clamp(Math.round(values[i]! + light[i % 3]!))
  }
}

/** Moves every pixel away from, or towards, what `target` says of it. */
function blend(
  values: Float32Array,
  factor: number,
  target: (r: number, g: number, b: number) => number,
): void {
  for (let i = 0; i < values.length; i += 3) {
    const rest = (1 - factor) * target(values[i]!, values[i + 1]!, values[i + 2]!)
    for (let c = i; c < i + 3; c++) values[c] = clamp(factor * values[c]! + rest)
  }
}

const luma = (r: number, g: number, b: number): number => 0.299 * r + 0.587 * g + 0.114 * b

function meanLuma(values: Float32Array): number {
  let sum = 0
  for (let i = 0; i < values.length; i += 3) sum += luma(values[i]!, values[i + 1]!, values[i + 2]!)
  return (3 * sum) / values.length
}

const clamp = (value: number): number => (value < 0 ? 0 : value > 255 ? 255 : value)

const drawBetween = (random: Random, low: number, high: number): number =>
  low + random.uniform() * (high - low)

/** Drawn whether or not it is used, so that the key changes nothing else. */
const drawFlip = (random: Random, { flip }: Pick<Config, 'flip'>): boolean => random.uniform() < 0.5 && flip

/** A share of the free room that `cropRectangle` turns into each whole offset from 0 to room equally often. */
function drawShare(random: Random, room: number): number {
  const offset = random.integer(Math.max(0, room) + 1)
  return offset === 0 ? 0 : (offset - 0.5) / room
}

function shuffledThree(random: Random): number[] {
  const order = [0, 1, 2]
  const first = order.splice(random.integer(3), 1)
  return [...first, ...(random.integer(2) === 0 ? order : order.reverse())]
}

function centredRegion({ width, height }: Size): Rectangle {
  const region = {
    width: Math.min(width, Math.round((height * 4) / 3)),
    height: Math.min(height, Math.round((width * 4) / 3)),
  }
  return {
    ...region,
    left: Math.floor((width - region.width) / 2),
    top: Math.floor((height - region.height) / 2),
  }
}
