/**
 * The training goldens: steps of mutual learning (losses, gradients, updated weights), single backward passes,
 * and re-estimated batch-norm statistics, as PyTorch computes them in double precision. Every engine that trains
 * must match them.
 */
import { describe, expect, it } from 'vitest'
import type { Engine, Trainer, TrainerOptions } from '../../src/engines/engine.ts'
import type { Target } from '../../src/engines/loss.ts'
import { softmax } from '../../src/engines/scores.ts'
import type { FrameBatch, Inputs } from '../../src/frames/batch.ts'
import { takeFrames, toInputs } from '../../src/frames/inputs.ts'
import { resizeFrames } from '../../src/frames/resize.ts'
import { mobilenetV1 } from '../../src/models/mobilenet-v1.ts'
import { slowfast } from '../../src/models/slowfast.ts'
import { x3d } from '../../src/models/x3d.ts'
import type { Network } from '../../src/network/graph.ts'
import { decays } from '../../src/network/parameters.ts'
import { resolve, type SubNetwork } from '../../src/network/resolve.ts'
import { type Parameter, parametersOf } from '../../src/network/store.ts'
import { formulaInput, formulaWeights } from './formula-weights.ts'
import { readReference } from './reference.ts'

interface SubnetGolden {
  width: number
  size: number
  frameStride?: number
}
interface ParameterGolden {
  shape: number[]
  decay: boolean
  gradL2: number
  grad4: number[]
  l2: number
  first4: number[]
}
interface StepsGolden {
  salt: string
  inputShape: number[]
  labels: number[]
  subnets: SubnetGolden[]
  lr: number
  losses: number[][]
  logitsStep1: number[][][]
  parameters: Record<string, ParameterGolden>
  recalibration: SubnetGolden & {
    batches: string[]
    batchShape: number[]
    layers: Record<string, { mean: number[]; var: number[] }>
    evalLogits: number[][]
  }
}
interface GradientGolden {
  salt: string
  width: number
  inputShape: number[]
  slowFrameIndices: number[]
  labels: number[]
  loss: number
  parameters: Record<string, { gradL2: number; grad4: number[]; inputChannelsWithGrad?: [number, number][] }>
}
type Goldens = Record<string, StepsGolden> & { slowfast_gradient: GradientGolden }

const classes = 10
const SGD: TrainerOptions = { momentum: 0.9, nesterov: true, weightDecay: 1e-4 }

/** The tiny networks are well conditioned; the deep ones amplify rounding, so one step within a few percent. */
const NETWORKS: Record<string, { network: () => Network; tight: boolean }> = {
  mobilenet_v1_tiny: {
    network: () =>
      mobilenetV1({
        classes,
        size: 64,
        layout: {
          stem: 16,
          blocks: [
            [32, 1],
            [64, 2],
            [128, 2],
          ],
        },
      }),
    tight: true,
  },
  x3d_tiny: {
    network: () => x3d({ classes, frames: 4, size: 64, depthFactor: 0.4, dropout: 0 }),
    tight: true,
  },
  mobilenet_v1: { network: () => mobilenetV1({ classes, size: 64 }), tight: false },
  x3d_small: { network: () => x3d({ classes, frames: 4, size: 64, dropout: 0 }), tight: false },
}

/** Declares the tests; `names` chooses among the networks above and `slowfast_gradient`. */
export function testTrainGoldens(openEngine: () => Promise<Engine>, names: readonly string[]): void {
  const goldens = readReference<Goldens>('train-golden.json')
  for (const [name, { network, tight }] of Object.entries(NETWORKS)) {
    if (names.includes(name)) describe(name, () => testSteps(openEngine, network(), goldens[name]!, tight))
  }
  if (!names.includes('slowfast_gradient')) return
  it('slowfast_gradient: gradients reach the slices of concatenated inputs', {
    timeout: 600_000,
  }, async () => {
    const golden = goldens.slowfast_gradient
    const network = slowfast({ classes, frames: 4, size: 64, alpha: 8, dropout: 0 })
    const subNetwork = resolve(network, { width: golden.width, frames: 4, size: 64 })
    const clip = formulaInput(`${golden.salt}/input`, golden.inputShape)
    const trainer = await (await openEngine()).openTrainer(network, formulaWeights(network, golden.salt), SGD)
    const { loss } = await trainer.accumulate(subNetwork, toInputs(network, subNetwork.configuration, clip), {
      labels: Int32Array.from(golden.labels),
    })
    expect(Math.abs(loss - golden.loss)).toBeLessThan(2e-3)
    const shapes = new Map(parametersOf(network).map((parameter) => [parameter.name, parameter]))
    for (const [parameter, expected] of Object.entries(golden.parameters)) {
      const gradient = trainer.gradients().get(parameter)!
      expect(Math.abs(norm(gradient) - expected.gradL2) / expected.gradL2, parameter).toBeLessThan(0.05)
      if (expected.inputChannelsWithGrad) {
        expect(inputsWithGradient(gradient, shapes.get(parameter)!), parameter).toEqual(
          expected.inputChannelsWithGrad,
        )
      }
    }
    trainer.dispose()
  })
}

