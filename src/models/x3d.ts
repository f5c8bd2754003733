/**
 * X3D (Feichtenhofer 2020, "X3D: Expanding Architectures for Efficient Video Recognition"). Node names are
 * PyTorchVideo's; note that its stem calls the spatial convolution `conv_t` and the temporal one `conv_xy`.
 */
import { GraphBuilder } from '../network/builder.ts'
import { fixed, slimmable } from '../network/channels.ts'
import type { Network, Triple } from '../network/graph.ts'
import { type VideoNetworkOptions, videoNetwork } from './network.ts'
import { defineModel, type EarlierValues, scaledRate, type Variant, videoOptions, warmupOf } from './spec.ts'

export interface X3DOptions extends VideoNetworkOptions {
  /** Depth expansion γ_d: blocks per stage are ceil(γ_d · [1, 2, 5, 3]). */
  readonly depthFactor?: number
  /** Width expansion γ_w: the stem has 12 · γ_w channels. */
  readonly widthFactor?: number
  /** Bottleneck expansion γ_b: inner channels are γ_b times the outer ones. */
  readonly bottleneckFactor?: number
  /** Features before the classifier. */
  readonly headFeatures?: number
  readonly dropout?: number
}

/** The published variants: input and depth; all have γ_w = 2 and γ_b = 2.25. */
export const X3D_VARIANTS = {
  xs: { frames: 4, stride: 12, size: 160, depthFactor: 2.2 },
  s: { frames: 13, stride: 6, size: 160, depthFactor: 2.2 },
  m: { frames: 16, stride: 5, size: 224, depthFactor: 2.2 },
  l: { frames: 16, stride: 5, size: 312, depthFactor: 5 },
} as const

const BASE_DEPTHS = [1, 2, 5, 3]
const SQUEEZE_RATIO = 1 / 16

/**
 * X3D as a graph. For M (T = 16, S = 224):
 *
 * ```
 * clip            16×224×224×3
 * stem  1×3×3/2, channelwise 5×1×1      16×112×112×24
 * res2  ┌ 1×1×1 → channelwise 3×3×3/2 ┐  16×56×56×24    ×3
 * res3  │ → SE (every other block)    │  16×28×28×48    ×5
 * res4  │ → swish → 1×1×1             │  16×14×14×96    ×11
 * res5  └ + shortcut → relu           ┘  16×7×7×192      ×7
 * head  1×1×1 (432) → mean → 2048 → classes
 * ```
 */
export function x3d(options: X3DOptions): Network {
  const { classes, size, headFeatures = 2048, dropout = 0.5 } = options
  const { depthFactor = 2.2, widthFactor = 2, bottleneckFactor = 2.25 } = options
  const g = new GraphBuilder()

  const stem = roundTo8(12, widthFactor)
  let x = g.clip('clip')
  x = g.conv('blocks.0.conv.conv_t', x, slimmable(stem), {
    kernel: [1, 3, 3],
    stride: [1, 2, 2],
    padding: 'same',
  })
  x = g.channelwiseConv('blocks.0.conv.conv_xy', x, { kernel: [5, 1, 1], padding: 'same' })
  x = g.batchNorm('blocks.0.norm', x)
  x = g.activation('blocks.0.activation', x, 'relu')

  let outer = stem
  BASE_DEPTHS.forEach((base, stage) => {
    const before = outer
    outer = roundTo8(12 * 2 ** stage, widthFactor)
    const inner = Math.trunc(bottleneckFactor * outer)
    g.stage(`res${stage + 2}`)
    for (let block = 0; block < Math.ceil(base * depthFactor); block++) {
      x = residualBlock(g, `blocks.${stage + 1}.res_blocks.${block}`, x, {
        inner,
        outer,
        from: block === 0 ? before : outer,
        stride: block === 0 ? [1, 2, 2] : [1, 1, 1],
        squeeze: block % 2 === 0,
      })
    }
  })

  g.stage('head')
  const inner = Math.trunc(bottleneckFactor * outer)
  x = g.conv('blocks.5.pool.pre_conv', x, slimmable(inner), { kernel: [1, 1, 1] })
  x = g.batchNorm('blocks.5.pool.pre_norm', x)
  x = g.activation('blocks.5.pool.pre_act', x, 'relu')
  x = g.globalPool('blocks.5.pool.pool', x, { window: Math.ceil(size / 32) })
  x = g.conv('blocks.5.pool.post_conv', x, slimmable(headFeatures), { kernel: [1, 1, 1] })
  x = g.activation('blocks.5.pool.post_act', x, 'relu')
  x = g.dropout('blocks.5.dropout', x, dropout)
  const classifier = g.linear('blocks.5.proj', x, fixed(classes))
  const output = g.globalPool('blocks.5.output_pool', classifier)

  return videoNetwork(g, { name: nameOf(options), family: 'x3d' }, options, { classifier, output })
}

