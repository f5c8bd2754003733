import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/index.ts'
import { randomAt } from '../../src/data/loading/streams.ts'
import { drawSubNetworks } from '../../src/training/draw.ts'

const config = (text: string) => parseConfig(`model: x3d\n${text}`, 'test.yml')
const draws = (text: string, count = 2000) => {
  const parsed = config(text)
  return Array.from({ length: count }, (_, step) => drawSubNetworks(parsed, randomAt(7, step)))
}

describe('sub-networks of a step', () => {
  it('mutualnet: the full one, the narrowest and two random ones, each at a random size and frame count', () => {
    const all = draws('')
    for (const drawn of all) {
      expect(drawn.map(({ name }) => name)).toEqual(['full', 'narrowest', 'random_1', 'random_2'])
      expect(drawn[0]!.configuration).toEqual({ width: 1, frames: 16, size: 224 })
      expect(drawn[1]!.configuration.width).toBe(0.63)
      for (const { configuration } of drawn.slice(1)) {
        expect([16, 13, 10, 6]).toContain(configuration.frames)
        expect([224, 192, 160, 128]).toContain(configuration.size)
      }
    }
    for (const [i, share] of [1, 2, 3].entries()) {
      const smallest = all.filter((drawn) => drawn[share]!.configuration.size === 128).length
      expect(smallest / all.length, `slot ${i}`).toBeCloseTo(1 / 4, 1)
    }
    const widths = all.map((drawn) => drawn[2]!.configuration.width)
    expect(Math.min(...widths)).toBe(0.63)
    expect(Math.max(...widths)).toBe(1)
    expect(widths.reduce((sum, width) => sum + width, 0) / widths.length).toBeCloseTo(0.815, 2)
  })

  it('rounds random widths to width_step, or leaves them', () => {
    for (const drawn of draws('width_step: 0.05', 50)) {
      const { width } = drawn[2]!.configuration
      expect(width === 0.63 || Math.abs(width * 20 - Math.round(width * 20)) < 1e-9).toBe(true)
    }
    const exact = draws('width_step: 0', 50).map((drawn) => drawn[2]!.configuration.width)
    expect(new Set(exact).size).toBe(50)
  })

  it('us_net: the same widths at full size and frames; independent: the full one alone', () => {
    for (const drawn of draws('method: us_net', 20)) {
      expect(drawn).toHaveLength(4)
      for (const { configuration } of drawn) expect(configuration).toMatchObject({ frames: 16, size: 224 })
    }
    for (const drawn of draws('method: independent\nwidth_mult_range: [0.63, 0.63]', 5)) {
      expect(drawn).toEqual([{ name: 'full', configuration: { width: 0.63, frames: 16, size: 224 } }])
    }
  })

  it('follows from the generator alone', () => {
    expect(draws('', 3)).toEqual(draws('', 3))
  })
})
