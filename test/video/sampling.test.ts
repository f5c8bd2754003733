import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseViews } from '../../src/config/views.ts'
import { subsampleFrames } from '../../src/frames/subsample.ts'
import { clipSeconds, clipTimes, framesShownAt, viewStarts } from '../../src/video/sampling.ts'

const x3dM = { frames: 16, stride: 5 }

describe('clip times', () => {
  // PySlowFast: clip_size = τ · T / target_fps · fps; torch.linspace(0, clip_size - 1, T).long().
  it.each([
    ['X3D-XS', { frames: 4, stride: 12 }, 30, [0, 15, 31, 47]],
    ['X3D-S', { frames: 13, stride: 6 }, 30, [0, 6, 12, 19, 25, 32, 38, 44, 51, 57, 64, 70, 77]],
    ['X3D-M', { frames: 16, stride: 5 }, 30, [0, 5, 10, 15, 21, 26, 31, 36, 42, 47, 52, 57, 63, 68, 73, 79]],
    ['Slow 8×8', { frames: 8, stride: 8 }, 30, [0, 9, 18, 27, 36, 45, 54, 63]],
    ['X3D-XS at 25 frames a second', { frames: 4, stride: 12 }, 25, [0, 13, 26, 39]],
    ['X3D-XS at 60 frames a second', { frames: 4, stride: 12 }, 60, [0, 31, 63, 95]],
    ['strides in frames at 15 a second', { frames: 4, stride: 12, rate: 15 }, 30, [0, 31, 63, 95]],
    ['one frame', { frames: 1, stride: 5 }, 30, [0]],
    ['a clip shorter than a frame of the source', { frames: 2, stride: 1 }, 10, [0, 0]],
  ])("show PySlowFast's frames of %s", (_, span, fps, shown) => {
    const times = Array.from({ length: 200 }, (_, i) => i / fps)
    expect(framesShownAt(times, clipTimes(span, 0, 1 / fps))).toEqual(shown)
  })

  it('count in frames of the nominal rate where the source is not known', () => {
    expect(clipTimes({ frames: 4, stride: 4, rate: 30 }, 2)).toEqual(
      [2, 0, 0, 0].map((_, i) => 2 + (i * 15) / 30 / 3),
    )
  })

  it('span T strides', () => {
    expect(clipSeconds(x3dM)).toBeCloseTo((16 * 5) / 30, 12)
  })

  it('refuse spans that are none', () => {
    expect(() => clipTimes({ frames: 0, stride: 5 }, 0)).toThrow(
      'frames: must be a whole number from 1, not 0.',
    )
    expect(() => clipTimes({ frames: 8, stride: 0 }, 0)).toThrow(
      'stride of a clip must be more than 0, not 0.',
    )
    expect(() => clipTimes({ frames: 8, stride: 8, rate: Number.NaN }, 0)).toThrow('rate of a clip')
  })
})

describe('temporal views', () => {
  it('are centred when there is one', () => {
    expect(viewStarts(10, { frames: 8, stride: 15 }, 1)).toEqual([3])
  })

  it('reach from the start to the end when there are several', () => {
    expect(viewStarts(10, { frames: 8, stride: 15 }, 4)).toEqual([0, 2, 4, 6])
  })

  it('all start at 0 where the video is shorter than the clip', () => {
    expect(viewStarts(1, x3dM, 3)).toEqual([0, 0, 0])
  })

  it('stay within the video', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 3, max: 1e4, noNaN: true }),
        fc.integer({ min: 1, max: 20 }),
        (duration, views) => {
          for (const start of viewStarts(duration, x3dM, views)) {
            expect(start).toBeGreaterThanOrEqual(0)
            expect(start + clipSeconds(x3dM)).toBeLessThanOrEqual(duration + 1e-9 * duration)
          }
        },
      ),
    )
  })
})

describe('the frame shown at a moment', () => {
  it('is the last that has begun, the first before it and the last after it', () => {
    expect(framesShownAt([0, 0.1, 0.5, 0.6], [-1, 0, 0.0999, 0.1, 0.3, 0.5, 0.55, 0.6, 7])).toEqual([
      0, 0, 1, 1, 1, 2, 2, 3, 3,
    ])
  })

  it('is not missed by times rounded to milliseconds', () => {
    const rounded = Array.from({ length: 300 }, (_, i) => Math.round((i / 30) * 1000) / 1000)
    const moments = clipTimes({ frames: 300, stride: 1 }, 0)
    expect(framesShownAt(rounded, moments)).toEqual(moments.map((_, i) => i))
  })
})

describe('frames for a sub-network that sees fewer', () => {
  it.each([
    // trunc(linspace(0, T - 1, t)), by hand
    [32, 4, [0, 10, 20, 31]],
    [32, 8, [0, 4, 8, 13, 17, 22, 26, 31]],
    [16, 16, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]],
    [16, 1, [0]],
    [1, 1, [0]],
  ])('of %i takes %i', (total, count, frames) => {
    expect(subsampleFrames(total, count)).toEqual(frames)
  })

  it.each([
    ['float32', Math.fround],
    ['float64', (value: number) => value],
  ])('are those of a %s linspace filled from both ends', (_, round) => {
    for (const total of [...Array(28).keys()].map((i) => i + 1).concat(32)) {
      for (let count = 2; count <= total; count++) {
        const step = round((total - 1) / (count - 1))
        const linspace = Array.from({ length: count }, (_, i) =>
          i < count >> 1 ? round(step * i) : round(total - 1 - round(step * (count - 1 - i))),
        )
        expect(subsampleFrames(total, count)).toEqual(linspace.map(Math.trunc))
      }
    }
  })

  it('cannot be more than there are', () => {
    expect(() => subsampleFrames(8, 9)).toThrow('cannot take 9 frames of a clip that has 8.')
  })
})

describe('views written as text', () => {
  it.each([
    ['10x3', { temporal: 10, spatial: 3 }],
    ['1x1', { temporal: 1, spatial: 1 }],
    [' 4 ', { temporal: 4, spatial: 1 }],
    ['10×3', { temporal: 10, spatial: 3 }],
  ])('%j are read', (text, views) => {
    expect(parseViews(text)).toEqual(views)
  })

  it.each(['', 'x', '10x2', '0x1', '10x3x1', '-1x1', '1.5x1', 'tenx3', '1000x1'])(
    '%j are refused',
    (text) => {
      expect(() => parseViews(text)).toThrow(`views: '${text}' is not TEMPORALxSPATIAL`)
    },
  )
})
