import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Window, Windows, windowStarts } from '../../../src/inference/streaming/windows.ts'
import { clipTimes, framesShownAt } from '../../../src/video/sampling.ts'

/** A frame of one pixel that carries its number. */
const pixelOf = (number: number) => Uint8Array.of(number & 255, number >> 8, 7)
const numbersIn = ({ frames }: Window) => frames.map((pixels) => pixels[0]! + 256 * pixels[1]!)

function passThrough(windows: Windows, times: readonly number[]): Window[] {
  const found: Window[] = []
  const pixels = new Uint8Array(3)
  times.forEach((time, number) => {
    // One buffer for all frames, as a decoder has it.
    pixels.set(pixelOf(number))
    found.push(...windows.push(time, pixels))
  })
  return [...found, ...windows.end()]
}

describe('windows over passing frames', () => {
  it('hold the frames that are shown at their moments, whatever the frame rate does', () => {
    const gaps = fc.array(fc.double({ min: 0.001, max: 0.4, noNaN: true }), { minLength: 1, maxLength: 200 })
    const property = fc.property(
      gaps,
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 5 }),
      fc.double({ min: 0.05, max: 3, noNaN: true }),
      (gaps, frames, step, stride) => {
        const times = [0]
        for (const gap of gaps) times.push(times.at(-1)! + gap)
        const span = { frames, stride: step, rate: 30 }
        const frame = 1 / 30
        const starts = windowStarts(times.at(-1)! + frame, span, stride)
        const take = Array.from({ length: frames }, (_, i) => i).filter((i) => i % 2 === 0)
        const found = passThrough(new Windows({ span, frame, take, starts }), times)
        expect(found.map(({ start }) => start)).toEqual(starts)
        expect(found.map(({ number }) => number)).toEqual([...starts.keys()])
        for (const window of found) {
          const moments = clipTimes(span, window.start, frame)
          const shown = framesShownAt(
            times,
            take.map((position) => moments[position]!),
          )
          expect(numbersIn(window)).toEqual(shown)
        }
      },
    )
    fc.assert(property, { numRuns: 300, seed: 4 })
  })

  it('are whole as soon as the frame behind their last moment comes, and not before', () => {
    const span = { frames: 2, stride: 15, rate: 30 }
    const windows = new Windows({ span, frame: 1 / 30, take: [0, 1], starts: [0] })
    const last = clipTimes(span, 0, 1 / 30)[1]!
    expect(windows.push(0, pixelOf(0))).toEqual([])
    expect(windows.push(last, pixelOf(1))).toEqual([])
    expect(windows.push(last + 0.1, pixelOf(2)).map(numbersIn)).toEqual([[0, 1]])
  })

  it('reach to the end of the film, evenly but for the last', () => {
    const span = { frames: 8, stride: 2, rate: 32 }
    expect(windowStarts(2.6, span, 0.5)).toEqual([0, 0.5, 1, 1.5, 2, 2.1])
    expect(windowStarts(2.5, span, 0.5)).toEqual([0, 0.5, 1, 1.5, 2])
    expect(windowStarts(0.3, span, 0.5)).toEqual([0])
  })

  it('are none where no frame comes', () => {
    expect(new Windows({ span: { frames: 2, stride: 1 }, frame: 0.1, take: [0], starts: [0] }).end()).toEqual(
      [],
    )
  })
})
