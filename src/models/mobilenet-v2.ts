/** MobileNet v2 (Sandler et al. 2018) with MutualNet's slimming and names. */
import { GraphBuilder } from '../network/builder.ts'
import { fixed, ratioed } from '../network/channels.ts'
import type { Network } from '../network/graph.ts'
import { type ImageNetworkOptions, imageNetwork } from './network.ts'
import { defineModel, imageOptions } from './spec.ts'

/** Expansion t, channels c, repeats n, first stride s (table 2 of the paper). */
const STAGES = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const

/** The last convolution does not slim. */
const TAIL = 1280

/**
 * ```
 * image 224×224×3 → 3×3/2 (32) → 17 × [1×1 expand → channelwise 3×3 → 1×1 (+ input)] (16 … 320)
 *       → 1×1 (1280) → mean → classes
 * ```
 */
export function mobilenetV2(options: ImageNetworkOptions): Network {
  const g = new GraphBuilder()
  let x = g.clip('image')
  x = g.conv('features.0.0', x, ratioed(32), { kernel: [1, 3, 3], stride: [1, 2, 2], padding: 'same' })
  x = g.batchNorm('features.0.1', x)
  x = g.activation('features.0.2', x, 'relu6')
  let index = 1
  let from = 32
  for (const [expansion, channels, repeats, firstStride] of STAGES) {
    for (let repeat = 0; repeat < repeats; repeat++, index++) {
      g.stage(`features.${index}`)
      x = invertedResidual(g, `features.${index}`, x, {
        from,
        channels,
        expansion,
        stride: repeat === 0 ? firstStride : 1,
      })
      from = channels
    }
  }
  g.stage('head')
  x = g.conv(`features.${index}.0`, x, fixed(TAIL), { kernel: [1, 1, 1] })
  x = g.batchNorm(`features.${index}.1`, x)
  x = g.activation(`features.${index}.2`, x, 'relu6')
  x = g.globalPool(`features.${index + 1}`, x)
  g.linear('classifier.0', x, fixed(options.classes))
  return imageNetwork(g, { name: 'MobileNet v2', family: 'mobilenet_v2' }, options)
}

interface Block {
  readonly from: number
  readonly channels: number
  readonly expansion: number
  readonly stride: number
}

function invertedResidual(g: GraphBuilder, name: string, input: string, block: Block): string {
  const { from, channels, expansion, stride } = block
  let layer = 0
  const next = () => `${name}.body.${layer++}`
  let x = input
  if (expansion !== 1) {
    // The ratio makes the expanded count exactly `expansion` times the slimmed input count.
    x = g.conv(next(), x, ratioed(from * expansion, expansion), { kernel: [1, 1, 1] })
    x = g.batchNorm(next(), x)
    x = g.activation(next(), x, 'relu6')
  }
  x = g.channelwiseConv(next(), x, { kernel: [1, 3, 3], stride: [1, stride, stride], padding: 'same' })
  x = g.batchNorm(next(), x)
  x = g.activation(next(), x, 'relu6')
  x = g.conv(next(), x, ratioed(channels), { kernel: [1, 1, 1] })
  x = g.batchNorm(next(), x)
  return stride === 1 && from === channels ? g.add(name, x, input) : x
}

export const mobilenetV2Model = defineModel({
  name: 'mobilenet_v2',
  family: 'mobilenet_v2',
  media: 'image',
  keys: [],
  defaults: { width_mult_range: [0.7, 1], data_transforms: 'imagenet1k_mobile' },
  build: (values) => mobilenetV2(imageOptions(values)),
})
