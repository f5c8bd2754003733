import { describe, expect, it } from 'vitest'
import { type ImportOptions, importWeights } from '../../../src/checkpoints/import/import-weights.ts'
import { parseWeightsFile } from '../../../src/checkpoints/weights-file.ts'
import { resnet } from '../../../src/models/resnet.ts'
import { slow } from '../../../src/models/slow.ts'
import { slowfast } from '../../../src/models/slowfast.ts'
import type { Network } from '../../../src/network/graph.ts'
import { parametersOf } from '../../../src/network/store.ts'
import { reducedSlowfast, reducedX3d, tinyMobilenet } from '../../support/reduced-networks.ts'
import { checkpointOf, hashed, type State, torchState } from '../../support/torch-state.ts'

const importState = (network: Network, state: ReadonlyMap<string, State>, options?: ImportOptions) =>
  importWeights(network, parseWeightsFile(checkpointOf(state), 'file.pyth'), 'file.pyth', options)

/** Our value at [tap, in, out] is PyTorch's at [out, in, tap]. */
function expectSame(
  network: Network,
  weights: ReadonlyMap<string, Float32Array>,
  state: ReadonlyMap<string, State>,
) {
  for (const { name, role, shape } of parametersOf(network)) {
    const ours = weights.get(name)!
    const theirs = state.get(name)!.values
    const out = shape.at(-1)!
    const into = role === 'conv' || role === 'linear' ? shape.at(-2)! : 1
    const taps = ours.length / (out * into)
    const differs = ours.findIndex((value, at) => {
      const [tap, i, o] = [Math.floor(at / (into * out)), Math.floor(at / out) % into, at % out]
      return value !== theirs[(o * into + i) * taps + tap]
    })
    expect(differs, name).toBe(-1)
  }
}

const networks: readonly (readonly [string, () => Network])[] = [
  ['X3D', reducedX3d],
  ['SlowFast', reducedSlowfast],
  ['MobileNet v1', tinyMobilenet],
]

describe('import', () => {
  it.each(networks)('puts every weight and statistic of %s in its place', (_, make) => {
    const network = make()
    const state = torchState(network)
    const { weights, statistics, complete, report } = importState(network, state, { strict: true })
    expectSame(network, weights.values, state)
    expect(report).toMatchObject({ missing: [], unexpected: [], reshaped: [], folded: [] })
    expect(complete).toBe(true)
    expect(statistics.map(({ width }) => width)).toEqual([1])
    for (const [node, { mean, variance }] of statistics[0]!.statistics) {
      expect(mean).toEqual(state.get(`${node}.running_mean`)!.values)
      expect(variance).toEqual(state.get(`${node}.running_var`)!.values)
    }
  })

  it('names what is missing and unexpected, starts the missing fresh, and refuses both under strict', () => {
    const network = reducedX3d()
    const state = torchState(network)
    const lost = 'blocks.3.res_blocks.1.branch2.conv_b.weight'
    state.delete(lost)
    state.set('blocks.9.extra.weight', hashed('x', [2, 2]))
    state.set('blocks.0.norm.num_batches_tracked', hashed('n', []))
    const { report, complete, weights } = importState(network, state)
    expect(report).toMatchObject({ missing: [lost], unexpected: ['blocks.9.extra.weight'], ignored: 1 })
    expect(complete).toBe(false)
    expect(weights.values.get(lost)!.some((value) => value !== 0)).toBe(true)
    expect(() => importState(network, state, { strict: true })).toThrow(
      `file.pyth: is not exactly X3D: 1 missing (${lost}); 1 unexpected (blocks.9.extra.weight).\nLeave out --strict`,
    )
  })

  it('replaces the classifier where the class counts differ, or as asked, and says so', () => {
    const state = torchState(reducedX3d(10))
    const other = importState(reducedX3d(7), state)
    expect(other.report.headReplaced).toBe("the file's has 10 classes, the configuration 7")
    expect(other.complete).toBe(false)
    expect(other.report.missing).toEqual([])
    expect(importState(reducedX3d(10), state, { head: 'replace' }).report.headReplaced).toBe('as asked')
    expect(() => importState(reducedX3d(7), state, { head: 'keep' })).toThrow(
      "file.pyth: the classifier cannot be kept: the file's has 10 classes, the configuration 7.",
    )
    expect(() => importState(reducedX3d(7), state, { strict: true })).toThrow('the classifier does not fit')
  })

  it('refuses weights of other shapes by the names of the file', () => {
    const network = reducedX3d()
    const state = torchState(network)
    state.set('blocks.0.conv.conv_t.weight', hashed('x', [24, 3, 1, 3, 3]))
    expect(() => importState(network, state)).toThrow(
      'file.pyth: 1 weights do not fit X3D: "blocks.0.conv.conv_t.weight" is [24,3,1,3,3], needed is [16,3,1,3,3].\nGive --config',
    )
  })

  it('refuses the checkpoint of a network that shares only a few names', () => {
    const network = reducedX3d()
    const state = new Map([...torchState(network)].filter(([name]) => name.startsWith('blocks.0')))
    expect(() => importState(network, state)).toThrow(
      '% of the weights of X3D (names: PyTorchVideo), so it is another',
    )
  })

  it('takes the statistics of every width of a slimmable checkpoint', () => {
    const network = tinyMobilenet()
    const state = torchState(network)
    // Channels of the seven batch norms at widths 0.25 and 1.
    const counts = [
      [8, 8, 8, 8, 16, 16, 32],
      [16, 16, 32, 32, 64, 64, 128],
    ]
    const norms = [...state.keys()].filter((name) => name.endsWith('running_mean'))
    norms.forEach((name, i) => {
      counts.forEach((count, set) => {
        for (const part of ['running_mean', 'running_var']) {
          const slim = name.replace('running_mean', `bn.${set}.${part}`)
          state.set(slim, hashed(slim, [count[i]!]))
        }
      })
      state.delete(name)
      state.delete(name.replace('mean', 'var'))
    })
    const { statistics, complete, report } = importState(network, state, { widths: [0.25, 1], strict: true })
    expect(statistics.map(({ width }) => width).sort()).toEqual([0.25, 1])
    expect(complete).toBe(true)
    const narrow = statistics.find(({ width }) => width === 0.25)!.statistics
    expect(narrow.get('features.0.1')!.mean).toEqual(state.get('features.0.1.bn.0.running_mean')!.values)
    expect(report.unexpected).toEqual([])
    // Without the list of widths, the narrow set belongs to no width that is known.
    expect(importState(network, state).report.unexpected).toHaveLength(14)
  })
})

