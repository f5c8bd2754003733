import { describe, expect, it } from 'vitest'
import { onnxOf } from '../../../src/checkpoints/onnx/from-network.ts'
import { encodeModel, type OnnxModel } from '../../../src/checkpoints/onnx/model.ts'
import { findRuntime, largestDifference, runOnnx } from '../../../src/checkpoints/onnx/runtime.ts'
import { openTfjsEngine } from '../../../src/engines/tfjs/engine.ts'
import { MnVideoError } from '../../../src/errors.ts'
import type { FrameBatch, Inputs } from '../../../src/frames/batch.ts'
import type { Configuration, Network } from '../../../src/network/graph.ts'
import { isKind, resolve, type SubNetwork } from '../../../src/network/resolve.ts'
import { type BatchNormStatistics, ParameterStore, parametersOf } from '../../../src/network/store.ts'
import { reducedX3d } from '../../support/reduced-networks.ts'
import { SMALL_NETWORKS } from '../../support/small-networks.ts'

/** Weights that are nothing special, scales and statistics included: folding them must matter. */
function lively(network: Network, subNetwork: SubNetwork) {
  const noise = createNoise()
  const values = parametersOf(network).map(({ name, role, shape }) => {
    const size = shape.reduce((product, axis) => product * axis, 1)
    const spread = Math.sqrt((6 * shape.at(-1)!) / size)
    const draw =
      role === 'scale'
        ? () => 1 + 0.3 * noise()
        : shape.length === 1
          ? () => 0.2 * noise()
          : () => spread * noise()
    return [name, Float32Array.from({ length: size }, draw)] as const
  })
  const statistics: BatchNormStatistics = new Map(
    subNetwork.nodes
      .filter(({ node }) => node.kind === 'batchNorm')
      .map(({ node, shape: { channels: length } }) => [
        node.name,
        {
          mean: Float32Array.from({ length }, () => 0.2 * noise()),
          variance: Float32Array.from({ length }, () => 1 + 0.5 * noise()),
        },
      ]),
  )
  return { weights: new ParameterStore(network, new Map(values)), statistics }
}

/** Values in [−1, 1), quickly: large networks need millions. */
function createNoise(): () => number {
  let state = 1
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return state / 2 ** 31
  }
}

function randomInputs(subNetwork: SubNetwork, batch: number): Inputs {
  const noise = createNoise()
  return Object.fromEntries(
    subNetwork.nodes
      .filter((resolved) => isKind(resolved, 'input'))
      .map(({ node, shape: { frames, height, width } }): [string, FrameBatch] => {
        const data = Float32Array.from({ length: batch * frames * height * width * 3 }, noise)
        return [node.name, { data, batch, frames, height, width }]
      }),
  )
}

function exported(network: Network, configuration: Configuration, opset = 17) {
  const subNetwork = resolve(network, configuration)
  const { weights, statistics } = lively(network, subNetwork)
  const model = onnxOf(subNetwork, weights, statistics, { opset })
  return { subNetwork, weights, statistics, model, bytes: Buffer.concat(encodeModel(model)) }
}

const valuesIn = (model: OnnxModel): number =>
  model.constants.reduce((sum, { data }) => sum + (data instanceof Float32Array ? data.length : 0), 0)

const runtime = await findRuntime()
const cases = SMALL_NETWORKS.flatMap(({ title, network, configurations }) =>
  configurations.map((configuration) => ({
    title: `${title} at width ${configuration.width}, ${configuration.frames} × ${configuration.size}²`,
    network,
    configuration,
  })),
)

describe('ONNX export', () => {
  it.each(cases)(
    'holds the weights in use alone, with batch norm folded, and computes the same: $title',
    async ({ network: make, configuration }) => {
      const network = make()
      const { subNetwork, weights, statistics, model, bytes } = exported(network, configuration)
      // Batch norms that are folded leave one bias each; averaging matrices are a little more.
      expect(valuesIn(model)).toBeLessThan(subNetwork.params + 2000)
      expect(valuesIn(model)).toBeGreaterThan(0.9 * subNetwork.params)
      expect(bytes.length).toBeLessThan(
        4 * valuesIn(model) + 600 * (model.nodes.length + model.constants.length),
      )
      expect(model.nodes.map(({ op }) => op)).not.toContain('BatchNormalization')
      // WideResNet normalises before it convolves: a sum cannot take that in.
      const affine = model.nodes.filter(({ output }) => output.endsWith('.scaled'))
      expect(affine.length).toBe(network.name.startsWith('WRN') ? 3 : 0)

      if (!runtime) return
      const engine = await openTfjsEngine('wasm')
      const plan = await engine.compile(subNetwork, weights, { statistics })
      const inputs = randomInputs(subNetwork, 2)
      const { logits } = await plan.run(inputs)
      plan.dispose()
      expect(new Set(logits).size).toBeGreaterThan(network.classes)
      expect(largestDifference(logits, await runOnnx(runtime, bytes, inputs, network.media))).toBeLessThan(
        1e-4,
      )
    },
  )

  it.skipIf(!runtime).each([13, 15, 19])('runs in operator set %d as well', async (opset) => {
    const network = reducedX3d()
    const { subNetwork, weights, statistics, bytes } = exported(
      network,
      { width: 0.63, frames: 2, size: 32 },
      opset,
    )
    const plan = await (await openTfjsEngine('wasm')).compile(subNetwork, weights, { statistics })
    const inputs = randomInputs(subNetwork, 1)
    const { logits } = await plan.run(inputs)
    plan.dispose()
    expect(largestDifference(logits, await runOnnx(runtime!, bytes, inputs, 'video'))).toBeLessThan(1e-4)
  })
})

describe('ONNX export', () => {
  it('names its inputs, leaves the batch open, and gives logits', () => {
    const slowfast = SMALL_NETWORKS.find(({ title }) => title === 'SlowFast')!
    const { model } = exported(slowfast.network(), { width: 0.63, frames: 1, size: 48 })
    expect(model.inputs).toEqual([
      { name: 'slow', shape: ['batch', 3, 1, 48, 48] },
      { name: 'fast', shape: ['batch', 3, 16, 64, 64] },
    ])
    expect(model.outputs).toEqual([{ name: 'logits', shape: ['batch', 7] }])
  })

  it('refuses operator sets in which its operations mean something else', () => {
    expect(() => exported(reducedX3d(), { width: 1, frames: 4, size: 64 }, 9)).toThrow(MnVideoError)
    expect(() => exported(reducedX3d(), { width: 1, frames: 4, size: 64 }, 9)).toThrow(
      '--opset must be from 13 to 19, not 9.',
    )
  })
})
