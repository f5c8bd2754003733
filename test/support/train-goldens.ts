/**
 * The training goldens as tests: mutual-learning steps, gradients and recalibration that PyTorch computed in double
 * precision. Every engine that trains must match them.
 */
import { expect, it } from 'vitest'
import type { Engine, FrameBatch, Trainer } from '../../src/engines/engine.ts'
import { softmax } from '../../src/engines/scores.ts'
import { mobilenetV1 } from '../../src/models/mobilenet-v1.ts'
import { slowfast } from '../../src/models/slowfast.ts'
import { x3d } from '../../src/models/x3d.ts'
import { GraphBuilder } from '../../src/network/builder.ts'
import { fixed, ratioed } from '../../src/network/channels.ts'
import type { Network } from '../../src/network/graph.ts'
import { resolve } from '../../src/network/resolve.ts'
import { type BatchNormStatistics, type Parameter, parametersOf } from '../../src/network/store.ts'
import { formulaInput, formulaWeights } from './formula-weights.ts'
import { readReference } from './reference.ts'

interface ParameterGolden {
  gradL2: number
  grad4: number[]
  l2?: number
  first4?: number[]
}
interface StepsGolden {
  classes: number
  salt: string
  inputName: string
  inputShape: number[]
  labels: number[]
  subnets: { width: number; size: number; frameStride?: number }[]
  steps: number
  lr: number
  losses: number[][]
  logitsStep1: number[][][]
  parameters: Record<string, ParameterGolden>
  recalibration: {
    width: number
    size: number
    frameStride?: number
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
  classes: number
  loss: number
  logits: number[][]
  parameters: Record<string, ParameterGolden>
}

const classes = 10

/** `exact` networks are well conditioned over all steps; the deep ones amplify rounding (reference/README.md). */
const NETWORKS = [
  { name: 'mobilenet_v1_tiny', network: tinyMobilenet, exact: true },
  {
    name: 'x3d_tiny',
    network: () => x3d({ classes, frames: 4, size: 64, depthFactor: 0.4, dropout: 0 }),
    exact: true,
  },
  { name: 'mobilenet_v1', network: () => mobilenetV1({ classes, size: 64 }), exact: false },
  { name: 'x3d_small', network: () => x3d({ classes, frames: 4, size: 64, dropout: 0 }), exact: false },
] as const

type OpenTrainingEngine = () => Promise<Engine & Required<Pick<Engine, 'openTrainer'>>>

export function testTrainGoldens(openEngine: OpenTrainingEngine): void {
  it.each(NETWORKS)(
    '$name: losses, gradients, steps and recalibration',
    { timeout: 600_000 },
    async (entry) => {
      const golden = readReference<Record<string, StepsGolden>>('train-golden.json')[entry.name]!
      const network = entry.network()
      const engine = await openEngine()
      const weights = formulaWeights(network, golden.salt)
      const trainer = await engine.openTrainer(network, weights, {
        momentum: 0.9,
        nesterov: true,
        weightDecay: 1e-4,
      })
      const [near, far] = entry.exact ? [1e-4, 1e-3] : [1e-3, 0.05]
      const clip = formulaInput(golden.salt, golden.inputShape)
      try {
        for (let step = 0; step < golden.steps; step++) {
          const { losses, logits } = await mutualStep(trainer, network, golden, clip)
          losses.forEach((loss, i) => {
            expect(Math.abs(loss - golden.losses[step]![i]!), `step ${step} loss ${i}`).toBeLessThan(near)
          })
          if (step === 0) {
            logits.forEach((values, i) => {
              close(values, golden.logitsStep1[i]!.flat(), 1e-3, `logits ${i}`)
            })
            for (const parameter of parametersOf(network)) {
              const gradient = trainer.gradients().get(parameter.name)!
              const { gradL2, grad4 } = golden.parameters[parameter.name]!
              checkTensor(parameter, gradient, gradL2, grad4, far)
            }
          }
          await trainer.step({ learningRate: golden.lr })
        }
        if (entry.exact) {
          for (const parameter of parametersOf(network)) {
            const { l2, first4 } = golden.parameters[parameter.name]!
            checkTensor(parameter, weights.values.get(parameter.name)!, l2!, first4!, far)
          }
        }
        await checkRecalibration(engine, network, golden)
      } finally {
        trainer.dispose()
      }
    },
  )

  it('slowfast: gradients at width 0.63', { timeout: 600_000 }, async () => {
    const golden = readReference<{ slowfast_gradient: GradientGolden }>('train-golden.json').slowfast_gradient
    const network = slowfast({ classes, frames: 4, size: 64, alpha: 8, dropout: 0 })
    const engine = await openEngine()
    const trainer = await engine.openTrainer(network, formulaWeights(network, golden.salt), {
      momentum: 0.9,
      nesterov: true,
      weightDecay: 0,
    })
    const fast = formulaInput(golden.salt, golden.inputShape)
    const slow = takeFrames(fast, golden.slowFrameIndices)
    const subNetwork = resolve(network, { width: golden.width, frames: 4, size: 64 })
    const { loss, logits } = await trainer.accumulate(
      subNetwork,
      { slow, fast },
      { labels: Int32Array.from(golden.labels) },
    )
    expect(Math.abs(loss - golden.loss)).toBeLessThan(1e-3)
    close(logits, golden.logits.flat(), 2e-3, 'logits')
    for (const parameter of parametersOf(network)) {
      const { gradL2, grad4 } = golden.parameters[parameter.name]!
      checkTensor(parameter, trainer.gradients().get(parameter.name)!, gradL2, grad4, 0.1)
    }
    trainer.dispose()
  })
}

async function mutualStep(trainer: Trainer, network: Network, golden: StepsGolden, clip: FrameBatch) {
  const losses: number[] = []
  const all: Float32Array[] = []
  for (const { width, size, frameStride = 1 } of golden.subnets) {
    const input = resize(strideFrames(clip, frameStride), size)
    const teacher = all[0]
    const { loss, logits } = await trainer.accumulate(
      resolve(network, { width, frames: input.frames, size }),
      { [network.nodes[0]!.name]: input },
      teacher
        ? { probabilities: rowSoftmax(teacher, golden.classes) }
        : { labels: Int32Array.from(golden.labels) },
    )
    losses.push(loss)
    all.push(logits)
  }
  return { losses, logits: all }
}

/** Statistics of the untrained network: cumulative average of the batches', then the logits with them. */
async function checkRecalibration(
  engine: Engine & Required<Pick<Engine, 'openTrainer'>>,
  network: Network,
  golden: StepsGolden,
): Promise<void> {
  const { width, size, frameStride = 1, batches, batchShape, layers, evalLogits } = golden.recalibration
  const weights = formulaWeights(network, golden.salt)
  const trainer = await engine.openTrainer(network, weights, { momentum: 0, nesterov: false, weightDecay: 0 })
  const prepare = (clip: FrameBatch) => resize(strideFrames(clip, frameStride), size)
  const input = prepare(formulaInput(golden.salt, golden.inputShape))
  const subNetwork = resolve(network, { width, frames: input.frames, size })
  const name = network.nodes[0]!.name
  const running = new Map<string, { mean: Float32Array; variance: Float32Array }>()
  for (const [t, batch] of batches.entries()) {
    const clip = prepare(formulaInput(golden.salt, batchShape, batch))
    const found = await trainer.statistics(subNetwork, { [name]: clip })
    for (const [layer, { mean, variance }] of found) {
      const before = running.get(layer) ?? { mean: mean.map(() => 0), variance: mean.map(() => 0) }
      const blend = (a: Float32Array, b: Float32Array) =>
        a.map((value, c) => value + (b[c]! - value) / (t + 1))
      running.set(layer, { mean: blend(before.mean, mean), variance: blend(before.variance, variance) })
    }
  }
  for (const [layer, expected] of Object.entries(layers)) {
    close(running.get(layer)!.mean, expected.mean, 2e-3, `${layer} mean`)
    close(running.get(layer)!.variance, expected.var, 2e-3, `${layer} variance`)
  }
  const statistics: BatchNormStatistics = running
  const plan = await engine.compile(subNetwork, weights, { statistics })
  const { logits } = await plan.run({ [name]: input })
  close(logits, evalLogits.flat(), 2e-3, 'logits after recalibration')
  plan.dispose()
  trainer.dispose()
}

function close(actual: Float32Array, expected: readonly number[], tolerance: number, what: string): void {
  const largest = Math.max(...expected.map(Math.abs))
  expect(actual.length, what).toBe(expected.length)
  expected.forEach((value, i) => {
    expect(Math.abs(actual[i]! - value), `${what} [${i}]`).toBeLessThan(tolerance * largest)
  })
}

/** The norm, and the first four values in PyTorch's layout. */
function checkTensor(
  { name, role, shape }: Parameter,
  values: Float32Array,
  l2: number,
  first4: readonly number[],
  tolerance: number,
): void {
  const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))
  // Biases in front of a batch norm have gradients that are rounding errors around 0.
  const scale = Math.max(l2, 1e-4)
  expect(Math.abs(norm - l2) / scale, `${name}: ${norm} instead of ${l2}`).toBeLessThan(tolerance)
  first4.forEach((value, i) => {
    const actual = values[ourIndex(role, shape, i)]!
    expect(Math.abs(actual - value) / scale, `${name} [${i}]: ${actual} instead of ${value}`).toBeLessThan(
      tolerance,
    )
  })
}

