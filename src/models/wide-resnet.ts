/** WideResNet (Zagoruyko and Komodakis 2016) for small images, with MutualNet's slimming and names. */
import { MnVideoError } from '../errors.ts'
import { GraphBuilder } from '../network/builder.ts'
import { fixed, ratioed } from '../network/channels.ts'
import type { Network } from '../network/graph.ts'
import { type ImageNetworkOptions, imageNetwork } from './network.ts'
import { defineModel, imageOptions, scaledRate } from './spec.ts'

export interface WideResNetOptions extends ImageNetworkOptions {
  /** 6n + 4: 28 has four blocks a stage. */
  readonly depth: number
  readonly widenFactor: number
  /** Dropout between the two convolutions of a block. */
  readonly dropout?: number
}

/**
 * ```
 * image 32×32×3 → 3×3 (16) → pre-activation blocks (16k, 32k/2, 64k/2) → bn → relu → mean → classes
 * ```
 */
export function wideResnet(options: WideResNetOptions): Network {
  const { depth, widenFactor, classes, dropout = 0 } = options
  if (!Number.isInteger(depth) || depth < 10 || (depth - 4) % 6 !== 0) {
    throw new MnVideoError('network', `WideResNet: depth must be 6n + 4 (10, 16, 22, 28, …), not ${depth}.`)
  }
  if (!(widenFactor > 0)) {
    throw new MnVideoError('network', `WideResNet: widen_factor must be above 0, not ${widenFactor}.`)
  }
  const blocks = (depth - 4) / 6
  const g = new GraphBuilder()
  let x = g.clip('image')
  x = g.conv('conv1', x, ratioed(16), { kernel: [1, 3, 3], padding: 'same' })
  let from = 16
  for (const stage of [0, 1, 2]) {
    const channels = Math.round(16 * 2 ** stage * widenFactor)
    g.stage(`block${stage + 1}`)
    for (let block = 0; block < blocks; block++) {
      x = basicBlock(g, `block${stage + 1}.layer.${block}`, x, {
        from,
        channels,
        stride: block === 0 && stage > 0 ? 2 : 1,
        dropout,
      })
      from = channels
    }
  }
  g.stage('head')
  x = g.batchNorm('bn1', x)
  x = g.activation('relu', x, 'relu')
  x = g.globalPool('pool', x)
  g.linear('fc', x, fixed(classes), { uniformInit: true })
  return imageNetwork(g, { name: `WRN-${depth}-${widenFactor}`, family: 'wideresnet' }, options)
}

interface Block {
  readonly from: number
  readonly channels: number
  readonly stride: number
  readonly dropout: number
}

function basicBlock(g: GraphBuilder, name: string, input: string, block: Block): string {
  const { from, channels, dropout } = block
  const stride = [1, block.stride, block.stride] as const
  let activated = g.batchNorm(`${name}.bn1`, input)
  activated = g.activation(`${name}.relu1`, activated, 'relu')
  let x = g.conv(`${name}.conv1`, activated, ratioed(channels), {
    kernel: [1, 3, 3],
    stride,
    padding: 'same',
  })
  x = g.batchNorm(`${name}.bn2`, x)
  x = g.activation(`${name}.relu2`, x, 'relu')
  x = g.dropout(`${name}.dropout`, x, dropout)
  x = g.conv(`${name}.conv2`, x, ratioed(channels), { kernel: [1, 3, 3], padding: 'same' })
  // Where the channels change, the shortcut reads the activated input.
  const shortcut =
    from === channels
      ? input
      : g.conv(`${name}.convShortcut`, activated, ratioed(channels), { kernel: [1, 1, 1], stride })
  return g.add(name, shortcut, x)
}

export const wideResnetModel = defineModel({
  name: 'wideresnet',
  family: 'wideresnet',
  media: 'image',
  keys: ['depth', 'widen_factor', 'dropoutrate'],
  defaults: {
    depth: 28,
    widen_factor: 10,
    dataset: 'cifar10',
    image_size: 32,
    num_epochs: 200,
    batch_size: 128,
    weight_decay: 5e-4,
    lr: scaledRate(0.1, 128),
  },
  conflict: ({ depth }) =>
    depth < 10 || depth % 6 !== 4
      ? {
          key: 'depth',
          text: `must be 6n + 4 with n of at least 1 for a WideResNet (10, 16, 22, 28, …), not ${depth}.`,
        }
      : undefined,
  build: (values) =>
    wideResnet({
      ...imageOptions(values),
      depth: values.depth,
      widenFactor: values.widen_factor,
      dropout: values.dropoutrate,
    }),
})
