/** What engines check about their inputs, and how bytes become floats. */
import { describe, expect, it } from 'vitest'
import { checkInputs, copyInputs, toFloats } from '../../src/engines/inputs.ts'
import { MnVideoError } from '../../src/errors.ts'
import type { FrameBatch, Inputs } from '../../src/frames/batch.ts'
import { slowfast } from '../../src/models/slowfast.ts'
import { x3d } from '../../src/models/x3d.ts'
import { resolve } from '../../src/network/resolve.ts'

const normalisation = { mean: [0.45, 0.4, 0.5], std: [0.225, 0.25, 0.2] }

const frames = (
  batch: number,
  count: number,
  size: number,
  change: Partial<FrameBatch> = {},
): FrameBatch => ({
  ...{ data: new Uint8Array(batch * count * size * size * 3), batch, frames: count },
  ...{ height: size, width: size },
  ...change,
})

describe('bytes', () => {
  const pixels = frames(1, 1, 2, { data: Uint8Array.of(0, 0, 0, 255, 255, 255, 102, 153, 51, 1, 2, 3) })

  it('become (byte / 255 − mean) / std of their channel', () => {
    const floats = toFloats(pixels, normalisation)
    const expected = [
      ...[-0.45 / 0.225, -0.4 / 0.25, -0.5 / 0.2],
      ...[0.55 / 0.225, 0.6 / 0.25, 0.5 / 0.2],
      ...[(0.4 - 0.45) / 0.225, (0.6 - 0.4) / 0.25, (0.2 - 0.5) / 0.2],
      ...[(1 / 255 - 0.45) / 0.225, (2 / 255 - 0.4) / 0.25, (3 / 255 - 0.5) / 0.2],
    ]
    expect(floats.length).toBe(12)
    expected.forEach((value, i) => {
      expect(floats[i]!).toBeCloseTo(value, 6)
    })
  })

  it('are all normalised as the formula says', () => {
    const data = Uint8Array.from({ length: 256 * 3 }, (_, i) => Math.floor(i / 3))
    const floats = toFloats({ data, batch: 1, frames: 1, height: 16, width: 16 }, normalisation)
    const { mean, std } = normalisation
    const wrong = [...floats].filter(
      (value, i) => value !== Math.fround((data[i]! / 255 - mean[i % 3]!) / std[i % 3]!),
    )
    expect(wrong).toEqual([])
  })

  it('are refused without a mean and std', () => {
    expect(() => toFloats(pixels, undefined)).toThrow(
      new MnVideoError('engine', 'byte inputs need the mean and std to normalise them with.'),
    )
  })
})

describe('floats', () => {
  it('are taken as they are, with or without a normalisation', () => {
    const batch = frames(1, 1, 1, { data: Float32Array.of(-7, 0.5, 300) })
    expect(toFloats(batch, normalisation)).toBe(batch.data)
    expect(toFloats(batch, undefined)).toBe(batch.data)
  })
})

describe('the inputs of a run', () => {
  const video = resolve(x3d({ classes: 5, frames: 4, size: 32 }), { width: 1, frames: 3, size: 16 })
  const both = resolve(slowfast({ classes: 5, frames: 2, size: 32, alpha: 4 }), {
    ...{ width: 0.63, frames: 1, size: 16 },
  })

  it.each([1, 2, 7])('have their common batch size: %i', (batch) => {
    expect(checkInputs(video, { clip: frames(batch, 3, 16) })).toBe(batch)
    expect(checkInputs(both, { slow: frames(batch, 1, 16), fast: frames(batch, 8, 32) })).toBe(batch)
  })

  it('may hold more than the network reads', () => {
    expect(checkInputs(video, { clip: frames(2, 3, 16), other: frames(9, 1, 1) })).toBe(2)
  })

  it.each<[string, Inputs, string]>([
    ['none', {}, 'X3D: input "clip" is missing.'],
    ['another name', { image: frames(1, 3, 16) }, 'X3D: input "clip" is missing.'],
    [
      'too many frames',
      { clip: frames(2, 4, 16) },
      'X3D: input "clip" must be 2×3×16×16×3 values, not 2×4×16×16×3 (6144 given).',
    ],
    ['too large frames', { clip: frames(1, 3, 32) }, 'must be 1×3×16×16×3 values, not 1×3×32×32×3'],
    [
      'frames that are not square',
      { clip: frames(1, 3, 16, { width: 8 }) },
      'must be 1×3×16×16×3 values, not 1×3×16×8×3',
    ],
    [
      'fewer values than it says',
      { clip: frames(1, 3, 16, { data: new Uint8Array(2303) }) },
      'must be 1×3×16×16×3 values, not 1×3×16×16×3 (2303 given).',
    ],
    ['an empty batch', { clip: frames(0, 3, 16) }, 'X3D: input "clip" must be'],
  ])('are refused with %s', (_, inputs, message) => {
    expectRefusal(() => checkInputs(video, inputs), message)
  })

  it.each<[string, Inputs, string]>([
    ['the fast clip missing', { slow: frames(1, 1, 16) }, 'SlowFast R50: input "fast" is missing.'],
    [
      'the fast clip slimmed like the slow one',
      { slow: frames(1, 1, 16), fast: frames(1, 8, 16) },
      'SlowFast R50: input "fast" must be 1×8×32×32×3 values, not 1×8×16×16×3',
    ],
    [
      'unequal batches',
      { slow: frames(2, 1, 16), fast: frames(1, 8, 32) },
      'SlowFast R50: input "fast" must be 2×8×32×32×3 values, not 1×8×32×32×3',
    ],
  ])('of two pathways are refused with %s', (_, inputs, message) => {
    expectRefusal(() => checkInputs(both, inputs), message)
  })
})

function expectRefusal(run: () => unknown, message: string): void {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(MnVideoError)
    expect((error as MnVideoError).code).toBe('engine')
    expect((error as MnVideoError).message).toContain(message)
    return
  }
  throw new Error('nothing was thrown')
}

describe('a copy of inputs', () => {
  it('leaves an array whose memory was given away to the check, which says so', () => {
    const clip = frames(1, 4, 32)
    structuredClone(clip.data.buffer, { transfer: [clip.data.buffer as ArrayBuffer] })
    const subNetwork = resolve(x3d({ classes: 5, frames: 4, size: 32 }), { width: 1, frames: 4, size: 32 })
    expect(() => checkInputs(subNetwork, copyInputs({ clip }))).toThrow(
      'its memory has been transferred or freed',
    )
  })
})