function testSteps(
  openEngine: () => Promise<Engine>,
  network: Network,
  golden: StepsGolden,
  tight: boolean,
): void {
  const tolerance = tight ? 1e-3 : 0.05
  const options = { timeout: 600_000 }
  const clip = formulaInput(`${golden.salt}/input`, golden.inputShape)

  it('gives the losses, gradients and weights of PyTorch', options, async () => {
    const weights = formulaWeights(network, golden.salt)
    const trainer = await (await openEngine()).openTrainer(network, weights, SGD)
    const specs = new Map(parametersOf(network).map((parameter) => [parameter.name, parameter]))
    for (const [step, expected] of golden.losses.entries()) {
      const { losses, logits } = await mutualStep(trainer, network, clip, golden)
      losses.forEach((loss, i) => {
        expect(Math.abs(loss - expected[i]!), `loss ${i} of step ${step}`).toBeLessThan(tight ? 1e-4 : 2e-3)
      })
      if (step === 0) {
        logits.forEach((values, i) => {
          const reference = golden.logitsStep1[i]!.flat()
          const largest = Math.max(...reference.map(Math.abs))
          reference.forEach((logit, k) => {
            expect(Math.abs(values[k]! - logit), `logits ${i}`).toBeLessThan(2e-3 * largest)
          })
        })
        for (const [name, parameter] of Object.entries(golden.parameters)) {
          const gradient = trainer.gradients().get(name)!
          expect(Math.abs(norm(gradient) - parameter.gradL2), `gradient norm of ${name}`).toBeLessThan(
            tolerance * parameter.gradL2 + 1e-6,
          )
          if (tight)
            expectFirst4(gradient, specs.get(name)!, parameter.grad4, tolerance * parameter.gradL2, name)
        }
      }
      await trainer.step({ learningRate: golden.lr })
    }
    for (const [name, parameter] of Object.entries(golden.parameters)) {
      const values = weights.values.get(name)!
      expect(decays(specs.get(name)!.role, 'dense'), `decay of ${name}`).toBe(parameter.decay)
      expect(Math.abs(norm(values) - parameter.l2), `norm of ${name}`).toBeLessThan(tolerance * parameter.l2)
      if (tight) expectFirst4(values, specs.get(name)!, parameter.first4, tolerance * parameter.l2, name)
    }
    trainer.dispose()
  })

  it('re-estimates the batch-norm statistics of PyTorch', options, async () => {
    const { recalibration } = golden
    const weights = formulaWeights(network, golden.salt)
    const engine = await openEngine()
    const trainer = await engine.openTrainer(network, weights, SGD)
    const found = new Map<string, { mean: Float32Array; variance: Float32Array }>()
    let subNetwork: SubNetwork | undefined
    for (const [t, batch] of recalibration.batches.entries()) {
      const prepared = prepare(
        network,
        formulaInput(`${golden.salt}/${batch}`, recalibration.batchShape),
        recalibration,
      )
      subNetwork = prepared.subNetwork
      for (const [name, { mean, variance }] of await trainer.statistics(subNetwork, prepared.inputs)) {
        const before = found.get(name)
        const average = (old: Float32Array | undefined, now: Float32Array) =>
          now.map((value, i) => value / (t + 1) + ((old?.[i] ?? 0) * t) / (t + 1))
        found.set(name, { mean: average(before?.mean, mean), variance: average(before?.variance, variance) })
      }
    }
    for (const [name, expected] of Object.entries(recalibration.layers)) {
      const { mean, variance } = found.get(name)!
      const spread = Math.sqrt(Math.max(...expected.var))
      expected.mean.forEach((value, i) => {
        expect(Math.abs(mean[i]! - value), `${name} mean`).toBeLessThan(tolerance * spread)
      })
      expected.var.forEach((value, i) => {
        expect(Math.abs(variance[i]! - value), `${name} var`).toBeLessThan(tolerance * value + 1e-6)
      })
    }
    const { inputs } = prepare(network, clip, recalibration)
    const plan = await engine.compile(subNetwork!, weights, { statistics: found })
    const { logits } = await plan.run(inputs)
    const reference = recalibration.evalLogits.flat()
    const largest = Math.max(...reference.map(Math.abs))
    reference.forEach((logit, k) => {
      expect(Math.abs(logits[k]! - logit)).toBeLessThan(2e-3 * largest)
    })
    plan.dispose()
    trainer.dispose()
  })
}

