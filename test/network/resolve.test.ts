/** Shapes, channels and costs of every network at any configuration, recounted independently. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MnVideoError } from '../../src/errors.ts'
import { mobilenetV1 } from '../../src/models/mobilenet-v1.ts'
import { mobilenetV2 } from '../../src/models/mobilenet-v2.ts'
import { resnet } from '../../src/models/resnet.ts'
import { slow } from '../../src/models/slow.ts'
import { slowfast } from '../../src/models/slowfast.ts'
import { wideResnet } from '../../src/models/wide-resnet.ts'
import { X3D_VARIANTS, x3d } from '../../src/models/x3d.ts'
import { GraphBuilder } from '../../src/network/builder.ts'
import { type ChannelSlice, fixed, slimmable } from '../../src/network/channels.ts'
import type { Configuration, Network } from '../../src/network/graph.ts'
import {
  configurationKey,
  fullConfiguration,
  type ResolvedNode,
  resolve,
  type SubNetwork,
} from '../../src/network/resolve.ts'
import { parametersOf } from '../../src/network/store.ts'

const classes = 10

const NETWORKS: Readonly<Record<string, Network>> = {
  'X3D-M': x3d({ classes, ...X3D_VARIANTS.m }),
  'Slow 8×8': slow({ classes, frames: 8, size: 224 }),
  'SlowFast 4×16': slowfast({ classes, frames: 4, size: 224, alpha: 8 }),
  'SlowFast 8×8': slowfast({ classes, frames: 8, size: 224, alpha: 4 }),
  'MobileNet v1': mobilenetV1({ classes, size: 224 }),
  'MobileNet v1 up to 1.6': mobilenetV1({ classes, size: 288, maxWidth: 1.6 }),
  'MobileNet v2': mobilenetV2({ classes, size: 224 }),
  'ResNet-50': resnet({ classes, size: 224, depth: 50 }),
  'WRN-16-4': wideResnet({ classes, size: 32, depth: 16, widenFactor: 4 }),
}

/** A hand-made network around a few layers. */
function networkOf(
  build: (g: GraphBuilder, clip: string) => string,
  options: Partial<Network> = {},
): Network {
  const g = new GraphBuilder()
  const last = build(g, g.clip('clip'))
  const classifier = g.linear('fc', g.globalPool('pool', last), fixed(classes))
  return {
    ...{ name: 'Hand-made', family: 'none', media: 'video', frames: 4, size: 8, maxWidth: 1, classes },
    ...{ nodes: g.nodes, classifier, output: classifier },
    ...options,
  }
}