describe('inflation', () => {
  const image = resnet({ classes: 9, size: 64, depth: 50 })
  const state = torchState(image)
  const file = parseWeightsFile(checkpointOf(state), 'file.pyth')

  it('repeats a 2D kernel over time, divided by its taps, and starts the other inputs at 0', () => {
    const network = slowfast({ classes: 9, frames: 4, size: 64, alpha: 8 })
    const { weights, report, complete } = importWeights(network, file, 'file.pyth')
    expect(report.scheme).toBe('MutualNet')
    // features.8: the first block of res4. Slow: [1024 of res3 + 128 lateral inputs], three taps.
    const name = 'blocks.3.multipathway_blocks.0.res_blocks.0.branch2.conv_a.weight'
    const theirs = state.get('features.8.body.0.weight')!
    expect(theirs.shape).toEqual([256, 512, 1, 1])
    const ours = weights.values.get(name)!
    const at = (tap: number, i: number, o: number) => ours[(tap * 640 + i) * 256 + o]!
    for (const [tap, i, o] of [
      [0, 0, 0],
      [1, 511, 255],
      [2, 77, 13],
    ] as const) {
      expect(at(tap, i, o)).toBe(Math.fround(theirs.values[o * 512 + i]! / 3))
    }
    expect(at(1, 512, 3)).toBe(0)
    expect(report.reshaped.find((change) => change.name === name)).toEqual({
      name,
      from: [256, 512, 1, 1],
      to: [256, 640, 3, 1, 1],
    })
    expect(report.missing.every((missing) => /multipathway_blocks\.1|fusion|running/.test(missing))).toBe(
      true,
    )
    expect(complete).toBe(false)
  })

  it('gives Slow every weight and the statistics', () => {
    const network = slow({ classes: 400, frames: 4, size: 64 })
    const { report, statistics } = importWeights(network, file, 'file.pyth')
    expect(report.missing).toEqual([])
    expect(report.unexpected).toEqual([])
    expect(report.headReplaced).toBe("the file's has 9 classes, the configuration 400")
    expect(statistics.map(({ width }) => width)).toEqual([1])
  })
})
