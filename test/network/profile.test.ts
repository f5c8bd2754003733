import { describe, expect, it } from 'vitest'
import { mobilenetV2 } from '../../src/models/mobilenet-v2.ts'
import { resnet } from '../../src/models/resnet.ts'
import { slowfast } from '../../src/models/slowfast.ts'
import { X3D_VARIANTS, x3d } from '../../src/models/x3d.ts'
import type { Configuration, Network } from '../../src/network/graph.ts'
import { type Profile, profile } from '../../src/network/profile.ts'
import { fullConfiguration, resolve } from '../../src/network/resolve.ts'

const at = (network: Network, change: Partial<Configuration> = {}): Profile =>
  profile(resolve(network, { ...fullConfiguration(network), ...change }))

const x3dM = x3d({ classes: 400, ...X3D_VARIANTS.m })
const slowfast4x16 = slowfast({ classes: 400, frames: 4, size: 224, alpha: 8 })

describe('a profile', () => {
  it.each([
    ['X3D-M', x3dM, {}],
    ['X3D-M, reduced', x3dM, { width: 0.63, frames: 6, size: 160 }],
    ['SlowFast, reduced', slowfast4x16, { width: 0.73, frames: 2, size: 128 }],
    ['MobileNet v2', mobilenetV2({ classes: 1000, size: 224 }), { width: 0.7 }],
    ['ResNet-101', resnet({ classes: 1000, size: 224, depth: 101 }), {}],
  ])('has rows and stages that add up to its totals: %s', (_, network, change) => {
    const { layers, stages, macs, params } = at(network, change)
    expect(layers.reduce((sum, layer) => sum + layer.macs, 0)).toBe(macs)
    expect(layers.reduce((sum, layer) => sum + layer.params, 0)).toBe(params)
    expect(Object.values(stages).reduce((sum, stage) => sum + stage, 0)).toBe(macs)
    for (const [stage, cost] of Object.entries(stages)) {
      const rows = layers.filter((layer) => layer.stage === stage)
      expect(rows.reduce((sum, layer) => sum + layer.macs, 0)).toBe(cost)
    }
    expect(layers.map(({ name }) => name)).toEqual(network.nodes.map(({ name }) => name))
  })

  it('names its network and configuration, the shape of every input and how it counts', () => {
    const found = at(slowfast4x16, { width: 0.63, frames: 2, size: 128 })
    expect(found.network).toBe('SlowFast R50')
    expect(found.configuration).toEqual({ width: 0.63, frames: 2, size: 128 })
    expect(found.inputs).toEqual({
      slow: { frames: 2, height: 128, width: 128, channels: 3 },
      fast: { frames: 32, height: 224, width: 224, channels: 3 },
    })
    expect(found.convention).toContain('multiply-adds')
  })

  it('has the stages of the network, in order', () => {
    expect(Object.keys(at(x3dM).stages)).toEqual(['stem', 'res2', 'res3', 'res4', 'res5', 'head'])
    expect(Object.keys(at(slowfast4x16).stages)).toEqual([
      ...['stem', 'stem.slow', 'stem.fast', 'lateral'],
      ...['res2', 'res3', 'res4', 'res5'].flatMap((stage) => [`${stage}.slow`, `${stage}.fast`]),
      'head',
    ])
  })

  it('shows a convolution with its window, channels, shape and cost', () => {
    const { layers } = at(x3dM, { width: 0.63 })
    expect(layers.find(({ name }) => name === 'blocks.2.res_blocks.0.branch2.conv_b')).toEqual({
      name: 'blocks.2.res_blocks.0.branch2.conv_b',
      kind: 'channelwiseConv',
      stage: 'res3',
      kernel: [3, 3, 3],
      stride: [1, 2, 2],
      in: 72,
      out: 72,
      shape: { frames: 16, height: 28, width: 28, channels: 72 },
      params: 27 * 72,
      macs: 27 * 72 * 16 * 28 * 28,
    })
  })

  it('shows a pool with its concrete window, no parameters and no cost', () => {
    const { layers } = at(x3dM)
    expect(layers.find(({ name }) => name === 'blocks.5.pool.pool')).toMatchObject({
      kind: 'globalPool',
      kernel: [16, 7, 7],
      params: 0,
      macs: 0,
    })
  })

  it('counts the biases of squeezes as parameters, not as cost', () => {
    const squeeze = at(x3dM).layers.find(({ name }) =>
      name.endsWith('res_blocks.0.branch2.norm_b.1.block.0'),
    )!
    expect(squeeze).toMatchObject({ in: 54, out: 8, params: 54 * 8 + 8, macs: 54 * 8 })
  })

  it('survives JSON', () => {
    const found = at(x3dM)
    expect(JSON.parse(JSON.stringify(found))).toEqual(found)
  })
})
