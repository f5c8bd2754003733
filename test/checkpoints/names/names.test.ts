import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { detectScheme } from '../../../src/checkpoints/names/index.ts'
import { mobilenetV2 } from '../../../src/models/mobilenet-v2.ts'
import { resnet } from '../../../src/models/resnet.ts'
import { slow } from '../../../src/models/slow.ts'
import { slowfast } from '../../../src/models/slowfast.ts'
import { wideResnet } from '../../../src/models/wide-resnet.ts'
import { X3D_VARIANTS, x3d } from '../../../src/models/x3d.ts'
import type { Network } from '../../../src/network/graph.ts'
import { parametersOf } from '../../../src/network/store.ts'
import { sharedPath } from '../../support/shared.ts'

const networks = {
  x3d_m: x3d({ classes: 400, ...X3D_VARIANTS.m }),
  slow_r50: slow({ classes: 400, frames: 8, size: 224 }),
  slowfast_r50: slowfast({ classes: 400, frames: 4, size: 224, alpha: 8 }),
} as const

/** All names of tensors of a network: parameters and running statistics. */
function tensorNames(network: Network): string[] {
  return parametersOf(network).flatMap(({ name, role }) =>
    role === 'scale'
      ? [name, ...['running_mean', 'running_var'].map((part) => name.replace(/weight$/, part))]
      : [name],
  )
}

const translate = (network: Network, names: readonly string[], also: readonly string[] = []) => {
  const { scheme, mapping } = detectScheme(new Set([...names, ...also]), network, 'file')
  return { scheme, ours: names.map((name) => mapping.translate(name)), mapping }
}

