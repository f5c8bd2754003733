/** The published results that ship: every cost is one that our networks have at the configuration named. */
import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { applyOverrides, loadConfig } from '../../src/config/index.ts'
import { buildNetwork } from '../../src/models/index.ts'
import { resolve } from '../../src/network/resolve.ts'
import { frontierOf } from '../../src/runs/frontier.ts'
import { configurationOf, loadPublished, parsePublished, publishedNames } from '../../src/runs/published.ts'

const names = await publishedNames()
const all = await Promise.all(names.map(async (name) => ({ name, published: await loadPublished(name) })))
const series = all.flatMap(({ name, published }) =>
  published.series.map((one) => ({ name, title: one.name, one })),
)

describe('published results', () => {
  it('are there for every network', () => {
    expect(names).toEqual([
      'mobilenet_v1',
      'mobilenet_v2',
      'model_scaling',
      'resnet50',
      'slow',
      'slowfast',
      'ten_views',
      'wideresnet_cifar10',
      'wideresnet_cifar100',
      'x3d',
    ])
  })

  it.each(series.filter(({ one }) => one.recipe !== undefined))(
    '$name: $title costs what our network costs at each configuration, within 1.5 %',
    async ({ one }) => {
      for (const point of one.points) {
        const overrides = Object.entries(point.set ?? {}).map(([key, value]) => `${key}=${value}`)
        const network = buildNetwork(applyOverrides(await loadConfig(one.recipe!), overrides))
        const { macs } = resolve(network, configurationOf(point)!)
        // Tables are cut to whole MFLOPs, which is more than 1.5 % of the cheapest.
        const cut = one.query_table ? one.reading_error.gflops : 0
        expect(Math.abs(macs / 1e9 - point.gflops), JSON.stringify(point)).toBeLessThan(
          Math.max(0.015 * point.gflops, cut),
        )
      }
    },
  )

  it.each(series.filter(({ one }) => one.method === 'mutualnet' && one.drawn_as === 'curve'))(
    '$name: $title is a frontier',
    ({ one }) => {
      const points = one.points.map(({ gflops, top1 }) => ({ macs: 1e9 * gflops, top1 }))
      expect(frontierOf(points)).toEqual([...points].reverse())
    },
  )

  it('every series says whose it is, where it was read and how exactly', () => {
    for (const { one } of series) {
      expect(one.source).toMatch(/\(arXiv:\d{4}\.\d{5}\)/)
      expect(one.read_from).toMatch(/^(figure|table|query table)/)
      expect(one.reading_error.top1).toBe(0.05)
    }
  })

  it.each([
    ['slow', 'MutualNet-Slow-8×8', 9, [2.7, 68.65], [54.5, 75.55]],
    ['slowfast', 'MutualNet-SlowFast-4×16', 10, [7.6, 71.03], [36.1, 75.67]],
    ['x3d', 'MutualNet-X3D-M', 11, [0.345, 66.15], [4.73, 75.07]],
    ['mobilenet_v1', 'MutualNet-MobileNet v1', 21, [0.013, 45.5], [0.569, 72.4]],
    ['mobilenet_v2', 'MutualNet-MobileNet v2', 15, [0.057, 64.2], [0.3, 72.9]],
  ])('%s: %s has %d points', (name, title, count, cheapest, dearest) => {
    const { points } = series.find((one) => one.name === name && one.title === title)!.one
    expect(points).toHaveLength(count)
    const ends = [points.at(-1)!, points[0]!].map(({ gflops, top1 }) => [gflops, top1])
    expect(ends).toEqual([cheapest, dearest])
  })

  it('is refused by a name that is not there, or when the file is damaged', async () => {
    await expect(loadPublished('../x3d')).rejects.toThrow(
      'nothing published is called "../x3d". Give one of mob',
    )
    const text = await readFile(new URL('../../configs/published/x3d.json', import.meta.url), 'utf8')
    expect(() => parsePublished(text.replace('75.07', '175.07'), 'x3d.json')).toThrow(
      /^x3d\.json: series\.0\.points\.0\.top1: /,
    )
  })
})
