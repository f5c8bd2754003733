import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { randomAt, shuffled } from '../../../src/data/loading/streams.ts'
import {
  cropPadded,
  drawRegion,
  drawTrainingClip,
  jitterColours,
} from '../../../src/data/loading/transforms.ts'
import type { FrameBatch } from '../../../src/frames/batch.ts'
import { cropFrames } from '../../../src/frames/crop.ts'
import { cropRectangle, scaledSize } from '../../../src/frames/geometry.ts'
import type { Random } from '../../../src/network/random.ts'

/** A generator that gives these numbers. */
function scripted(uniforms: readonly number[], normals: readonly number[] = []): Random {
  const [uniform, normal] = [[...uniforms], [...normals]]
  const next = () => uniform.shift() ?? 0
  return {
    uniform: next,
    integer: (n) => Math.floor(next() * n),
    normal: () => normal.shift() ?? 0,
    state: [0, 0, 0, 0],
  }
}

const image = (height: number, width: number): FrameBatch => ({
  data: Uint8Array.from({ length: height * width * 3 }, (_, i) => i),
  batch: 1,
  frames: 1,
  height,
  width,
})

describe('random numbers by place', () => {
  it('follow from the seed and the place, and differ between places', () => {
    const first = (...place: number[]) => randomAt(1995, ...place).uniform()
    expect(first(3, 4)).toBe(first(3, 4))
    const places = [[0], [1], [-1], [0, 0], [0, 1], [1, 0], [3, 4], [4, 3], [-3, 4]]
    expect(new Set(places.map((place) => first(...place))).size).toBe(places.length)
  })

  it('shuffle', () => {
    const order = [...shuffled(100, randomAt(1, 2))]
    expect(order).not.toEqual([...Array(100).keys()])
    expect(order.sort((a, b) => a - b)).toEqual([...Array(100).keys()])
  })
})

describe('a training clip', () => {
  const config = {
    train_short_side: [40, 44] as const,
    image_size: 32,
    scaling: 'antialiased' as const,
    flip: true,
  }
  const video = { width: 90, height: 60, duration: 4 }
  const draw = (seed: number) =>
    drawTrainingClip(randomAt(seed), video, { frames: 8, stride: 5, rate: 20 }, config)

  it('starts where it ends before the video does, on a scale and crop drawn evenly', () => {
    const draws = Array.from({ length: 4000 }, (_, seed) => draw(seed))
    const starts = draws.map(({ times }) => ('start' in times ? times.start! : -1))
    expect(Math.min(...starts)).toBeLessThan(0.01)
    expect(Math.max(...starts)).toBeGreaterThan(1.99)
    expect(Math.max(...starts)).toBeLessThan(2)
    for (const shortSide of [40, 41, 42, 43, 44]) {
      const of = draws.filter((each) => each.shortSide === shortSide)
      expect(of.length / 800).toBeCloseTo(1, 0)
      const tops = new Map<number, number>()
      for (const { crop } of of) {
        const { top, left, width } = cropRectangle(scaledSize(video, shortSide), crop!)
        expect(left + width).toBeLessThanOrEqual(scaledSize(video, shortSide).width)
        tops.set(top, (tops.get(top) ?? 0) + 1)
      }
      expect(tops.size).toBe(shortSide - 32 + 1)
      // Every offset from edge to edge, about equally often.
      for (const count of tops.values()) expect(count / (of.length / tops.size)).toBeCloseTo(1, 0)
    }
    expect(draws.filter(({ flip }) => flip).length / 2000).toBeCloseTo(1, 1)
  })

  it('starts with the video where that is shorter', () => {
    const { times } = drawTrainingClip(
      randomAt(1),
      { ...video, duration: 1 },
      { frames: 8, stride: 5 },
      config,
    )
    expect(times).toMatchObject({ start: 0 })
  })

  it('is not mirrored when that is turned off, and is otherwise the same', () => {
    for (let seed = 0; seed < 20; seed++) {
      const { flip, ...rest } = drawTrainingClip(
        randomAt(seed),
        video,
        { frames: 8, stride: 5, rate: 20 },
        { ...config, flip: false },
      )
      expect(flip).toBe(false)
      expect(draw(seed)).toMatchObject(rest)
    }
  })
})