/** Where index i of PyTorch's [out, in, kt, kh, kw] lies in our layout. */
function ourIndex(role: Parameter['role'], shape: readonly number[], i: number): number {
  if (shape.length === 1) return i
  const [cin, cout] = role === 'channelwise' ? [1, shape.at(-1)!] : [shape.at(-2)!, shape.at(-1)!]
  const taps = shape.slice(0, role === 'channelwise' ? -1 : -2).reduce((product, axis) => product * axis, 1)
  const tap = i % taps
  const input = Math.floor(i / taps) % cin
  const output = Math.floor(i / taps / cin)
  return (tap * cin + input) * cout + output
}

function rowSoftmax(logits: Float32Array, count: number): Float32Array {
  const rows = logits.length / count
  return Float32Array.from(
    Array.from({ length: rows }, (_, n) => [...softmax(logits.subarray(n * count, (n + 1) * count))]).flat(),
  )
}

function strideFrames(clip: FrameBatch, stride: number): FrameBatch {
  if (stride === 1) return clip
  return takeFrames(
    clip,
    Array.from({ length: Math.ceil(clip.frames / stride) }, (_, i) => i * stride),
  )
}

export function takeFrames(clip: FrameBatch, indices: readonly number[]): FrameBatch {
  const frame = clip.height * clip.width * 3
  const data = new Float32Array(clip.batch * indices.length * frame)
  for (let n = 0; n < clip.batch; n++) {
    indices.forEach((index, i) => {
      const from = (n * clip.frames + index) * frame
      data.set(clip.data.subarray(from, from + frame), (n * indices.length + i) * frame)
    })
  }
  return { ...clip, data, frames: indices.length }
}

