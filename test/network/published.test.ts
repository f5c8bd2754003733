/** The costs that the MutualNet paper's curves were drawn at: GFLOPs per clip, read off its figures. */
import { describe, expect, it } from 'vitest'
import { resolve } from '../../src/network/resolve.ts'
import { VIDEO_NETWORKS } from '../support/reference.ts'

/** [GFLOPs, frames, size, width] */
const CURVES: Record<string, [number, number, number, number][]> = {
  'Slow-R50-8x8': [
    [54.5, 8, 256, 1],
    [41.7, 8, 224, 1],
    [29.3, 8, 224, 0.83],
    [22.6, 8, 224, 0.73],
    [16.6, 8, 224, 0.63],
    [10.4, 5, 224, 0.63],
    [7.3, 5, 184, 0.63],
    [4.4, 3, 184, 0.63],
    [2.7, 3, 144, 0.63],
  ],
  'SlowFast-R50-4x16': [
    [36.1, 4, 256, 1],
    [27.6, 4, 224, 1],
    [22.1, 3, 224, 1],
    [17.35, 3, 224, 0.83],
    [14.7, 3, 224, 0.73],
    [12.4, 3, 224, 0.63],
    [10.2, 2, 224, 0.63],
    [8.8, 2, 184, 0.63],
    [8.3, 2, 144, 0.73],
    [7.6, 2, 144, 0.63],
  ],
  'X3D-M': [
    [4.73, 16, 224, 1],
    [3.85, 13, 224, 1],
    [2.96, 10, 224, 1],
    [1.78, 6, 224, 1],
  ],
}

describe.each(Object.entries(CURVES))('the points of MutualNet-%s', (name, points) => {
  it.each(points)(
    'cost %d GFLOPs at %d frames of %d², width %d, within 1.5 %%',
    (gflops, frames, size, width) => {
      const { macs } = resolve(VIDEO_NETWORKS[name]!(), { width, frames, size })
      expect(Math.abs(macs / 1e9 - gflops) / gflops).toBeLessThan(0.015)
    },
  )
})
