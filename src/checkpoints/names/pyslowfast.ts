/**
 * PySlowFast's names of X3D, Slow and SlowFast (`slowfast/models/video_model_builder.py`):
 * `s2.pathway0_res0.branch2.a.weight`. A stage `sN` is our `blocks.N-1`.
 */
import type { Network } from '../../network/graph.ts'
import { byLayer, type Mapping, type NameScheme, WITH_INTERPOLATE } from './scheme.ts'

/** Layers of a residual block. */
const BLOCK: Readonly<Record<string, string>> = {
  branch1: 'branch1_conv',
  branch1_bn: 'branch1_norm',
  'branch2.a': 'branch2.conv_a',
  'branch2.a_bn': 'branch2.norm_a',
  'branch2.b': 'branch2.conv_b',
  'branch2.b_bn': 'branch2.norm_b',
  'branch2.c': 'branch2.conv_c',
  'branch2.c_bn': 'branch2.norm_c',
}

/** X3D's have squeeze-and-excitation beside the batch norm of their second convolution. */
const X3D_BLOCK: Readonly<Record<string, string>> = {
  ...BLOCK,
  'branch2.b_bn': 'branch2.norm_b.0',
  'branch2.se.fc1': 'branch2.norm_b.1.block.0',
  'branch2.se.fc2': 'branch2.norm_b.1.block.2',
}

/** X3D's stem and head. In both projects `xy` and `t` of the stem are each other's. */
const X3D_ENDS: Readonly<Record<string, string>> = {
  's1.pathway0_stem.conv_xy': 'blocks.0.conv.conv_t',
  's1.pathway0_stem.conv': 'blocks.0.conv.conv_xy',
  's1.pathway0_stem.bn': 'blocks.0.norm',
  'head.conv_5': 'blocks.5.pool.pre_conv',
  'head.conv_5_bn': 'blocks.5.pool.pre_norm',
  'head.lin_5': 'blocks.5.pool.post_conv',
}

const LAYER = /^s([1-5])\.pathway([01])_(?:res(\d+)|stem)\.(.+)$/
const FUSION = /^s([1-4])_fuse\.(conv_f2s|bn)$/

export const pySlowFast: NameScheme = {
  title: 'PySlowFast',
  describes: 'X3D, Slow and SlowFast',
  preprocessing: WITH_INTERPOLATE,
  recognises: (names) => [...names].some((name) => name.startsWith('s1.pathway0_stem.')),
  mapping: pySlowFastMapping,
}

/** Also where Caffe2's names lead to. */
export function pySlowFastMapping(network: Network): Mapping | undefined {
  const { family } = network
  if (family !== 'x3d' && family !== 'slow' && family !== 'slowfast') return undefined
  const block = family === 'x3d' ? X3D_BLOCK : BLOCK
  return byLayer((layer) => {
    if (layer === 'head.projection') return network.classifier
    if (family === 'x3d' && X3D_ENDS[layer]) return X3D_ENDS[layer]
    const fusion = FUSION.exec(layer)
    if (fusion && family === 'slowfast') {
      const part = fusion[2] === 'bn' ? 'norm' : 'conv_fast_to_slow'
      return `blocks.${Number(fusion[1]) - 1}.multipathway_fusion.${part}`
    }
    const [, stage, pathway, index, rest] = LAYER.exec(layer) ?? []
    if (stage === undefined || (family !== 'slowfast' && pathway !== '0')) return undefined
    const place = `blocks.${Number(stage) - 1}${family === 'slowfast' ? `.multipathway_blocks.${pathway}` : ''}`
    if (index !== undefined) return block[rest!] && `${place}.res_blocks.${index}.${block[rest!]}`
    if (family === 'x3d') return undefined
    return rest === 'conv' ? `${place}.conv` : rest === 'bn' ? `${place}.norm` : undefined
  })
}