/** Bilinear with aligned corners, per frame, in double precision. */
function resize(clip: FrameBatch, size: number): FrameBatch {
  const { height, width, data } = clip
  if (size === height && size === width) return clip
  const images = clip.batch * clip.frames
  const resized = new Float32Array(images * size * size * 3)
  const at = (i: number, from: number) => (i * (from - 1)) / (size - 1)
  for (let image = 0; image < images; image++) {
    for (let y = 0; y < size; y++) {
      const top = Math.min(Math.floor(at(y, height)), height - 2)
      const v = at(y, height) - top
      for (let x = 0; x < size; x++) {
        const left = Math.min(Math.floor(at(x, width)), width - 2)
        const u = at(x, width) - left
        for (let c = 0; c < 3; c++) {
          const pixel = (dy: number, dx: number) =>
            data[((image * height + top + dy) * width + left + dx) * 3 + c]!
          resized[((image * size + y) * size + x) * 3 + c] =
            (1 - v) * ((1 - u) * pixel(0, 0) + u * pixel(0, 1)) +
            v * ((1 - u) * pixel(1, 0) + u * pixel(1, 1))
        }
      }
    }
  }
  return { ...clip, data: resized, height: size, width: size }
}

/** A MobileNet v1 of three separable blocks. */
function tinyMobilenet(): Network {
  const g = new GraphBuilder()
  let x = g.clip('image')
  x = g.conv('features.0.0', x, ratioed(16), { kernel: [1, 3, 3], stride: [1, 2, 2], padding: 'same' })
  x = g.batchNorm('features.0.1', x)
  x = g.activation('features.0.2', x, 'relu6')
  for (const [i, [channels, stride]] of (
    [
      [32, 1],
      [64, 2],
      [128, 2],
    ] as const
  ).entries()) {
    const name = `features.${i + 1}.body`
    x = g.channelwiseConv(`${name}.0`, x, { kernel: [1, 3, 3], stride: [1, stride, stride], padding: 'same' })
    x = g.batchNorm(`${name}.1`, x)
    x = g.activation(`${name}.2`, x, 'relu6')
    x = g.conv(`${name}.3`, x, ratioed(channels), { kernel: [1, 1, 1] })
    x = g.batchNorm(`${name}.4`, x)
    x = g.activation(`${name}.5`, x, 'relu6')
  }
  x = g.globalPool('features.4', x)
  const output = g.linear('classifier.0', x, fixed(classes))
  const rest = { media: 'image', frames: 1, size: 64, maxWidth: 1, classes } as const
  return { ...rest, name: 'MobileNet v1 tiny', nodes: g.nodes, classifier: output, output }
}
