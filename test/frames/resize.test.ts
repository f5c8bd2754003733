/** Bilinear resizing with aligned corners, against hand-computed values and a plain loop in double precision. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { FrameBatch } from '../../src/frames/batch.ts'
import { resizeFrames } from '../../src/frames/resize.ts'

/** One frame of three equal channels. */
function grey(rows: readonly (readonly number[])[], bytes = false): FrameBatch {
  const values = rows.flat().flatMap((value) => [value, value, value])
  const data = bytes ? Uint8Array.from(values) : Float32Array.from(values)
  return { data, batch: 1, frames: 1, height: rows.length, width: rows[0]!.length }
}

/** The first channel of the first frame, row by row. */
function rowsOf({ data, height, width }: FrameBatch): number[][] {
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => data[(y * width + x) * 3]!),
  )
}

/** The definition: output i lies at i · (from − 1) / (to − 1), between its two neighbours. */
function reference({ data, batch, frames, height, width }: FrameBatch, size: number): Float64Array {
  const result = new Float64Array(batch * frames * size * size * 3)
  const at = (i: number, from: number) => (size === 1 ? 0 : (i * (from - 1)) / (size - 1))
  let target = 0
  for (let image = 0; image < batch * frames; image++) {
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        for (let c = 0; c < 3; c++) {
          const [y, x] = [at(i, height), at(j, width)]
          let sum = 0
          for (const row of [Math.floor(y), Math.floor(y) + 1]) {
            for (const column of [Math.floor(x), Math.floor(x) + 1]) {
              const weight = (1 - Math.abs(y - row)) * (1 - Math.abs(x - column))
              if (weight > 0) sum += weight * data[((image * height + row) * width + column) * 3 + c]!
            }
          }
          result[target++] = sum
        }
      }
    }
  }
  return result
}

describe('resizing with aligned corners', () => {
  it('keeps the corners and steps evenly between them', () => {
    expect(
      rowsOf(
        resizeFrames(
          grey([
            [0, 6],
            [12, 18],
          ]),
          4,
        ),
      ),
    ).toEqual([
      [0, 2, 4, 6],
      [4, 6, 8, 10],
      [8, 10, 12, 14],
      [12, 14, 16, 18],
    ])
  })

  it('takes every other value of 5 for 3', () => {
    const rows = [0, 1, 2, 3, 4].map((y) => [0, 1, 2, 3, 4].map((x) => 10 * y + x * x))
    expect(rowsOf(resizeFrames(grey(rows), 3))).toEqual([
      [0, 4, 16],
      [20, 24, 36],
      [40, 44, 56],
    ])
  })

  it('blends where positions fall between: 4 to 3', () => {
    // Positions 0, 1.5 and 3.
    const row = [0, 8, 16, 64]
    expect(rowsOf(resizeFrames(grey([row, row, row, row]), 3))[1]).toEqual([0, 12, 64])
  })

  it('makes a square of frames that are not', () => {
    expect(rowsOf(resizeFrames(grey([[0, 4, 8]]), 2))).toEqual([
      [0, 8],
      [0, 8],
    ])
  })

  it('to one pixel takes the first, as PyTorch does', () => {
    expect(
      rowsOf(
        resizeFrames(
          grey([
            [7, 1],
            [2, 3],
          ]),
          1,
        ),
      ),
    ).toEqual([[7]])
  })

  it('from one pixel repeats it', () => {
    expect(rowsOf(resizeFrames(grey([[5]]), 3))).toEqual([
      [5, 5, 5],
      [5, 5, 5],
      [5, 5, 5],
    ])
  })

  it('returns the very same frames when nothing changes', () => {
    const frames = grey([
      [1, 2],
      [3, 4],
    ])
    expect(resizeFrames(frames, 2)).toBe(frames)
  })

  it('rounds bytes to the nearest and leaves them bytes', () => {
    const resized = resizeFrames(
      grey(
        [
          [0, 10],
          [0, 10],
        ],
        true,
      ),
      4,
    )
    expect(resized.data).toBeInstanceOf(Uint8Array)
    expect(resized.data).not.toBeInstanceOf(Uint8ClampedArray)
    // 3⅓ and 6⅔.
    expect(rowsOf(resized)[0]).toEqual([0, 3, 7, 10])
  })

  it('leaves floats unrounded', () => {
    const resized = resizeFrames(
      grey([
        [0, 10],
        [0, 10],
      ]),
      4,
    )
    expect(resized.data).toBeInstanceOf(Float32Array)
    expect(rowsOf(resized)[0]![1]).toBeCloseTo(10 / 3, 6)
  })

  it('does not change what it was given', () => {
    const frames = grey(
      [
        [1, 2],
        [3, 4],
      ],
      true,
    )
    const copy = frames.data.slice()
    resizeFrames(frames, 5)
    expect(frames.data).toEqual(copy)
  })

  it('agrees with its definition for any batch, frames, sides and channels', () => {
    const side = fc.integer({ min: 1, max: 9 })
    const few = fc.integer({ min: 1, max: 3 })
    fc.assert(
      fc.property(few, few, side, side, side, fc.boolean(), (batch, frames, height, width, size, bytes) => {
        const length = batch * frames * height * width * 3
        const value = (i: number) => (i * 2654435761) % 256
        const data = bytes
          ? Uint8Array.from({ length }, (_, i) => value(i))
          : Float32Array.from({ length }, (_, i) => value(i) / 64 - 2)
        const source = { data, batch, frames, height, width }
        const resized = resizeFrames(source, size)
        expect(resized).toMatchObject({ batch, frames, height: size, width: size })
        const expected = reference(source, size)
        expect(resized.data.length).toBe(expected.length)
        const largest = expected.reduce(
          (worst, exact, i) => Math.max(worst, Math.abs(resized.data[i]! - exact)),
          0,
        )
        // A byte may lie half away from the exact value; at a tie either neighbour is right.
        expect(largest).toBeLessThanOrEqual(bytes ? 0.5 + 1e-9 : 1e-6)
      }),
      { seed: 1995, numRuns: 150 },
    )
  })
})
