/** The full-size weights, and the part of them that a sub-network uses. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MnVideoError } from '../../src/errors.ts'
import { mobilenetV1 } from '../../src/models/mobilenet-v1.ts'
import { x3d } from '../../src/models/x3d.ts'
import { GraphBuilder } from '../../src/network/builder.ts'
import { fixed, slimmable } from '../../src/network/channels.ts'
import type { Network } from '../../src/network/graph.ts'
import { decays, type ParameterSlice, sizeOf } from '../../src/network/parameters.ts'
import { fullConfiguration, resolve } from '../../src/network/resolve.ts'
import { forEachRun, initialStatistics, ParameterStore, parametersOf } from '../../src/network/store.ts'

/** Three parts side by side, then a 3×3×1 convolution and a classifier over all of them. */
const concatenated: Network = (() => {
  const g = new GraphBuilder()
  const clip = g.clip('clip')
  const parts = [slimmable(24), fixed(5), slimmable(54)].map((out, i) =>
    g.conv(`part${i}`, clip, out, { kernel: [1, 1, 1] }, { bias: true }),
  )
  const all = g.concat('all', parts)
  const normalised = g.batchNorm('norm', all)
  const mixed = g.conv('mixed', normalised, slimmable(40), { kernel: [3, 3, 1], padding: 'same' })
  const shifted = g.channelwiseConv('shifted', g.concat('again', [mixed, normalised]), { kernel: [3, 1, 1] })
  const classifier = g.linear('fc', g.globalPool('pool', shifted), fixed(7))
  return {
    ...{ name: 'Concatenated', family: 'none', media: 'video', frames: 4, size: 8, maxWidth: 1, classes: 7 },
    ...{ nodes: g.nodes, classifier, output: classifier },
  }
})()

const small = x3d({ classes: 10, frames: 4, size: 64, widthFactor: 1, depthFactor: 1, headFeatures: 64 })
const wide = mobilenetV1({
  classes: 10,
  size: 64,
  maxWidth: 1.6,
  layout: {
    stem: 16,
    blocks: [
      [24, 1],
      [40, 2],
    ],
  },
})

/** Weights whose every value is its own index, so that a gathered value says where it came from. */
function indexed(network: Network): ParameterStore {
  const values = parametersOf(network).map(
    ({ name, shape }) => [name, Float32Array.from({ length: sizeOf(shape) }, (_, i) => i)] as const,
  )
  return new ParameterStore(network, new Map(values))
}

describe('the part of a weight that a sub-network uses', () => {
  it.each([
    ['a concatenation', concatenated],
    ['X3D', small],
    ['a network wider than 1', wide],
  ])('is what a naive loop over indices picks: %s', (_, network) => {
    const store = indexed(network)
    fc.assert(
      fc.property(fc.integer({ min: 25, max: network.maxWidth * 100 }), (percent) => {
        const subNetwork = resolve(network, { ...fullConfiguration(network), width: percent / 100 })
        for (const slice of subNetwork.nodes.flatMap(({ parameters }) => parameters)) {
          const expected = naiveIndices(slice)
          const wrong = store.gather(slice).findIndex((value, i) => value !== expected[i])
          expect([slice.name, wrong]).toEqual([slice.name, -1])
          expect(expected.length).toBe(sizeOf(slice.shape))
        }
      }),
      { seed: 1995, numRuns: 8, examples: [[63], [100]] },
    )
  })

  it('takes each part of a concatenated input at its own offset', () => {
    const { nodes } = resolve(concatenated, { width: 0.63, frames: 4, size: 8 })
    const slice = nodes.find(({ node }) => node.name === 'mixed')!.parameters[0]!
    // 24 → 16, 5 and 54 → 32 of 83 input channels; 40 → 24 outputs.
    expect(slice).toMatchObject({ shape: [3, 3, 1, 53, 24], fullShape: [3, 3, 1, 83, 40] })
    const gathered = indexed(concatenated).gather(slice)
    const channels = Array.from({ length: 53 }, (_, i) => gathered[i * 24]! / 40)
    const run = (start: number, count: number) => Array.from({ length: count }, (_, i) => start + i)
    expect(channels).toEqual([...run(0, 16), ...run(24, 5), ...run(29, 32)])
  })

  it('is everything, in order, at full width', () => {
    const store = indexed(small)
    for (const slice of resolve(small, fullConfiguration(small)).nodes.flatMap((node) => node.parameters)) {
      expect(slice.shape).toEqual(slice.fullShape)
      const whole = store.values.get(slice.name)!
      expect([slice.name, Buffer.from(store.gather(slice).buffer).equals(Buffer.from(whole.buffer))]).toEqual(
        [slice.name, true],
      )
    }
  })

  it('is a copy', () => {
    const store = indexed(small)
    const slice = resolve(small, fullConfiguration(small)).nodes[1]!.parameters[0]!
    store.gather(slice).fill(-1)
    expect(store.values.get(slice.name)![3]).toBe(3)
  })

  it('comes in runs that add up to its size', () => {
    for (const width of [0.25, 0.63, 1]) {
      const { nodes } = resolve(concatenated, { width, frames: 4, size: 8 })
      for (const slice of nodes.flatMap(({ parameters }) => parameters)) {
        let values = 0
        forEachRun(slice, (_, count) => {
          values += count
        })
        expect([slice.name, values]).toEqual([slice.name, sizeOf(slice.shape)])
      }
    }
  })
})

