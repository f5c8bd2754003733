/**
 * The residual stages that Slow and SlowFast are made of: bottleneck blocks of a ResNet-50 with a temporal
 * kernel in their first convolution. Node names are PyTorchVideo's.
 */
import type { GraphBuilder } from '../network/builder.ts'
import type { Channels } from '../network/channels.ts'

/** How a pathway's channel counts slim: `slimmable` for Slow, `fixed` for Fast. */
export type Slimming = (base: number) => Channels

/** Blocks per stage of a ResNet-50. */
export const DEPTHS_R50 = [3, 4, 6, 3] as const

export interface Stage {
  readonly blocks: number
  readonly inner: number
  readonly outer: number
  /** Frames that the first convolution of each block sees: 1 or 3. */
  readonly temporalKernel: number
  /** Spatial stride of the first block. */
  readonly stride: number
  readonly slimming: Slimming
}

/** The stem: convolution (t×7×7, stride 2), batch norm, relu and a 1×3×3 max pool of stride 2. */
export function stem(g: GraphBuilder, name: string, input: string, out: Channels, temporalKernel: number) {
  let x = g.conv(`${name}.conv`, input, out, {
    kernel: [temporalKernel, 7, 7],
    stride: [1, 2, 2],
    padding: 'same',
  })
  x = g.batchNorm(`${name}.norm`, x)
  x = g.activation(`${name}.activation`, x, 'relu')
  return g.maxPool(`${name}.pool`, x, { kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] })
}

/** A stage of bottleneck blocks; the spatial stride is in the 3×3 convolution of the first block. */
export function bottleneckStage(g: GraphBuilder, name: string, input: string, stage: Stage): string {
  let x = input
  for (let block = 0; block < stage.blocks; block++) {
    x = bottleneck(g, `${name}.res_blocks.${block}`, x, stage, block === 0)
  }
  return x
}

function bottleneck(g: GraphBuilder, name: string, input: string, stage: Stage, first: boolean): string {
  const inner = stage.slimming(stage.inner)
  const outer = stage.slimming(stage.outer)
  const stride = [1, first ? stage.stride : 1, first ? stage.stride : 1] as const
  let shortcut = input
  if (first) {
    shortcut = g.conv(`${name}.branch1_conv`, input, outer, { kernel: [1, 1, 1], stride })
    shortcut = g.batchNorm(`${name}.branch1_norm`, shortcut)
  }
  const branch = `${name}.branch2`
  let x = g.conv(`${branch}.conv_a`, input, inner, { kernel: [stage.temporalKernel, 1, 1], padding: 'same' })
  x = g.batchNorm(`${branch}.norm_a`, x)
  x = g.activation(`${branch}.act_a`, x, 'relu')
  x = g.conv(`${branch}.conv_b`, x, inner, { kernel: [1, 3, 3], stride, padding: 'same' })
  x = g.batchNorm(`${branch}.norm_b`, x)
  x = g.activation(`${branch}.act_b`, x, 'relu')
  x = g.conv(`${branch}.conv_c`, x, outer, { kernel: [1, 1, 1] })
  x = g.batchNorm(`${branch}.norm_c`, x, { zeroInit: true })
  x = g.add(name, shortcut, x)
  return g.activation(`${name}.activation`, x, 'relu')
}
