import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/index.ts'
import { ignoredKeys } from '../../src/config/schema.ts'
import { parseViews } from '../../src/config/views.ts'
import { MODELS } from '../../src/models/index.ts'
import { describeKeys } from '../support/describe-keys.ts'

const load = (...lines: string[]) => parseConfig(lines.join('\n'), 'c.yml')

describe('defaults', () => {
  it('follow the variant of X3D', () => {
    const of = (variant: string) => {
      const c = load('model: x3d', `variant: ${variant}`)
      return [
        c.frames,
        c.frame_stride,
        c.image_size,
        c.depth_factor,
        c.short_side,
        ...c.train_short_side,
        c.num_epochs,
      ]
    }
    // Frames × stride, crops and scales as PySlowFast trains and tests them.
    expect(of('xs')).toEqual([4, 12, 160, 2.2, 182, 182, 228, 300])
    expect(of('s')).toEqual([13, 6, 160, 2.2, 182, 182, 228, 300])
    expect(of('m')).toEqual([16, 5, 224, 2.2, 256, 256, 320, 300])
    expect(of('l')).toEqual([16, 5, 312, 5, 356, 356, 446, 256])
  })

  it('follow keys that were given', () => {
    const config = load('model: x3d', 'frames: 8', 'image_size: 112', 'batch_size: 32', 'num_epochs: 10')
    expect(config).toMatchObject({
      frames_list: [8, 6, 5, 3],
      resolution_list: [112, 96, 80, 64],
      short_side: 128,
      lr: 0.025,
      warmup_lr: 0.01,
      warmup_epochs: 2,
    })
    expect(load('model: slow', 'batch_size: 8', 'accumulate: 4').lr).toBe(0.05)
    expect(load('model: slow', 'width_mult_range: [0.8, 1]').width_mult_list).toEqual([0.8, 0.83, 0.9, 1])
    expect(load('model: mobilenet_v2', 'dataset: cifar10')).toMatchObject({
      num_classes: 10,
      image_size: 32,
      image_resize: 32,
    })
  })

  it('give SlowFast 32 fast frames at both published settings', () => {
    expect(load('model: slowfast').alpha).toBe(8)
    expect(load('model: slowfast', 'frames: 8', 'frame_stride: 8').alpha).toBe(4)
  })

  it('keep lists sensible for the smallest networks', () => {
    for (let size = 1; size <= 400; size++) {
      const config = load('model: x3d', 'frames: 1', `image_size: ${size}`)
      expect(config.frames_list).toEqual([1])
      expect(config.resolution_list[0]).toBe(size)
      expect(config.resolution_list.every((value) => value >= 1 && value <= size)).toBe(true)
      expect(config.short_side).toBeGreaterThanOrEqual(size)
    }
  })

  it('are one frame and no video keys for images', () => {
    for (const { name } of MODELS.filter(({ media }) => media === 'image')) {
      expect(load(`model: ${name}`)).toMatchObject({
        frames: 1,
        frames_list: [1],
        frame_stride: 1,
        alpha: 1,
        views: '1x1',
      })
    }
  })
})

describe('a configuration', () => {
  it('cannot be changed', () => {
    const config = load('model: x3d')
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.isFrozen(config.frames_list)).toBe(true)
  })

  it('says how many views and crops', () => {
    expect(parseViews('10x3')).toEqual({ temporal: 10, spatial: 3 })
    expect(parseViews('1x1')).toEqual({ temporal: 1, spatial: 1 })
  })
})

describe('the reference of keys', () => {
  it('has a sentence, a kind and a default for every key', () => {
    for (const { name, doc, expected, default: value } of describeKeys()) {
      expect(doc, name).toMatch(/^\S.*\.$/)
      expect(expected, name).not.toBe('')
      if (name !== 'model') expect(value, name).not.toBe('')
    }
    expect(Object.values(ignoredKeys).every((reason) => reason.length > 0)).toBe(true)
  })
})
