/**
 * ResNets against torchvision's, layer by layer. The rows are written from its documentation and module
 * printout: bottlenecks of 1×1, 3×3 (with the stride: "v1.5") and 1×1 ×4, a 1×1 shortcut in each stage's first.
 */
import { describe, expect, it } from 'vitest'
import { type ResNetDepth, resnet } from '../../src/models/resnet.ts'
import { fullConfiguration, type ResolvedNode, resolve } from '../../src/network/resolve.ts'

type Row = readonly [kind: string, kernel: number, stride: number, padding: number, from: number, to: number]

const BLOCKS: Record<ResNetDepth, readonly number[]> = {
  50: [3, 4, 6, 3],
  101: [3, 4, 23, 3],
  152: [3, 8, 36, 3],
}

function torchvisionRows(depth: ResNetDepth): Row[] {
  const rows: Row[] = [
    ['conv', 7, 2, 3, 3, 64],
    ['maxPool', 3, 2, 1, 64, 64],
  ]
  let from = 64
  BLOCKS[depth].forEach((blocks, stage) => {
    const planes = 64 * 2 ** stage
    for (let block = 0; block < blocks; block++) {
      const stride = block === 0 && stage > 0 ? 2 : 1
      rows.push(['conv', 1, 1, 0, from, planes], ['conv', 3, stride, 1, planes, planes])
      rows.push(['conv', 1, 1, 0, planes, 4 * planes])
      if (block === 0) rows.push(['conv', 1, stride, 0, from, 4 * planes])
      from = 4 * planes
    }
  })
  return [...rows, ['linear', 1, 1, 0, 2048, 1000]]
}

function rowsOf(nodes: readonly ResolvedNode[]): Row[] {
  return nodes.flatMap(({ node, inputs, shape }): Row[] => {
    const channels = [inputs[0]?.channels ?? 0, shape.channels] as const
    if (node.kind === 'linear') return [['linear', 1, 1, 0, ...channels]]
    if (node.kind !== 'conv' && node.kind !== 'maxPool') return []
    // Square windows, nothing over time.
    expect([node.kernel[0], node.stride[0], node.padding[0]]).toEqual([1, 1, 0])
    for (const triple of [node.kernel, node.stride, node.padding]) expect(triple[1]).toBe(triple[2])
    return [[node.kind, node.kernel[1], node.stride[1], node.padding[1], ...channels]]
  })
}

// Parameters and GFLOPs of torchvision's model table.
describe.each<{ depth: ResNetDepth; params: number; gigaMacs: number }>([
  { depth: 50, params: 25_557_032, gigaMacs: 4.09 },
  { depth: 101, params: 44_549_160, gigaMacs: 7.8 },
  { depth: 152, params: 60_192_808, gigaMacs: 11.51 },
])('ResNet-$depth', ({ depth, params, gigaMacs }) => {
  const network = resnet({ depth, classes: 1000, size: 224 })
  const { nodes, ...totals } = resolve(network, fullConfiguration(network))

  it("has torchvision's layers, in the order that they run", () => {
    expect(rowsOf(nodes)).toEqual(torchvisionRows(depth))
  })

  it("has torchvision's parameters and cost", () => {
    expect(totals.params).toBe(params)
    expect(totals.macs / 1e9).toBeCloseTo(gigaMacs, 2)
  })

  it('has a batch norm behind each convolution, a relu behind each but the last, and one behind each sum', () => {
    const count = (kind: string) => nodes.filter(({ node }) => node.kind === kind).length
    const blocks = BLOCKS[depth].reduce((a, b) => a + b)
    expect(count('conv')).toBe(1 + 3 * blocks + 4)
    expect(count('batchNorm')).toBe(count('conv'))
    expect(count('activation')).toBe(1 + 3 * blocks)
    expect(count('add')).toBe(blocks)
    for (const { node } of nodes) if (node.kind === 'activation') expect(node.activation).toBe('relu')
  })

  it('keeps inner channels near a quarter of the outer ones at every width', () => {
    for (const width of [0.7, 0.8, 0.9, 0.95]) {
      const slim = resolve(network, { width, frames: 1, size: 224 })
      const outputs = (suffix: string) =>
        slim.nodes.flatMap(({ node, shape }) => (node.name.endsWith(suffix) ? [shape.channels] : []))
      const [inner, outer] = [outputs('.body.3'), outputs('.body.6')]
      expect(inner.map((channels) => channels * 4)).toEqual(outer)
    }
  })
})
