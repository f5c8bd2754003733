import { describe, expect, it } from 'vitest'
import { loadConfig, presetNames } from '../../src/config/index.ts'
import { labelsOf } from '../../src/runs/labels.ts'

describe('labels', () => {
  it('of every recipe that has any are one for each class', async () => {
    const named: string[] = []
    for (const recipe of await presetNames()) {
      const { labels, num_classes: classes } = await loadConfig(recipe)
      const names = await labelsOf(labels, classes)
      expect(names, recipe).toHaveLength(classes)
      if (labels !== '') named.push(recipe)
    }
    expect(named).toEqual([
      'mobilenet_v1',
      'mobilenet_v2',
      'motion-x3d',
      'resnet50',
      'slow',
      'slowfast',
      'x3d',
    ])
  })

  it('of Kinetics-400 are its class names in alphabetical order, all different', async () => {
    const names = await labelsOf('kinetics400', 400)
    expect([names[0], names[1], names.at(-1)]).toEqual(['abseiling', 'air drumming', 'zumba'])
    expect(names).toEqual([...names].sort())
    expect(new Set(names).size).toBe(400)
  })

  it('of ImageNet-1k are in the order of its synsets', async () => {
    const names = await labelsOf('imagenet1k', 1000)
    expect([names[0], names[281], names[999]]).toEqual(['tench', 'tabby', 'toilet tissue'])
    expect(names.every((name) => name !== '')).toBe(true)
  })

  it('are numbers where none are given', async () => {
    expect(await labelsOf('', 2)).toEqual(['class 0', 'class 1'])
  })

  it('of a list that does not fit the network are refused', async () => {
    await expect(labelsOf('kinetics400', 10)).rejects.toThrow(
      'has 400 class names, but the model has 10 classes',
    )
  })
})