describe('a training region of an image', () => {
  const sides = fc.integer({ min: 1, max: 3000 })
  it.each(['imagenet1k_basic', 'imagenet1k_mobile'] as const)('lies inside, for %s', (data_transforms) => {
    fc.assert(
      fc.property(sides, sides, fc.nat(), (width, height, seed) => {
        const config = { data_transforms, image_size: 224, scaling: 'antialiased' as const, flip: true }
        const { region, size } = drawRegion(randomAt(seed), { width, height }, config)
        expect(size).toBe(224)
        for (const side of Object.values(region)) expect(side).toBeGreaterThanOrEqual(0)
        expect(Math.min(region.width, region.height)).toBeGreaterThanOrEqual(1)
        expect(region.left + region.width).toBeLessThanOrEqual(width)
        expect(region.top + region.height).toBeLessThanOrEqual(height)
      }),
    )
  })

  it('has the share of the area and the shape that the recipe gives', () => {
    for (const [data_transforms, smallest] of [
      ['imagenet1k_basic', 0.08],
      ['imagenet1k_mobile', 0.25],
    ] as const) {
      const regions = Array.from({ length: 1000 }, (_, seed) =>
        drawRegion(
          randomAt(seed),
          { width: 600, height: 600 },
          { data_transforms, image_size: 224, scaling: 'antialiased' as const, flip: true },
        ),
      )
      const areas = regions.map(({ region }) => (region.width * region.height) / 360_000)
      expect(Math.min(...areas)).toBeGreaterThan(smallest - 0.005)
      expect(Math.min(...areas)).toBeLessThan(smallest + 0.05)
      expect(Math.max(...areas)).toBeGreaterThan(0.9)
      const ratios = regions.map(({ region }) => region.width / region.height)
      expect(Math.min(...ratios)).toBeGreaterThan(0.74)
      expect(Math.max(...ratios)).toBeLessThan(1.35)
    }
  })
})

describe('a crop of a padded image', () => {
  it('reflects at the edges without repeating them', () => {
    const row = image(1, 5)
    const cut = (left: number, width: number, flip = false) => {
      const { data } = cropFrames(row, { left, top: 0, width, height: 1 }, flip)
      return [...data].filter((_, i) => i % 3 === 0).map((value) => value / 3)
    }
    expect(cut(-3, 11)).toEqual([3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1])
    expect(cut(1, 3, true)).toEqual([3, 2, 1])
    expect(cropFrames(row, { left: 0, top: 0, width: 5, height: 1 })).toBe(row)
  })

  it("moves CIFAR's image by up to 4 pixels each way", () => {
    const original = image(8, 8)
    const config = { image_size: 8, flip: true }
    expect(cropPadded(scripted([4 / 9, 4 / 9, 0.9]), original, config)).toEqual(original)
    expect(cropPadded(scripted([0, 8.5 / 9, 0.4]), original, config)).toEqual(
      cropFrames(original, { left: -4, top: 4, width: 8, height: 8 }, true),
    )
    expect(cropPadded(scripted([4 / 9, 4 / 9, 0.9]), original, { ...config, image_size: 6 })).toMatchObject({
      height: 6,
      width: 6,
    })
  })
})

describe('colour jitter', () => {
  /** Factors as shares of 0.6 to 1.4, then the order: brightness first, then contrast, then saturation. */
  const jitter = (pixels: number[], factors: [number, number, number], normals = [0, 0, 0]) => {
    const bytes = Uint8Array.from(pixels)
    jitterColours(scripted([...factors.map((factor) => (factor - 0.6) / 0.8), 0, 0], normals), bytes)
    return [...bytes]
  }

  it('leaves the image as it is when all factors are 1', () => {
    const pixels = Array.from({ length: 300 }, (_, i) => (i * 37) % 256)
    expect(jitter(pixels, [1, 1, 1])).toEqual(pixels)
  })

  it('scales brightness, clamped to bytes', () => {
    expect(jitter([10, 100, 200, 0, 1, 255], [1.4, 1, 1])).toEqual([14, 140, 255, 0, 1, 255])
    expect(jitter([10, 100, 200], [0.6, 1, 1])).toEqual([6, 60, 120])
  })

  it("scales contrast about the image's mean luma", () => {
    // Luma 50 and 150, mean 100.
    expect(jitter([50, 50, 50, 150, 150, 150], [1, 0.6, 1])).toEqual([70, 70, 70, 130, 130, 130])
    expect(jitter([50, 50, 50, 150, 150, 150], [1, 1.4, 1])).toEqual([30, 30, 30, 170, 170, 170])
  })

  it("scales saturation about each pixel's luma", () => {
    // Luma 0.299 · 200 + 0.587 · 100 + 0.114 · 50 = 124.2.
    expect(jitter([200, 100, 50], [1, 1, 0.6])).toEqual([170, 110, 80])
    expect(jitter([70, 70, 70], [1, 1, 1.4])).toEqual([70, 70, 70])
  })

  it("adds light along ImageNet's principal components", () => {
    // 255 · 0.1 · 0.2175 · (−0.5675, −0.5808, −0.5836) = (−3.15, −3.22, −3.24)
    expect(jitter([100, 100, 100], [1, 1, 1], [1, 0, 0])).toEqual([97, 97, 97])
    // 255 · 0.1 · 0.0188 · 10 · (0.7192, −0.0045, −0.6948) = (3.45, −0.02, −3.33)
    expect(jitter([100, 100, 100], [1, 1, 1], [0, 10, 0])).toEqual([103, 100, 97])
  })
})
