/**
 * SlowFast ResNet-50 (Feichtenhofer et al. 2019). The slow pathway slims in width, size and frames; the
 * fast pathway and the lateral connections always run whole, and their features are resampled to the slow
 * pathway's extent ("adaptive fusion"). Node names are PyTorchVideo's.
 */
import { MnVideoError } from '../errors.ts'
import { GraphBuilder } from '../network/builder.ts'
import { fixed, slimmable } from '../network/channels.ts'
import type { Network } from '../network/graph.ts'
import { bottleneckStage, DEPTHS_R50, stem } from './bottleneck3d.ts'
import { type VideoNetworkOptions, videoNetwork } from './network.ts'
import { SLOW_TEMPORAL_KERNELS } from './slow.ts'
import { defineModel, type EarlierValues, videoOptions } from './spec.ts'

export interface SlowFastOptions extends VideoNetworkOptions {
  /** Frame-rate ratio of the pathways: 8 for 4×16, 4 for 8×8. */
  readonly alpha: number
  /** Temporal kernel of the lateral convolutions: 5 in 4×16, 7 in 8×8. */
  readonly lateralKernel?: number
  readonly dropout?: number
}

/** Fast channels are 1/8 of the slow ones (the paper's β). */
const BETA_INVERSE = 8
/** Lateral convolutions have twice the fast channels. */
const LATERAL_RATIO = 2

/**
 * SlowFast R50 as a graph. For 4×16 (T = 4, α = 8, S = 224):
 *
 * ```
 *        slow                            fast
 * clip   4×224×224×3                     32×224×224×3
 * stem   1×7×7/2, pool  4×56×56×64   ←   5×7×7/2, pool  32×56×56×8
 * res2   t=1            4×56×56×256  ←   t=3            32×56×56×32
 * res3   t=1            4×28×28×512  ←   t=3            32×28×28×64
 * res4   t=3            4×14×14×1024 ←   t=3            32×14×14×128
 * res5   t=3            4×7×7×2048       t=3            32×7×7×256
 * head   means side by side (2304) → classes
 *
 * ←  k×1×1 stride α convolution to 2× the fast channels, resampled, concatenated
 * ```
 */
export function slowfast(options: SlowFastOptions): Network {
  const { classes, frames, size, alpha, dropout = 0.5 } = options
  const lateralKernel = options.lateralKernel ?? (alpha === 4 ? 7 : 5)
  if (!Number.isInteger(alpha) || alpha < 1) {
    throw new MnVideoError('network', `SlowFast: alpha must be a whole number from 1, not ${alpha}.`)
  }
  const g = new GraphBuilder()

  const slowClip = g.clip('slow')
  const fastClip = g.wholeClip('fast', frames * alpha)
  g.stage('stem.slow')
  let slow = stem(g, 'blocks.0.multipathway_blocks.0', slowClip, slimmable(64), 1)
  g.stage('stem.fast')
  let fast = stem(g, 'blocks.0.multipathway_blocks.1', fastClip, fixed(64 / BETA_INVERSE), 5)
  slow = fuse(g, 'blocks.0', slow, fast, (LATERAL_RATIO * 64) / BETA_INVERSE, alpha, lateralKernel)

  DEPTHS_R50.forEach((blocks, index) => {
    const inner = 64 * 2 ** index
    const outer = 256 * 2 ** index
    const name = `blocks.${index + 1}`
    const stride = index === 0 ? 1 : 2
    g.stage(`res${index + 2}.slow`)
    slow = bottleneckStage(g, `${name}.multipathway_blocks.0`, slow, {
      blocks,
      inner,
      outer,
      stride,
      temporalKernel: SLOW_TEMPORAL_KERNELS[index]!,
      slimming: slimmable,
    })
    g.stage(`res${index + 2}.fast`)
    fast = bottleneckStage(g, `${name}.multipathway_blocks.1`, fast, {
      blocks,
      inner: inner / BETA_INVERSE,
      outer: outer / BETA_INVERSE,
      stride,
      temporalKernel: 3,
      slimming: fixed,
    })
    const last = index === DEPTHS_R50.length - 1
    if (!last) slow = fuse(g, name, slow, fast, (LATERAL_RATIO * outer) / BETA_INVERSE, alpha, lateralKernel)
  })

  g.stage('head')
  const window = Math.ceil(size / 32)
  const slowMean = g.globalPool('blocks.5.pool.0', slow, { window })
  // A slow input above the training size gives several positions; so does the fast one, which follows it.
  const fastMean = g.globalPool('blocks.5.pool.1', fast, { window })
  let x = g.concat('blocks.5', [slowMean, fastMean])
  x = g.dropout('blocks.6.dropout', x, dropout)
  const classifier = g.linear('blocks.6.proj', x, fixed(classes))
  const output = g.globalPool('blocks.6.output_pool', classifier)
  return videoNetwork(g, { name: 'SlowFast R50', family: 'slowfast' }, options, { classifier, output })
}

/** The lateral connection: fast features, one per slow frame, beside the slow ones. */
function fuse(
  g: GraphBuilder,
  block: string,
  slow: string,
  fast: string,
  channels: number,
  alpha: number,
  kernel: number,
): string {
  const name = `${block}.multipathway_fusion`
  g.stage('lateral')
  let x = g.conv(`${name}.conv_fast_to_slow`, fast, fixed(channels), {
    kernel: [kernel, 1, 1],
    stride: [alpha, 1, 1],
    padding: 'same',
  })
  x = g.batchNorm(`${name}.norm`, x)
  x = g.activation(`${name}.activation`, x, 'relu')
  x = g.resample(`${name}.resample`, x, slow)
  return g.concat(name, [slow, x])
}

/** The fast pathway takes every second frame of the clip in both published settings (16 → 8, 8 → 4). */
const alphaOf = ({ frame_stride: stride }: EarlierValues): number => (stride % 2 === 0 ? stride / 2 : 1)

export const slowfastModel = defineModel({
  name: 'slowfast',
  family: 'slowfast',
  media: 'video',
  keys: ['dropoutrate', 'alpha'],
  defaults: {
    frames: 4,
    frame_stride: 16,
    alpha: alphaOf,
  },
  build: (values) => slowfast({ ...videoOptions(values), alpha: values.alpha }),
})