describe.each(Object.entries(NETWORKS))('%s at any configuration', (_, network) => {
  // Widths below a quarter meet makeDivisible's jump from 9 channels to 8.
  const configuration: fc.Arbitrary<Configuration> = fc.record({
    width: fc.integer({ min: 25, max: network.maxWidth * 100 }).map((percent) => percent / 100),
    frames: fc.integer({ min: 1, max: network.frames }),
    size: fc.integer({ min: 1, max: network.size + 70 }),
  })
  const everywhere = (check: (subNetwork: SubNetwork, chosen: Configuration) => void) =>
    fc.assert(
      fc.property(configuration, (chosen) => check(resolve(network, chosen), chosen)),
      { seed: 1995, numRuns: 12 },
    )

  it('has as many positions as windows fit', () => {
    everywhere((subNetwork) => {
      const found: unknown[] = []
      const expected: unknown[] = []
      for (const { node, inputs, shape } of subNetwork.nodes) {
        if (node.kind !== 'conv' && node.kind !== 'channelwiseConv' && node.kind !== 'maxPool') continue
        const { kernel, stride, padding } = node
        const axes = ['frames', 'height', 'width'] as const
        found.push([node.name, ...axes.map((axis) => shape[axis])])
        expected.push([
          node.name,
          ...axes.map((axis, i) => windows(inputs[0]![axis], kernel[i]!, stride[i]!, padding[i]!)),
        ])
      }
      expect(found).toEqual(expected)
    })
  })

  it('has channels that agree with the slices of the weights on both sides', () => {
    everywhere((subNetwork) => {
      const wrong = subNetwork.nodes.filter(({ inputs, shape, slices, parameters }) => {
        const agrees = parameters.every(
          (parameter) =>
            parameter.shape.at(-1) === shape.channels &&
            parameter.out === slices &&
            fits(parameter.out, parameter.fullShape.at(-1)!) &&
            (!parameter.in ||
              (parameter.shape.at(-2) === inputs[0]!.channels &&
                total(parameter.in) === inputs[0]!.channels &&
                fits(parameter.in, parameter.fullShape.at(-2)!))),
        )
        return !agrees || total(slices) !== shape.channels
      })
      expect(wrong).toEqual([])
    })
  })

  it('costs what the shapes of weights and outputs say', () => {
    everywhere((subNetwork) => {
      const { params, macs } = recount(subNetwork)
      expect(subNetwork.params).toBe(params)
      expect(subNetwork.macs).toBe(macs)
    })
  })

  it('has the same weights at full size whatever the configuration', () => {
    const full = parametersOf(network).map(({ name, shape }) => [name, shape])
    everywhere((subNetwork) => {
      const named = subNetwork.nodes.flatMap((node) =>
        node.parameters.map((parameter) => [parameter.name, parameter.fullShape]),
      )
      expect(named).toEqual(full)
    })
  })

  it('never costs more when narrower, shorter or smaller', () => {
    fc.assert(
      fc.property(configuration, configuration, (a, b) => {
        const larger = resolve(network, {
          width: Math.max(a.width, b.width),
          frames: Math.max(a.frames, b.frames),
          size: Math.max(a.size, b.size),
        })
        const smaller = resolve(network, {
          width: Math.min(a.width, b.width),
          frames: Math.min(a.frames, b.frames),
          size: Math.min(a.size, b.size),
        })
        expect(smaller.macs).toBeLessThanOrEqual(larger.macs)
        expect(smaller.params).toBeLessThanOrEqual(larger.params)
      }),
      { seed: 1995, numRuns: 12 },
    )
  })
})

describe('SlowFast', () => {
  const network = NETWORKS['SlowFast 4×16']!
  const full = resolve(network, fullConfiguration(network))
  const reduced = resolve(network, { width: 0.63, frames: 2, size: 128 })
  const isWhole = ({ node }: ResolvedNode) =>
    node.stage.endsWith('.fast') ||
    node.name === 'fast' ||
    (node.stage === 'lateral' && !['resample', 'concat'].includes(node.kind))

  it('keeps its fast pathway and lateral convolutions whole while the slow one shrinks', () => {
    const whole = reduced.nodes.filter(isWhole)
    expect(whole).toEqual(full.nodes.filter(isWhole))
    expect(whole.filter(({ node }) => node.kind === 'conv').length).toBe(1 + 4 + 16 * 3 + 4)
    const slowClip = reduced.nodes[0]!
    expect(slowClip.shape).toEqual({ frames: 2, height: 128, width: 128, channels: 3 })
    const slowStages = reduced.nodes.filter(({ node }) => /^res\d\.slow$/.test(node.stage))
    expect(Math.max(...slowStages.map(({ shape }) => shape.frames))).toBe(2)
    expect(slowStages.at(-1)!.shape).toEqual({ frames: 2, height: 4, width: 4, channels: 1288 })
  })

  it('gives lateral features the extent of the slow pathway', () => {
    const resampled = reduced.nodes.filter(({ node }) => node.kind === 'resample')
    expect(resampled.map(({ inputs }) => [inputs[0]!.frames, inputs[0]!.height])).toEqual([
      [4, 56],
      [4, 56],
      [4, 28],
      [4, 14],
    ])
    expect(resampled.map(({ shape }) => [shape.frames, shape.height, shape.channels])).toEqual([
      [2, 32, 16],
      [2, 32, 64],
      [2, 16, 128],
      [2, 8, 256],
    ])
  })

  it('reads the lateral channels at their place in the full weights', () => {
    const classifier = reduced.nodes.find(({ node }) => node.name === network.classifier)!
    expect(classifier.parameters[0]!.in).toEqual([
      { start: 0, count: 1288 },
      { start: 2048, count: 256 },
    ])
  })

  it('lets the fast clip grow with the slow one above the training size', () => {
    const larger = resolve(network, { width: 1, frames: 4, size: 256 })
    const [slowClip, fastClip] = larger.nodes.filter(({ node }) => node.kind === 'input')
    expect(slowClip!.shape).toEqual({ frames: 4, height: 256, width: 256, channels: 3 })
    expect(fastClip!.shape).toEqual({ frames: 32, height: 256, width: 256, channels: 3 })
  })
})

