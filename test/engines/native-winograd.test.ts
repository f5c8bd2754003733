import { describe, expect, it } from 'vitest'
import { type WinogradUse, winogradSizes } from '../../src/engines/native/winograd.ts'
import type { Triple } from '../../src/network/graph.ts'

const PLANE: Triple = [1, 3, 3]
const LINE: Triple = [3, 1, 1]

interface Sizes {
  readonly frames?: number
  readonly size?: number
  readonly inChannels?: number
  readonly outChannels?: number
  readonly batch?: number
  readonly stride?: Triple
  readonly padding?: Triple
  readonly use?: WinogradUse
}

function takes(kernel: Triple, sizes: Sizes): boolean {
  const { frames = 8, size = 14, inChannels = 256, outChannels = 256, batch = 1 } = sizes
  const { stride = [1, 1, 1], use = 'constant' } = sizes
  const padding: Triple = sizes.padding ?? (kernel === PLANE ? [0, 1, 1] : [1, 0, 0])
  const shape = { frames, height: size, width: size, channels: outChannels }
  const found = winogradSizes({ kernel, stride, padding }, batch, shape, inChannels, outChannels, use)
  if (found) expect(found.extent).toEqual([batch, frames, size, size])
  return found !== undefined
}

describe('convolutions by Winograd filtering', () => {
  it.each([
    [56, 64],
    [28, 128],
    [14, 256],
    [7, 512],
  ])('are those of Slow at %i² with %i channels', (size, channels) => {
    for (const use of ['constant', 'changing', 'gradient'] as const) {
      expect(takes(PLANE, { size, inChannels: channels, outChannels: channels, use })).toBe(true)
      expect(takes(LINE, { size, inChannels: 4 * channels, outChannels: channels, use })).toBe(true)
    }
  })

  it('have stride 1 and a border of zeros', () => {
    expect(takes(PLANE, { stride: [1, 2, 2] })).toBe(false)
    expect(takes(PLANE, { padding: [0, 0, 0] })).toBe(false)
    expect(takes([3, 3, 3], { padding: [1, 1, 1] })).toBe(false)
    expect(takes([1, 1, 1], { padding: [0, 0, 0] })).toBe(false)
  })

  it('have enough channels to pay for the transforms', () => {
    expect(takes(PLANE, { size: 56, inChannels: 16, outChannels: 16 })).toBe(true)
    expect(takes(PLANE, { size: 56, inChannels: 8, outChannels: 8 })).toBe(false)
    expect(takes(PLANE, { size: 56, inChannels: 3, outChannels: 64 })).toBe(false)
  })

  it('fill their tiles', () => {
    expect(takes(PLANE, { size: 5 })).toBe(true)
    expect(takes(PLANE, { size: 2 })).toBe(false)
    expect(takes(LINE, { frames: 3 })).toBe(true)
    expect(takes(LINE, { frames: 2 })).toBe(false)
    expect(takes(LINE, { frames: 1 })).toBe(false)
  })

  it('have enough positions where the weights change', () => {
    expect(takes(PLANE, { frames: 1, size: 7, use: 'constant' })).toBe(true)
    expect(takes(PLANE, { frames: 1, size: 7, use: 'changing' })).toBe(false)
    expect(takes(PLANE, { frames: 1, size: 7, use: 'changing', batch: 16 })).toBe(true)
  })

  it('are the same for every batch where weights are constant, because batches share them', () => {
    for (const size of [5, 6, 7, 9, 11])
      for (const channels of [12, 24, 48, 96])
        for (const batch of [2, 3, 64]) {
          const sizes = { size, inChannels: channels, outChannels: channels }
          expect(takes(PLANE, { ...sizes, batch })).toBe(takes(PLANE, sizes))
        }
  })
})