describe('names', () => {
  // Pairs from building both projects' networks and comparing their outputs.
  it.each([
    ['x3d_m', 's1.pathway0_stem.conv_xy.weight', 'blocks.0.conv.conv_t.weight'],
    ['x3d_m', 's1.pathway0_stem.conv.weight', 'blocks.0.conv.conv_xy.weight'],
    ['x3d_m', 's1.pathway0_stem.bn.running_var', 'blocks.0.norm.running_var'],
    ['x3d_m', 's2.pathway0_res0.branch2.b_bn.weight', 'blocks.1.res_blocks.0.branch2.norm_b.0.weight'],
    [
      'x3d_m',
      's4.pathway0_res10.branch2.se.fc2.bias',
      'blocks.3.res_blocks.10.branch2.norm_b.1.block.2.bias',
    ],
    ['x3d_m', 's3.pathway0_res0.branch1_bn.bias', 'blocks.2.res_blocks.0.branch1_norm.bias'],
    ['x3d_m', 'head.lin_5.weight', 'blocks.5.pool.post_conv.weight'],
    ['x3d_m', 'head.projection.bias', 'blocks.5.proj.bias'],
    [
      'slow_r50',
      's5.pathway0_res2.branch2.c_bn.running_mean',
      'blocks.4.res_blocks.2.branch2.norm_c.running_mean',
    ],
    ['slow_r50', 's1.pathway0_stem.conv.weight', 'blocks.0.conv.weight'],
    ['slowfast_r50', 's1_fuse.conv_f2s.weight', 'blocks.0.multipathway_fusion.conv_fast_to_slow.weight'],
    ['slowfast_r50', 's4_fuse.bn.bias', 'blocks.3.multipathway_fusion.norm.bias'],
    [
      'slowfast_r50',
      's2.pathway1_res1.branch2.b.weight',
      'blocks.1.multipathway_blocks.1.res_blocks.1.branch2.conv_b.weight',
    ],
    ['slowfast_r50', 'head.projection.weight', 'blocks.6.proj.weight'],
  ] as const)('of PySlowFast: %s %s', (network, theirs, ours) => {
    expect(translate(networks[network], [theirs], ['s1.pathway0_stem.bn.weight']).ours).toEqual([ours])
  })

  // As PySlowFast's own conversion of its Caffe2 model zoo renames them (slowfast/utils/c2_model_loading.py).
  it.each([
    ['conv1_w', 'blocks.0.multipathway_blocks.0.conv.weight'],
    ['t_conv1_w', 'blocks.0.multipathway_blocks.1.conv.weight'],
    ['res_conv1_bn_s', 'blocks.0.multipathway_blocks.0.norm.weight'],
    ['t_res_conv1_bn_riv', 'blocks.0.multipathway_blocks.1.norm.running_var'],
    ['res4_0_branch1_w', 'blocks.3.multipathway_blocks.0.res_blocks.0.branch1_conv.weight'],
    ['res4_0_branch1_bn_rm', 'blocks.3.multipathway_blocks.0.res_blocks.0.branch1_norm.running_mean'],
    ['t_res5_2_branch2c_bn_b', 'blocks.4.multipathway_blocks.1.res_blocks.2.branch2.norm_c.bias'],
    ['t_pool1_subsample_w', 'blocks.0.multipathway_fusion.conv_fast_to_slow.weight'],
    ['t_pool1_subsample_bn_s', 'blocks.0.multipathway_fusion.norm.weight'],
    ['t_res4_5_branch2c_bn_subsample_w', 'blocks.3.multipathway_fusion.conv_fast_to_slow.weight'],
    ['t_res4_5_branch2c_bn_subsample_bn_rm', 'blocks.3.multipathway_fusion.norm.running_mean'],
    ['pred_w', 'blocks.6.proj.weight'],
    ['pred_b', 'blocks.6.proj.bias'],
    ['nonlocal_conv3_1_theta_w', undefined],
  ])('of Caffe2: %s', (theirs, ours) => {
    const { scheme, ours: found } = translate(
      networks.slowfast_r50,
      [theirs],
      ['conv1_w', 'res2_0_branch2a_w'],
    )
    expect(scheme.title).toBe("Caffe2 (PySlowFast's model zoo)")
    expect(found).toEqual([ours])
  })

  it("leaves out Caffe2's optimiser state", () => {
    const { mapping } = translate(networks.slow_r50, ['conv1_w', 'res2_0_branch2a_w'])
    const names = ['conv1_w_momentum', 'lr', 'model_iter', 'pred_w']
    expect(names.filter((name) => mapping.isBookkeeping(name))).toEqual([
      'conv1_w_momentum',
      'lr',
      'model_iter',
    ])
  })

  it('of torchvision’s ResNet-50 are exactly those of ours', () => {
    const network = resnet({ classes: 1000, size: 224, depth: 50 })
    const theirs = torchvisionNames([3, 4, 6, 3])
    expect(translate(network, theirs).ours.sort()).toEqual(tensorNames(network).sort())
  })

  it('of torchvision’s ResNet-50 are exactly those of Slow, and of the slow pathway of SlowFast', () => {
    const theirs = torchvisionNames([3, 4, 6, 3])
    expect(translate(networks.slow_r50, theirs).ours.sort()).toEqual(tensorNames(networks.slow_r50).sort())
    const slowPathway = tensorNames(networks.slowfast_r50).filter(
      (name) => name.includes('multipathway_blocks.0') || name.startsWith('blocks.6'),
    )
    expect(translate(networks.slowfast_r50, theirs).ours.sort()).toEqual(slowPathway.sort())
  })

  it('of MutualNet’s ResNet-50 lead to Slow as torchvision’s do', () => {
    const theirs = tensorNames(resnet({ classes: 1000, size: 224, depth: 50 }))
    const { scheme, ours, mapping } = translate(networks.slow_r50, theirs)
    expect(scheme.title).toBe('MutualNet')
    expect([...ours].sort()).toEqual(tensorNames(networks.slow_r50).sort())
    expect(mapping.translate('features.4.body.3.weight')).toBe('blocks.2.res_blocks.0.branch2.conv_b.weight')
    expect(mapping.translate('features.16.body.7.bias')).toBe('blocks.4.res_blocks.2.branch2.norm_c.bias')
  })

  it('of torchvision’s MobileNet v2 are exactly those of ours', () => {
    const network = mobilenetV2({ classes: 1000, size: 224 })
    const theirs: string[] = []
    const norm = (layer: string) =>
      theirs.push(...['weight', 'bias', 'running_mean', 'running_var'].map((part) => `${layer}.${part}`))
    const convNorm = (layer: string) => {
      theirs.push(`${layer}.0.weight`)
      norm(`${layer}.1`)
    }
    convNorm('features.0')
    for (let block = 1; block <= 17; block++) {
      const pairs = block === 1 ? 1 : 2
      for (let pair = 0; pair < pairs; pair++) convNorm(`features.${block}.conv.${pair}`)
      theirs.push(`features.${block}.conv.${pairs}.weight`)
      norm(`features.${block}.conv.${pairs + 1}`)
    }
    convNorm('features.18')
    theirs.push('classifier.1.weight', 'classifier.1.bias')
    expect(translate(network, theirs).ours.sort()).toEqual(tensorNames(network).sort())
  })

  it('need no scheme where they are the very names of the network', () => {
    const network = {
      ...wideResnet({ classes: 10, size: 32, depth: 10, widenFactor: 1 }),
      family: 'unheard of',
    }
    const names = tensorNames(network)
    expect(translate(network, names).ours).toEqual(names)
  })

  it('are refused with the scheme they are of where the network is another', () => {
    expect(() =>
      translate(resnet({ classes: 10, size: 64, depth: 50 }), ['s1.pathway0_stem.conv.weight']),
    ).toThrow(
      'file: its names are those of PySlowFast (X3D, Slow and SlowFast), but the configuration is ResNet-50.\nGive --config',
    )
    expect(() => translate(networks.x3d_m, torchvisionNames([3, 4, 6, 3]))).toThrow('torchvision ResNet')
    expect(() => translate(networks.x3d_m, ['a', 'b'])).toThrow(
      'its names ("a", "b", …) are of no scheme that is known',
    )
  })
})

const map = sharedPath('reference/name-map.json')

describe.skipIf(!map)('name map', () => {
  const maps = map
    ? (JSON.parse(readFileSync(map, 'utf8')) as Record<keyof typeof networks, Record<string, string>>)
    : undefined

  it.each(Object.keys(networks) as (keyof typeof networks)[])(
    'of %s agrees with PySlowFast’s in every name',
    (name) => {
      const pairs = Object.entries(maps![name])
      const { scheme, ours } = translate(
        networks[name],
        pairs.map(([theirs]) => theirs),
      )
      expect(scheme.title).toBe('PySlowFast')
      expect(ours).toEqual(pairs.map(([, expected]) => expected))
      expect([...ours].sort()).toEqual(tensorNames(networks[name]).sort())
    },
  )
})

function torchvisionNames(blocks: readonly number[]): string[] {
  const norm = (layer: string) =>
    ['weight', 'bias', 'running_mean', 'running_var'].map((part) => `${layer}.${part}`)
  return [
    'conv1.weight',
    ...norm('bn1'),
    ...blocks.flatMap((count, stage) =>
      Array.from({ length: count }, (_, block) => {
        const name = `layer${stage + 1}.${block}`
        const layers = [1, 2, 3].flatMap((i) => [`${name}.conv${i}.weight`, ...norm(`${name}.bn${i}`)])
        return block === 0
          ? [...layers, `${name}.downsample.0.weight`, ...norm(`${name}.downsample.1`)]
          : layers
      }).flat(),
    ),
    'fc.weight',
    'fc.bias',
  ]
}
