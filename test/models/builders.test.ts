/** What holds for every network, from every builder. */
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/index.ts'
import { models } from '../../src/config/models.ts'
import { MnVideoError } from '../../src/errors.ts'
import { buildNetwork } from '../../src/models/index.ts'
import { mobilenetV1 } from '../../src/models/mobilenet-v1.ts'
import { mobilenetV2 } from '../../src/models/mobilenet-v2.ts'
import { resnet } from '../../src/models/resnet.ts'
import { slow } from '../../src/models/slow.ts'
import { slowfast } from '../../src/models/slowfast.ts'
import { wideResnet } from '../../src/models/wide-resnet.ts'
import { X3D_VARIANTS, x3d } from '../../src/models/x3d.ts'
import { inputsOf, type Network } from '../../src/network/graph.ts'
import { fullConfiguration, resolve } from '../../src/network/resolve.ts'
import { parametersOf } from '../../src/network/store.ts'

interface Built {
  readonly network: Network
  readonly name: string
  /** Known total at full width. */
  readonly params: number
}

const classes = 400

/** The totals were counted in PyTorch: PyTorchVideo's networks at 400 classes, torchvision's and MutualNet's. */
const BUILT: readonly Built[] = [
  { name: 'X3D-XS', params: 3_794_274, network: x3d({ classes, ...X3D_VARIANTS.xs }) },
  { name: 'X3D-S', params: 3_794_274, network: x3d({ classes, ...X3D_VARIANTS.s }) },
  { name: 'X3D-M', params: 3_794_274, network: x3d({ classes, ...X3D_VARIANTS.m }) },
  { name: 'X3D-L', params: 6_153_384, network: x3d({ classes, ...X3D_VARIANTS.l }) },
  { name: 'Slow R50', params: 32_454_096, network: slow({ classes, frames: 8, size: 224 }) },
  {
    name: 'SlowFast R50',
    params: 34_480_216,
    network: slowfast({ classes, frames: 4, size: 224, alpha: 8 }),
  },
  {
    name: 'SlowFast R50',
    params: 34_566_488,
    network: slowfast({ classes, frames: 8, size: 224, alpha: 4 }),
  },
  { name: 'MobileNet v1', params: 4_231_976, network: mobilenetV1({ classes: 1000, size: 224 }) },
  { name: 'MobileNet v2', params: 3_504_872, network: mobilenetV2({ classes: 1000, size: 224 }) },
  { name: 'ResNet-50', params: 25_557_032, network: resnet({ classes: 1000, size: 224, depth: 50 }) },
  { name: 'ResNet-101', params: 44_549_160, network: resnet({ classes: 1000, size: 224, depth: 101 }) },
  { name: 'ResNet-152', params: 60_192_808, network: resnet({ classes: 1000, size: 224, depth: 152 }) },
  {
    name: 'WRN-28-10',
    params: 36_479_194,
    network: wideResnet({ classes: 10, size: 32, depth: 28, widenFactor: 10 }),
  },
  {
    name: 'WRN-28-10',
    params: 36_536_884,
    network: wideResnet({ classes: 100, size: 32, depth: 28, widenFactor: 10 }),
  },
]

describe.each(BUILT)('$name with $params parameters', ({ network, name, params }) => {
  it('has that name and, counted once each at full size, that many', () => {
    expect(network.name).toBe(name)
    const counted = parametersOf(network).map(({ shape }) => shape.reduce((a, b) => a * b))
    expect(counted.reduce((a, b) => a + b)).toBe(params)
  })

  it('names every node and every parameter differently', () => {
    const nodes = network.nodes.map((node) => node.name)
    expect(new Set(nodes).size).toBe(nodes.length)
    const parameters = parametersOf(network).map((parameter) => parameter.name)
    expect(new Set(parameters).size).toBe(parameters.length)
  })

  it('reads only what was computed before, and reads everything but its output', () => {
    const seen = new Set<string>()
    const read = new Set<string>()
    for (const node of network.nodes) {
      for (const input of inputsOf(node)) {
        expect([node.name, input, seen.has(input)]).toEqual([node.name, input, true])
        read.add(input)
      }
      seen.add(node.name)
    }
    expect([...seen].filter((node) => !read.has(node))).toEqual([network.output])
  })

  it('ends in a linear classifier with its classes, and in one answer', () => {
    const { nodes } = resolve(network, fullConfiguration(network))
    const classifier = nodes.find(({ node }) => node.name === network.classifier)!
    expect(classifier.node.kind).toBe('linear')
    expect(classifier.shape.channels).toBe(network.classes)
    expect(nodes.at(-1)!.node.name).toBe(network.output)
    expect(nodes.at(-1)!.shape).toEqual({ frames: 1, height: 1, width: 1, channels: network.classes })
  })

  it('puts a batch norm behind every convolution without bias, but for those known (WRN has its before)', () => {
    const batchNormed = new Set(
      network.nodes.flatMap((node) => (node.kind === 'batchNorm' ? [node.input] : [])),
    )
    const bare = network.nodes.flatMap((node) =>
      node.kind === 'conv' && !node.bias && !batchNormed.has(node.name) ? [node.name] : [],
    )
    // X3D: the stem's spatial half, res2's shortcut (equal channels) and the features before the classifier.
    const x3dBare = ['blocks.0.conv.conv_t', 'blocks.1.res_blocks.0.branch1_conv', 'blocks.5.pool.post_conv']
    if (!name.startsWith('WRN')) expect(bare).toEqual(name.startsWith('X3D') ? x3dBare : [])
  })
})

