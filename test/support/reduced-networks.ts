/** The small networks of the sample checkpoints, and of tests that need every layer but little work. */
import { bottleneckStage, stem } from '../../src/models/bottleneck3d.ts'
import { mobilenetV1 } from '../../src/models/mobilenet-v1.ts'
import { x3d } from '../../src/models/x3d.ts'
import { GraphBuilder } from '../../src/network/builder.ts'
import { fixed, slimmable } from '../../src/network/channels.ts'
import type { Network } from '../../src/network/graph.ts'

/** PyTorchVideo's `create_x3d` with width_factor 4/3, depth_factor 0.4 and head_dim_out 256. */
export const reducedX3d = (classes = 10): Network =>
  x3d({ classes, frames: 4, size: 64, widthFactor: 4 / 3, depthFactor: 0.4, headFeatures: 256 })

export const tinyMobilenet = (): Network =>
  mobilenetV1({
    classes: 10,
    size: 32,
    layout: {
      stem: 16,
      blocks: [
        [32, 1],
        [64, 2],
        [128, 2],
      ],
    },
  })

/** The slow pathway by itself: one block a stage and a quarter of the channels. */
export function reducedSlow(classes = 10): Network {
  const g = new GraphBuilder()
  let x = stem(g, 'blocks.0', g.clip('clip'), slimmable(16), 1)
  for (const index of [0, 1, 2, 3]) {
    x = bottleneckStage(g, `blocks.${index + 1}`, x, {
      blocks: 1,
      stride: index === 0 ? 1 : 2,
      inner: 16 * 2 ** index,
      outer: 64 * 2 ** index,
      temporalKernel: index < 2 ? 1 : 3,
      slimming: slimmable,
    })
  }
  const classifier = g.linear(
    'blocks.5.proj',
    g.globalPool('blocks.5.pool', x, { window: 1 }),
    fixed(classes),
  )
  const output = g.globalPool('blocks.5.output_pool', classifier)
  return {
    name: 'Slow, reduced',
    family: 'slow',
    media: 'video',
    frames: 2,
    size: 32,
    maxWidth: 1,
    classes,
    nodes: g.nodes,
    classifier,
    output,
  }
}

/** SlowFast with one block a stage, α = 8 and a quarter of the channels; 2 slow and 16 fast frames of 64². */
export function reducedSlowfast(classes = 10): Network {
  const g = new GraphBuilder()
  const slowClip = g.clip('slow')
  const fastClip = g.wholeClip('fast', 16)
  let slow = stem(g, 'blocks.0.multipathway_blocks.0', slowClip, slimmable(16), 1)
  let fast = stem(g, 'blocks.0.multipathway_blocks.1', fastClip, fixed(2), 5)
  const fuse = (block: string, channels: number) => {
    const name = `${block}.multipathway_fusion`
    const kernel = [5, 1, 1] as const
    let x = g.conv(`${name}.conv_fast_to_slow`, fast, fixed(channels), {
      kernel,
      stride: [8, 1, 1],
      padding: 'same',
    })
    x = g.batchNorm(`${name}.norm`, x)
    x = g.activation(`${name}.activation`, x, 'relu')
    return g.concat(name, [slow, g.resample(`${name}.resample`, x, slow)])
  }
  slow = fuse('blocks.0', 4)
  for (const index of [0, 1, 2, 3]) {
    const inner = 16 * 2 ** index
    const name = `blocks.${index + 1}`
    const common = { blocks: 1, stride: index === 0 ? 1 : 2 }
    slow = bottleneckStage(g, `${name}.multipathway_blocks.0`, slow, {
      ...common,
      inner,
      outer: 4 * inner,
      temporalKernel: index < 2 ? 1 : 3,
      slimming: slimmable,
    })
    fast = bottleneckStage(g, `${name}.multipathway_blocks.1`, fast, {
      ...common,
      inner: inner / 8,
      outer: inner / 2,
      temporalKernel: 3,
      slimming: fixed,
    })
    if (index < 3) slow = fuse(name, inner)
  }
  const means = [g.globalPool('blocks.5.pool.0', slow), g.globalPool('blocks.5.pool.1', fast)]
  const classifier = g.linear('blocks.6.proj', g.concat('blocks.5', means), fixed(classes))
  const output = g.globalPool('blocks.6.output_pool', classifier)
  return {
    name: 'SlowFast, reduced',
    family: 'slowfast',
    media: 'video',
    frames: 2,
    size: 64,
    maxWidth: 1,
    classes,
    nodes: g.nodes,
    classifier,
    output,
  }
}