interface Block {
  readonly inner: number
  readonly outer: number
  /** Channels of the block's input. */
  readonly from: number
  readonly stride: Triple
  /** Whether the block has squeeze-and-excitation. */
  readonly squeeze: boolean
}

function residualBlock(g: GraphBuilder, name: string, input: string, block: Block): string {
  const { inner, outer, from, stride, squeeze } = block
  let shortcut = input
  if (stride[1] !== 1 || from !== outer) {
    shortcut = g.conv(`${name}.branch1_conv`, input, slimmable(outer), { kernel: [1, 1, 1], stride })
    // PyTorchVideo normalises the shortcut only where the channels change: not in res2's first block.
    if (from !== outer) shortcut = g.batchNorm(`${name}.branch1_norm`, shortcut)
  }
  const branch = `${name}.branch2`
  let x = g.conv(`${branch}.conv_a`, input, slimmable(inner), { kernel: [1, 1, 1] })
  x = g.batchNorm(`${branch}.norm_a`, x)
  x = g.activation(`${branch}.act_a`, x, 'relu')
  x = g.channelwiseConv(`${branch}.conv_b`, x, { kernel: [3, 3, 3], stride, padding: 'same' })
  x = g.batchNorm(`${branch}.norm_b.0`, x)
  if (squeeze) x = squeezeExcite(g, `${branch}.norm_b.1`, x, inner)
  x = g.activation(`${branch}.act_b`, x, 'swish')
  x = g.conv(`${branch}.conv_c`, x, slimmable(outer), { kernel: [1, 1, 1] })
  x = g.batchNorm(`${branch}.norm_c`, x, { zeroInit: true })
  x = g.add(name, shortcut, x)
  return g.activation(`${name}.activation`, x, 'relu')
}

/** Squeeze-and-excitation (Hu et al. 2018) over frames and positions. */
function squeezeExcite(g: GraphBuilder, name: string, input: string, channels: number): string {
  const hidden = roundTo8(channels, SQUEEZE_RATIO)
  let gate = g.globalPool(`${name}.mean`, input)
  gate = g.conv(`${name}.block.0`, gate, slimmable(hidden), { kernel: [1, 1, 1] }, { bias: true })
  gate = g.activation(`${name}.block.1`, gate, 'relu')
  gate = g.conv(`${name}.block.2`, gate, slimmable(channels), { kernel: [1, 1, 1] }, { bias: true })
  gate = g.activation(`${name}.block.3`, gate, 'sigmoid')
  return g.gate(name, input, gate)
}

/** PySlowFast's `round_width`: to a multiple of 8, at least 8, never more than 10 % below. */
function roundTo8(channels: number, factor: number): number {
  const scaled = channels * factor
  const rounded = Math.max(8, Math.floor((scaled + 4) / 8) * 8)
  return rounded < 0.9 * scaled ? rounded + 8 : rounded
}

function nameOf(options: X3DOptions): string {
  const { depthFactor = 2.2, widthFactor = 2 } = options
  const variant = Object.entries(X3D_VARIANTS).find(
    ([, v]) =>
      v.frames === options.frames &&
      v.size === options.size &&
      v.depthFactor === depthFactor &&
      widthFactor === 2,
  )
  return variant ? `X3D-${variant[0].toUpperCase()}` : 'X3D'
}

const ofVariant =
  <T>(table: Readonly<Record<Variant, T>>) =>
  ({ variant }: EarlierValues): T =>
    table[variant]
const published =
  (what: keyof (typeof X3D_VARIANTS)['m']) =>
  ({ variant }: EarlierValues) =>
    X3D_VARIANTS[variant][what]

export const x3dModel = defineModel({
  name: 'x3d',
  family: 'x3d',
  media: 'video',
  keys: ['variant', 'depth_factor', 'width_factor', 'head_features', 'dropoutrate'],
  defaults: {
    depth_factor: published('depthFactor'),
    image_size: published('size'),
    frames: published('frames'),
    frame_stride: published('stride'),
    num_epochs: ofVariant({ xs: 300, s: 300, m: 300, l: 256 }),
    batch_size: 128,
    weight_decay: 5e-5,
    lr: scaledRate(0.1, 128),
    warmup_epochs: warmupOf(35),
  },
  build: (values) =>
    x3d({
      ...videoOptions(values),
      depthFactor: values.depth_factor,
      widthFactor: values.width_factor,
      headFeatures: values.head_features,
    }),
})
