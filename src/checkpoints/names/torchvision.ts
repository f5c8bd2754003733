/**
 * torchvision's names of ResNet-50, -101 and -152 (`layer1.0.conv1.weight`) and of MobileNet v2
 * (`features.1.conv.0.0.weight`). A ResNet's also name the slow pathway of a video network, whose kernels
 * repeat the 2D ones over time ("inflation", Carreira and Zisserman 2017).
 */
import type { Network } from '../../network/graph.ts'
import { byLayer, type Mapping, type NameScheme, WITH_PIL } from './scheme.ts'

/** Layers of a bottleneck block in MutualNet's ResNet. */
const BLOCK_2D: Readonly<Record<string, string>> = {
  conv1: 'body.0',
  bn1: 'body.1',
  conv2: 'body.3',
  bn2: 'body.4',
  conv3: 'body.6',
  bn3: 'body.7',
  'downsample.0': 'shortcut.0',
  'downsample.1': 'shortcut.1',
}

/** The same in Slow and SlowFast. */
const BLOCK_3D: Readonly<Record<string, string>> = {
  conv1: 'branch2.conv_a',
  bn1: 'branch2.norm_a',
  conv2: 'branch2.conv_b',
  bn2: 'branch2.norm_b',
  conv3: 'branch2.conv_c',
  bn3: 'branch2.norm_c',
  'downsample.0': 'branch1_conv',
  'downsample.1': 'branch1_norm',
}

const LAYER = /^layer([1-4])\.(\d+)\.(.+)$/

export const torchvisionResnet: NameScheme = {
  title: 'torchvision ResNet',
  describes: 'ResNets, and the slow pathway of Slow and SlowFast',
  preprocessing: WITH_PIL,
  recognises: (names) => names.has('layer1.0.conv1.weight'),
  mapping: (network, names) => resnetMapping(network, blocksOf(names)),
}

/**
 * Where the layers of a 2D ResNet go, as torchvision calls them.
 *
 * @param blocks how many blocks each of the four stages has
 */
export function resnetMapping(network: Network, blocks: readonly number[]): Mapping | undefined {
  const { family } = network
  if (family !== 'resnet' && family !== 'slow' && family !== 'slowfast') return undefined
  const flat = family === 'resnet'
  const pathway = family === 'slowfast' ? '.multipathway_blocks.0' : ''
  const ends: Readonly<Record<string, string>> = {
    conv1: flat ? 'features.0.0' : `blocks.0${pathway}.conv`,
    bn1: flat ? 'features.0.1' : `blocks.0${pathway}.norm`,
    fc: network.classifier,
  }
  return byLayer(
    (layer) => {
      if (ends[layer]) return ends[layer]
      const [, stage, block, part] = LAYER.exec(layer) ?? []
      if (stage === undefined) return undefined
      const ours = (flat ? BLOCK_2D : BLOCK_3D)[part!]
      if (ours === undefined) return undefined
      if (!flat) return `blocks.${stage}${pathway}.res_blocks.${block}.${ours}`
      const before = blocks.slice(0, Number(stage) - 1).reduce((sum, count) => sum + count, 0)
      return `features.${before + Number(block) + 1}.${ours}`
    },
    { inflates: !flat },
  )
}

function blocksOf(names: ReadonlySet<string>): number[] {
  const blocks = [0, 0, 0, 0]
  for (const name of names) {
    const [, stage, block] = LAYER.exec(name) ?? []
    if (stage !== undefined)
      blocks[Number(stage) - 1] = Math.max(blocks[Number(stage) - 1]!, Number(block) + 1)
  }
  return blocks
}

export const torchvisionMobilenetV2: NameScheme = {
  title: 'torchvision MobileNet v2',
  describes: 'MobileNet v2',
  preprocessing: WITH_PIL,
  recognises: (names) => names.has('features.1.conv.0.0.weight') && names.has('features.18.0.weight'),
  mapping: (network) =>
    network.family === 'mobilenet_v2' ? byLayer((layer) => mobilenetLayer(network, layer)) : undefined,
}

/** Each convolution comes with its batch norm (`.0`, `.1`) in torchvision, except the last of a block. */
function mobilenetLayer(network: Network, layer: string): string | undefined {
  if (layer === 'classifier.1') return network.classifier
  if (/^features\.(?:0|18)\.[01]$/.test(layer)) return layer
  const [, block, index, , part] = /^features\.(\d+)\.conv\.(\d)(\.(\d))?$/.exec(layer) ?? []
  if (block === undefined) return undefined
  const at = Number(index)
  // The first block does not expand: one convolution with its batch norm before the last.
  const pairs = block === '1' ? 1 : 2
  const place = part !== undefined ? 3 * at + Number(part) : 3 * pairs + (at - pairs)
  return `features.${block}.body.${place}`
}