describe('a parameter', () => {
  const parameters = parametersOf(concatenated)

  it('is listed once, in execution order, at full size', () => {
    expect(parameters.map(({ name, role, shape }) => `${name} ${role} ${shape.join('×')}`)).toEqual([
      'part0.weight conv 1×1×1×3×24',
      'part0.bias bias 24',
      'part1.weight conv 1×1×1×3×5',
      'part1.bias bias 5',
      'part2.weight conv 1×1×1×3×54',
      'part2.bias bias 54',
      'norm.weight scale 83',
      'norm.bias shift 83',
      'mixed.weight conv 3×3×1×83×40',
      'shifted.weight channelwise 3×1×1×123',
      'fc.weight linear 123×7',
      'fc.bias bias 7',
    ])
  })

  it('decays as a dense filter or linear weight, as MutualNet on ImageNet', () => {
    expect(parameters.filter(({ role }) => decays(role, 'dense')).map(({ name }) => name)).toEqual([
      'part0.weight',
      'part1.weight',
      'part2.weight',
      'mixed.weight',
      'fc.weight',
    ])
  })

  it('decays unless it is of batch norm, as in PySlowFast, or always, as MutualNet on CIFAR', () => {
    const spared = (rule: 'no_norms' | 'all') =>
      parameters.filter(({ role }) => !decays(role, rule)).map(({ name }) => name)
    expect(spared('no_norms')).toEqual(['norm.weight', 'norm.bias'])
    expect(spared('all')).toEqual([])
  })
})

describe('a store', () => {
  const complete = () => new Map(indexed(concatenated).values)

  it.each<[string, (values: Map<string, Float32Array>) => void, string]>([
    [
      'a missing parameter',
      (values) => values.delete('norm.bias'),
      'Concatenated: parameter "norm.bias" needs 83 values (83), but it is missing.',
    ],
    [
      'a short parameter',
      (values) => values.set('mixed.weight', new Float32Array(5)),
      'Concatenated: parameter "mixed.weight" needs 29880 values (3×3×1×83×40), not 5.',
    ],
    [
      'a long parameter',
      (values) => values.set('fc.bias', new Float32Array(8)),
      'Concatenated: parameter "fc.bias" needs 7 values (7), not 8.',
    ],
    [
      'an empty parameter',
      (values) => values.set('fc.bias', new Float32Array(0)),
      'Concatenated: parameter "fc.bias" needs 7 values (7), not 0.',
    ],
  ])('refuses %s', (_, damage, message) => {
    const values = complete()
    damage(values)
    expect(() => new ParameterStore(concatenated, values)).toThrow(new MnVideoError('weights', message))
  })

  it('counts its changes', () => {
    const store = indexed(concatenated)
    expect(store.version).toBe(0)
    store.touch()
    store.touch()
    expect(store.version).toBe(2)
  })
})

describe('initial statistics', () => {
  it('are mean 0 and variance 1 for the channels in use', () => {
    const statistics = initialStatistics(resolve(concatenated, { width: 0.63, frames: 4, size: 8 }))
    expect([...statistics.keys()]).toEqual(['norm'])
    expect(statistics.get('norm')!.mean).toEqual(new Float32Array(53))
    expect(statistics.get('norm')!.variance).toEqual(new Float32Array(53).fill(1))
  })
})

/** The full-size index of every value of a slice, from its multi-index alone. */
function naiveIndices(slice: ParameterSlice): number[] {
  const channelOf = (runs: readonly { start: number; count: number }[], i: number): number => {
    let left = i
    for (const { start, count } of runs) {
      if (left < count) return start + left
      left -= count
    }
    throw new Error('no run has this channel')
  }
  const axes = slice.shape.length
  return Array.from({ length: sizeOf(slice.shape) }, (_, flat) => {
    let rest = flat
    let index = 0
    let step = 1
    for (let axis = axes - 1; axis >= 0; axis--) {
      let at = rest % slice.shape[axis]!
      rest = Math.floor(rest / slice.shape[axis]!)
      if (axis === axes - 1) at = channelOf(slice.out, at)
      else if (axis === axes - 2 && slice.in) at = channelOf(slice.in, at)
      index += at * step
      step *= slice.fullShape[axis]!
    }
    return index
  })
}