describe('the classifier of a video network', () => {
  const positions = (name: string, size: number) => {
    const network = NETWORKS[name]!
    const subNetwork = resolve(network, { ...fullConfiguration(network), size })
    const shapeOf = (wanted: string) => subNetwork.nodes.find(({ node }) => node.name === wanted)!.shape
    expect(shapeOf(network.output)).toEqual({ frames: 1, height: 1, width: 1, channels: classes })
    const { frames, height, width } = shapeOf(network.classifier)
    return [frames, height, width]
  }

  it.each(['X3D-M', 'Slow 8×8', 'SlowFast 4×16'])('of %s sees several positions above its size', (name) => {
    expect(positions(name, 64)).toEqual([1, 1, 1])
    expect(positions(name, 224)).toEqual([1, 1, 1])
    expect(positions(name, 225)).toEqual([1, 2, 2])
    expect(positions(name, 256)).toEqual([1, 2, 2])
    expect(positions(name, 288)).toEqual([1, 3, 3])
  })

  it('sees one position in an image network at any size', () => {
    expect(positions('MobileNet v1', 320)).toEqual([1, 1, 1])
    expect(positions('ResNet-50', 288)).toEqual([1, 1, 1])
  })
})

describe('an image network wider than 1', () => {
  const wide = NETWORKS['MobileNet v1 up to 1.6']!
  const plain = mobilenetV1({ classes, size: 288 })

  it('has full weights of the widest', () => {
    const shapes = new Map(parametersOf(wide).map(({ name, shape }) => [name, shape]))
    expect(shapes.get('features.0.0.weight')).toEqual([1, 3, 3, 3, 48])
    expect(shapes.get('features.13.body.3.weight')).toEqual([1, 1, 1, 1640, 1640])
    expect(shapes.get('classifier.0.weight')).toEqual([1640, classes])
  })

  it('uses the first channels of them at width 1, as many as the plain network has', () => {
    const chosen = fullConfiguration(plain)
    const [ours, theirs] = [resolve(wide, chosen), resolve(plain, chosen)]
    expect(ours.macs).toBe(theirs.macs)
    expect(ours.params).toBe(theirs.params)
    const layer = ours.nodes.find(({ node }) => node.name === 'features.13.body.3')!
    expect(layer.parameters[0]).toMatchObject({
      shape: [1, 1, 1, 1024, 1024],
      fullShape: [1, 1, 1, 1640, 1640],
      in: [{ start: 0, count: 1024 }],
      out: [{ start: 0, count: 1024 }],
    })
  })

  it('costs what the model-scaling experiment says: 2.3 GMACs at width 1.6 and 288 pixels', () => {
    const { macs } = resolve(wide, { width: 1.6, frames: 1, size: 288 })
    expect(Math.trunc(macs / 1e8)).toBe(23)
  })
})