/** One step's forwards and backwards: the first sub-network learns the labels, the others its softmax. */
async function mutualStep(trainer: Trainer, network: Network, clip: FrameBatch, golden: StepsGolden) {
  const losses: number[] = []
  const logits: Float32Array[] = []
  let target: Target = { labels: Int32Array.from(golden.labels) }
  for (const subnet of golden.subnets) {
    const { subNetwork, inputs } = prepare(network, clip, subnet)
    const result = await trainer.accumulate(subNetwork, inputs, target)
    losses.push(result.loss)
    logits.push(result.logits)
    if (logits.length === 1) {
      const rows = Array.from({ length: clip.batch }, (_, n) =>
        softmax(result.logits.subarray(n * classes, (n + 1) * classes)),
      )
      target = { probabilities: Float32Array.from(rows.flatMap((row) => [...row])) }
    }
  }
  return { losses, logits }
}

/** Every `frameStride`-th frame, resized; the golden's way of making smaller inputs. */
function prepare(network: Network, clip: FrameBatch, { width, size, frameStride = 1 }: SubnetGolden) {
  const indices = Array.from({ length: Math.ceil(clip.frames / frameStride) }, (_, i) => i * frameStride)
  const frames = resizeFrames(takeFrames(clip, indices), size)
  const inputs: Inputs = { [network.nodes[0]!.name]: frames }
  return { subNetwork: resolve(network, { width, frames: frames.frames, size }), inputs }
}

const norm = (values: Float32Array): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))

/** The first four values in PyTorch's order: [out, in, taps…]. */
function expectFirst4(
  values: Float32Array,
  { role, shape }: Parameter,
  expected: number[],
  within: number,
  name: string,
) {
  expected.forEach((value, i) => {
    expect(Math.abs(values[fromTorchIndex(i, role, shape)]! - value), `${name}[${i}]`).toBeLessThan(
      within + 1e-6,
    )
  })
}

function fromTorchIndex(index: number, role: Parameter['role'], shape: readonly number[]): number {
  if (role !== 'conv' && role !== 'channelwise' && role !== 'linear') return index
  const out = shape.at(-1)!
  const cin = role === 'channelwise' ? 1 : shape.at(-2)!
  const taps = shape.reduce((a, b) => a * b, 1) / (out * cin)
  const tap = index % taps
  const i = Math.floor(index / taps) % cin
  const o = Math.floor(index / (taps * cin))
  return (tap * cin + i) * out + o
}

/** The runs of input channels that received any gradient. */
function inputsWithGradient(gradient: Float32Array, { shape }: Parameter): [number, number][] {
  const out = shape.at(-1)!
  const cin = shape.at(-2)!
  const touched = Array.from({ length: cin }, () => false)
  gradient.forEach((value, i) => {
    if (value !== 0) touched[Math.floor(i / out) % cin] = true
  })
  const runs: [number, number][] = []
  touched.forEach((hit, channel) => {
    if (!hit) return
    const last = runs.at(-1)
    if (last && last[1] === channel) last[1]++
    else runs.push([channel, channel + 1])
  })
  return runs
}
