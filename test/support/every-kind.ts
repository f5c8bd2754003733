/** A small network with every kind of node, for checks that must reach all of them. */
import { GraphBuilder } from '../../src/network/builder.ts'
import { fixed, slimmable } from '../../src/network/channels.ts'
import type { Network } from '../../src/network/graph.ts'

/**
 * Two inputs: a clip whose extent follows the configuration, and a whole one that is resampled to it. Odd
 * kernels, strides in time and space, padding, concatenated weights, a gate and dropout.
 */
export function everyKind(): Network {
  const g = new GraphBuilder()
  const clip = g.clip('clip')
  const whole = g.wholeClip('whole', 8)
  let x = g.conv('stem', clip, slimmable(16), { kernel: [3, 3, 3], stride: [1, 2, 2], padding: 'same' })
  x = g.batchNorm('stem.norm', x)
  x = g.activation('stem.act', x, 'relu6')
  x = g.maxPool('stem.pool', x, { kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] })
  let side = g.conv('side', whole, fixed(8), { kernel: [5, 1, 1], stride: [2, 1, 1], padding: 'same' })
  side = g.channelwiseConv('side.channelwise', side, {
    kernel: [1, 3, 3],
    stride: [2, 2, 2],
    padding: [0, 1, 1],
  })
  side = g.activation('side.act', side, 'relu')
  side = g.resample('side.resample', side, x)
  x = g.concat('both', [x, side])
  const shortcut = g.conv('shortcut', x, slimmable(24), { kernel: [1, 1, 1] })
  x = g.channelwiseConv('middle', x, { kernel: [3, 3, 3], stride: [1, 1, 1], padding: 'same' })
  x = g.batchNorm('middle.norm', x)
  let gate = g.globalPool('gate.mean', x)
  gate = g.conv('gate.in', gate, slimmable(8), { kernel: [1, 1, 1] }, { bias: true })
  gate = g.activation('gate.act', gate, 'swish')
  gate = g.conv('gate.out', gate, slimmable(16), { kernel: [1, 1, 1] }, { bias: true })
  const sideGate = g.conv('gate.side', g.globalPool('gate.side.mean', side), fixed(8), { kernel: [1, 1, 1] })
  gate = g.activation('gate.sigmoid', g.concat('gate.both', [gate, sideGate]), 'sigmoid')
  x = g.gate('gate', x, gate)
  x = g.activation('middle.act', x, 'swish')
  x = g.conv('last', x, slimmable(24), { kernel: [1, 1, 1] })
  x = g.batchNorm('last.norm', x)
  x = g.add('residual', shortcut, x)
  x = g.globalPool('pool', x)
  x = g.dropout('dropout', x, 0.3)
  const classifier = g.linear('proj', x, fixed(5))
  const output = g.globalPool('mean', classifier)
  return {
    name: 'every kind',
    family: 'none',
    media: 'video',
    frames: 4,
    size: 16,
    maxWidth: 1,
    classes: 5,
    nodes: g.nodes,
    classifier,
    output,
  }
}