describe('a configuration', () => {
  it.each<[string, Partial<Configuration>, string]>([
    ['X3D-M', { width: 0 }, 'width 0 is not possible: give a width multiplier above 0 and at most 1.'],
    ['X3D-M', { width: Number.NaN }, 'width NaN is not possible'],
    ['X3D-M', { width: 1.1 }, 'width 1.1 is not possible: give a width multiplier above 0 and at most 1.'],
    ['MobileNet v1 up to 1.6', { width: 1.7 }, 'width 1.7 is not possible'],
    ['X3D-M', { size: 0 }, 'size 0 is not possible: give a whole number of pixels from 1.'],
    ['X3D-M', { size: 1.5 }, 'size 1.5 is not possible'],
    ['X3D-M', { size: Number.NaN }, 'size NaN is not possible'],
    ['X3D-M', { frames: 0 }, 'frames 0 is not possible: give a whole number from 1.'],
    ['X3D-M', { frames: 2.5 }, 'frames 2.5 is not possible'],
    ['ResNet-50', { frames: 2 }, 'ResNet-50 classifies images: give 1 frame, not 2.'],
    [
      'SlowFast 4×16',
      { frames: 33 },
      'SlowFast R50: 33 slow frames cannot be taken from its 32 fast ones. Give at most 32.',
    ],
  ])('of %s with %o is refused', (name, change, message) => {
    const network = NETWORKS[name]!
    const error = errorOf(() => resolve(network, { ...fullConfiguration(network), ...change }))
    expect(error.code).toBe('network')
    expect(error.message).toContain(message)
  })

  it('smaller than a kernel is refused with the node, its kernel and what it gets', () => {
    const network = networkOf((g, clip) => {
      const x = g.conv('wide.conv', clip, slimmable(8), { kernel: [3, 5, 5], stride: [1, 2, 2] })
      return g.maxPool('late.pool', x, { kernel: [1, 3, 3] })
    })
    expect(resolve(network, { width: 1, frames: 3, size: 9 }).nodes.at(-1)!.shape.channels).toBe(classes)
    expect(errorOf(() => resolve(network, { width: 1, frames: 2, size: 9 })).message).toBe(
      'Hand-made cannot run at 2 frames of 9×9: wide.conv (kernel 3×5×5) gets only 2×9×9 values. Give a larger size or more frames.',
    )
    expect(errorOf(() => resolve(network, { width: 1, frames: 3, size: 8 })).message).toContain(
      'at 3 frames of 8×8: late.pool (kernel 1×3×3) gets only 1×2×2 values',
    )
  })

  it('of width 1 uses every channel of a network that is not wider', () => {
    for (const network of Object.values(NETWORKS).filter(({ maxWidth }) => maxWidth === 1)) {
      for (const { node, shape } of resolve(network, fullConfiguration(network)).nodes) {
        if (node.kind === 'conv') expect(shape.channels).toBe(node.out.base)
      }
    }
  })

  it('has a key that tells it from others', () => {
    expect(configurationKey({ width: 0.63, frames: 4, size: 160 })).toBe('0.63-4-160')
  })
})

describe('a graph that makes no sense', () => {
  it('of two nodes with one name is refused when built', () => {
    expect(() =>
      networkOf((g, clip) => g.activation('same', g.activation('same', clip, 'relu'), 'relu')),
    ).toThrow('two nodes are named "same"')
  })

  it.each(['add', 'concat'] as const)('of %s over unequal extents is refused', (kind) => {
    const network = networkOf((g, clip) => {
      const half = g.maxPool('half', clip, { kernel: [1, 2, 2], stride: [1, 2, 2] })
      return kind === 'add' ? g.add('both', clip, half) : g.concat('both', [clip, half])
    })
    expect(() => resolve(network, fullConfiguration(network))).toThrow('the inputs of both differ in extent')
  })
})

const total = (slices: readonly ChannelSlice[]) => slices.reduce((sum, { count }) => sum + count, 0)

/** Whether slices follow each other inside a number of channels. */
const fits = (slices: readonly ChannelSlice[], channels: number) =>
  slices.every(({ start, count }, i) => {
    const end = slices[i + 1]?.start ?? channels
    return start >= 0 && count >= 1 && start + count <= end
  })

/** The number of places where a window fits, counted one by one. */
function windows(extent: number, kernel: number, stride: number, padding: number): number {
  let count = 0
  for (let start = -padding; start + kernel <= extent + padding; start += stride) count++
  return count
}

/** Costs from the shapes of weights and outputs alone. */
function recount(subNetwork: SubNetwork): { params: number; macs: number } {
  let params = 0
  let macs = 0
  for (const { shape, parameters } of subNetwork.nodes) {
    for (const parameter of parameters) {
      const values = parameter.shape.reduce((a, b) => a * b)
      params += values
      // Every weight of a filter or linear layer is used once per position; biases and scales cost nothing.
      if (['conv', 'channelwise', 'linear'].includes(parameter.role)) {
        macs += values * shape.frames * shape.height * shape.width
      }
    }
  }
  return { params, macs }
}

function errorOf(run: () => unknown): MnVideoError {
  try {
    run()
  } catch (error) {
    if (error instanceof MnVideoError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
