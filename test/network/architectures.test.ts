/** Every layer of the video networks, in execution order, with its shape. */
import { describe, expect, it } from 'vitest'
import { type ResolvedNode, resolve } from '../../src/network/resolve.ts'
import { readReference, VIDEO_NETWORKS } from '../support/reference.ts'

interface Architectures {
  models: Record<string, Architecture>
}
type Shape4 = [channels: number, frames: number, height: number, width: number]
interface Architecture {
  input: Shape4 | { slow: Shape4 }
  layers: Row[]
  output: number[]
}
interface Row {
  name: string
  op: string
  kernel?: number[]
  stride?: number[]
  padding?: number[]
  groups?: number
  inC?: number
  outC?: number
  bias?: boolean
  eps?: number
  momentum?: number
  p?: number
  positions?: number[]
  out: number[]
}

const { models } = readReference<Architectures>('architectures.json')

describe.each(Object.entries(models))('%s', (name, architecture) => {
  it('has the layers of the reference, in order, with their shapes', () => {
    const { input } = architecture
    const [, frames, size] = Array.isArray(input) ? input : input.slow
    const subNetwork = resolve(VIDEO_NETWORKS[name]!(), { width: 1, frames, size })
    const rows = subNetwork.nodes.filter((resolved) => !isSilent(resolved)).map(rowOf)
    const expected = architecture.layers.map((row) => {
      // PyTorchVideo has no name of its own for the squeeze's mean.
      const { name, op } = row
      const named = op.startsWith('mean') ? `${name}.mean` : name
      const { momentum, ...rest } = row
      return { ...rest, name: named, op }
    })
    expect(rows).toEqual(expected)
  })
})

/** Inputs, and the resampling that at full frames and size changes nothing, have no row. */
const isSilent = ({ node, inputs }: ResolvedNode) =>
  node.kind === 'input' || (node.kind === 'resample' && inputs[0]!.frames === inputs[1]!.frames)

function rowOf({ node, inputs, shape, kernel }: ResolvedNode): Row {
  const { name } = node
  const out = [shape.channels, shape.frames, shape.height, shape.width]
  const from = inputs[0]?.channels ?? 0
  switch (node.kind) {
    case 'conv':
    case 'channelwiseConv': {
      const groups = node.kind === 'conv' ? 1 : from
      const { stride, padding } = node
      const bias = node.kind === 'conv' && node.bias
      return {
        name,
        op: 'conv3d',
        kernel: [...kernel!],
        stride: [...stride],
        padding: [...padding],
        groups,
        inC: from,
        outC: shape.channels,
        bias,
        out,
      }
    }
    case 'batchNorm':
      return { name, op: 'batchnorm', eps: node.epsilon, out }
    case 'activation':
      return { name, op: node.activation, out }
    case 'add':
      return { name, op: 'add(shortcut, branch2)', out }
    case 'concat':
      return {
        name,
        op: name.includes('fusion') ? 'concat(slow, lateral) on channels' : 'concat(slow, fast) on channels',
        out,
      }
    case 'gate':
      return { name, op: 'multiply(input, gate)', out }
    case 'maxPool':
      return {
        name,
        op: 'maxpool',
        kernel: [...kernel!],
        stride: [...node.stride],
        padding: [...node.padding],
        out,
      }
    case 'globalPool':
      if (name.endsWith('.mean')) return { name, op: 'mean over T,H,W (keepdim)', out }
      if (name.endsWith('output_pool')) return { name, op: 'globalavgpool', out }
      return { name, op: 'avgpool', kernel: [...kernel!], stride: [1, 1, 1], padding: [0, 0, 0], out }
    case 'dropout':
      return { name, op: 'dropout', p: node.rate, out }
    case 'linear':
      return {
        name,
        op: 'linear',
        inC: from,
        outC: shape.channels,
        bias: true,
        positions: [shape.frames, shape.height, shape.width],
        out: [shape.channels],
      }
    default:
      throw new Error(`no row for ${node.kind}`)
  }
}
