/** MobileNet v1 (Howard et al. 2017) with MutualNet's slimming and names. */
import { GraphBuilder } from '../network/builder.ts'
import { fixed, ratioed } from '../network/channels.ts'
import type { Network } from '../network/graph.ts'
import { type ImageNetworkOptions, imageNetwork } from './network.ts'
import { defineModel, imageOptions } from './spec.ts'

export interface MobileNetV1Options extends ImageNetworkOptions {
  /** Output channels of the stem and output channels and stride of each separable block. */
  readonly layout?: MobileNetV1Layout
}

export interface MobileNetV1Layout {
  readonly stem: number
  readonly blocks: readonly (readonly [channels: number, stride: 1 | 2])[]
}

const STANDARD: MobileNetV1Layout = {
  stem: 32,
  blocks: [
    [64, 1],
    [128, 2],
    [128, 1],
    [256, 2],
    [256, 1],
    [512, 2],
    [512, 1],
    [512, 1],
    [512, 1],
    [512, 1],
    [512, 1],
    [1024, 2],
    [1024, 1],
  ],
}

/**
 * ```
 * image 224×224×3 → 3×3/2 (32) → 13 × [channelwise 3×3 → 1×1] (64 … 1024) → mean → classes
 * ```
 */
export function mobilenetV1(options: MobileNetV1Options): Network {
  const { classes, layout = STANDARD } = options
  const g = new GraphBuilder()
  let x = g.clip('image')
  x = g.conv('features.0.0', x, ratioed(layout.stem), {
    kernel: [1, 3, 3],
    stride: [1, 2, 2],
    padding: 'same',
  })
  x = g.batchNorm('features.0.1', x)
  x = g.activation('features.0.2', x, 'relu6')
  layout.blocks.forEach(([channels, stride], index) => {
    const body = `features.${index + 1}.body`
    g.stage(`features.${index + 1}`)
    x = g.channelwiseConv(`${body}.0`, x, { kernel: [1, 3, 3], stride: [1, stride, stride], padding: 'same' })
    x = g.batchNorm(`${body}.1`, x)
    x = g.activation(`${body}.2`, x, 'relu6')
    x = g.conv(`${body}.3`, x, ratioed(channels), { kernel: [1, 1, 1] })
    x = g.batchNorm(`${body}.4`, x)
    x = g.activation(`${body}.5`, x, 'relu6')
  })
  g.stage('head')
  x = g.globalPool(`features.${layout.blocks.length + 1}`, x)
  g.linear('classifier.0', x, fixed(classes))
  return imageNetwork(g, { name: 'MobileNet v1', family: 'mobilenet_v1' }, options)
}

export const mobilenetV1Model = defineModel({
  name: 'mobilenet_v1',
  family: 'mobilenet_v1',
  media: 'image',
  keys: [],
  defaults: { width_mult_range: [0.25, 1], data_transforms: 'imagenet1k_mobile' },
  build: (values) => mobilenetV1(imageOptions(values)),
})