describe('the table of models', () => {
  it.each(models)('builds %s from a configuration', (model) => {
    const network = buildNetwork(parseConfig(`model: ${model}\nnum_classes: 17`, 'a.yml'))
    expect(network.classes).toBe(17)
    const { macs } = resolve(network, fullConfiguration(network))
    expect(macs).toBeGreaterThan(1e8)
  })

  it('follows what the configuration says', () => {
    const network = (text: string) => buildNetwork(parseConfig(text, 'a.yml'))
    expect(network('model: x3d\nvariant: s')).toMatchObject({ name: 'X3D-S', frames: 13, size: 160 })
    expect(network('model: mobilenet_v1\nwidth_mult_range: [0.25, 1.6]').maxWidth).toBe(1.6)
    expect(network('model: mobilenet_v1\nwidth_mult_range: [0.25, 0.5]').maxWidth).toBe(1)
    expect(network('model: wideresnet\ndepth: 16\nwiden_factor: 4').name).toBe('WRN-16-4')
    const dropouts = (text: string) => network(text).nodes.filter(({ kind }) => kind === 'dropout').length
    expect(dropouts('model: slow\ndropoutrate: 0')).toBe(0)
    expect(dropouts('model: slow')).toBe(1)
  })
})

describe('WideResNet', () => {
  // Table 4 of the paper, in millions of parameters on CIFAR-10.
  it.each([
    [40, 1, 0.6],
    [40, 2, 2.2],
    [40, 4, 8.9],
    [16, 8, 11.0],
    [22, 8, 17.2],
    [28, 10, 36.5],
  ])('%i-%i has the published %f million parameters', (depth, widenFactor, millions) => {
    const network = wideResnet({ depth, widenFactor, classes: 10, size: 32 })
    expect(resolve(network, fullConfiguration(network)).params / 1e6).toBeCloseTo(millions, 1)
  })

  it.each([27, 29, 4, 0, 28.5, Number.NaN])('of depth %d is refused', (depth) => {
    expect(() => wideResnet({ depth, widenFactor: 10, classes: 10, size: 32 })).toThrow(
      new MnVideoError('network', `WideResNet: depth must be 6n + 4 (10, 16, 22, 28, …), not ${depth}.`),
    )
  })

  it.each([0, -1, Number.NaN])('of widen factor %d is refused', (widenFactor) => {
    expect(() => wideResnet({ depth: 28, widenFactor, classes: 10, size: 32 })).toThrow(
      `WideResNet: widen_factor must be above 0, not ${widenFactor}.`,
    )
  })
})

describe('SlowFast', () => {
  it.each([0, -8, 2.5, Number.NaN])('of alpha %d is refused', (alpha) => {
    expect(() => slowfast({ classes, frames: 4, size: 224, alpha })).toThrow(
      new MnVideoError('network', `SlowFast: alpha must be a whole number from 1, not ${alpha}.`),
    )
  })

  it('looks 5 frames far in lateral convolutions for alpha 8, 7 for alpha 4, or as told', () => {
    const kernels = (options: { alpha: number; lateralKernel?: number }) =>
      slowfast({ classes, frames: 4, size: 224, ...options }).nodes.flatMap((node) =>
        node.kind === 'conv' && node.name.endsWith('conv_fast_to_slow')
          ? [[node.kernel[0], node.stride[0]]]
          : [],
      )
    expect(kernels({ alpha: 8 })).toEqual([1, 2, 3, 4].map(() => [5, 8]))
    expect(kernels({ alpha: 4 })).toEqual([1, 2, 3, 4].map(() => [7, 4]))
    expect(kernels({ alpha: 2, lateralKernel: 3 })).toEqual([1, 2, 3, 4].map(() => [3, 2]))
  })
})
