/**
 * Slow-only ResNet-50: the slow pathway of SlowFast by itself (Feichtenhofer et al. 2019). Node names are
 * PyTorchVideo's.
 */
import { GraphBuilder } from '../network/builder.ts'
import { fixed, slimmable } from '../network/channels.ts'
import type { Network } from '../network/graph.ts'
import { bottleneckStage, DEPTHS_R50, stem } from './bottleneck3d.ts'
import { type VideoNetworkOptions, videoNetwork } from './network.ts'
import { defineModel, videoOptions } from './spec.ts'

export interface SlowOptions extends VideoNetworkOptions {
  readonly dropout?: number
}

/** Temporal kernels of the four stages: only res4 and res5 look across frames. */
export const SLOW_TEMPORAL_KERNELS = [1, 1, 3, 3] as const

/**
 * Slow R50 as a graph. For 8×8 (T = 8, S = 224):
 *
 * ```
 * clip  8×224×224×3
 * stem  1×7×7/2, max pool 1×3×3/2   8×56×56×64
 * res2  t=1, 64 → 256               8×56×56×256    ×3
 * res3  t=1, 128 → 512              8×28×28×512    ×4
 * res4  t=3, 256 → 1024             8×14×14×1024   ×6
 * res5  t=3, 512 → 2048             8×7×7×2048     ×3
 * head  mean → classes
 * ```
 */
export function slow(options: SlowOptions): Network {
  const { classes, size, dropout = 0.5 } = options
  const g = new GraphBuilder()
  let x = stem(g, 'blocks.0', g.clip('clip'), slimmable(64), 1)
  DEPTHS_R50.forEach((blocks, stage) => {
    g.stage(`res${stage + 2}`)
    x = bottleneckStage(g, `blocks.${stage + 1}`, x, {
      blocks,
      inner: 64 * 2 ** stage,
      outer: 256 * 2 ** stage,
      temporalKernel: SLOW_TEMPORAL_KERNELS[stage]!,
      stride: stage === 0 ? 1 : 2,
      slimming: slimmable,
    })
  })
  g.stage('head')
  x = g.globalPool('blocks.5.pool', x, { window: Math.ceil(size / 32) })
  x = g.dropout('blocks.5.dropout', x, dropout)
  const classifier = g.linear('blocks.5.proj', x, fixed(classes))
  const output = g.globalPool('blocks.5.output_pool', classifier)
  return videoNetwork(g, { name: 'Slow R50', family: 'slow' }, options, { classifier, output })
}

export const slowModel = defineModel({
  name: 'slow',
  family: 'slow',
  media: 'video',
  keys: ['dropoutrate'],
  defaults: { frames: 8, frame_stride: 8 },
  build: (values) => slow(videoOptions(values)),
})
