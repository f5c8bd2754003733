/** Every tfjs composite against plain loops in double precision, on both backends that are always installed. */
import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { TfjsBackend } from '../../src/engines/tfjs/backends.ts'
import { openTfjsEngine } from '../../src/engines/tfjs/engine.ts'
import { channelMoments } from '../../src/engines/tfjs/moments.ts'
import { activate } from '../../src/engines/tfjs/ops/activation.ts'
import { normalise } from '../../src/engines/tfjs/ops/batch-norm.ts'
import { compositeChannelwiseConv } from '../../src/engines/tfjs/ops/channelwise-conv.ts'
import { compositeConv } from '../../src/engines/tfjs/ops/conv.ts'
import { applyGate } from '../../src/engines/tfjs/ops/gate.ts'
import { averagePool } from '../../src/engines/tfjs/ops/global-pool.ts'
import { multiply } from '../../src/engines/tfjs/ops/linear.ts'
import { compositeMaxPool } from '../../src/engines/tfjs/ops/max-pool.ts'
import { adaptiveAveragePool } from '../../src/engines/tfjs/ops/resample.ts'
import type { Shape5, Triple, Values, Window } from '../support/float64-ops.ts'
import * as reference from '../support/float64-ops.ts'

/** Largest error for values and weights of order 1, relative to the largest result. */
const TOLERANCE = 2e-6

interface ConvCase extends Window {
  readonly shape: Shape5
  /** Output channels of the dense convolution. */
  readonly out: number
}

const KERNELS: readonly Triple[] = [
  [1, 1, 1],
  [1, 3, 3],
  [3, 3, 3],
  [5, 1, 1],
  [3, 1, 1],
  [5, 7, 7],
  [7, 1, 1],
]

/** Windows and inputs that every kernel is tried on; `same` padding unless said otherwise. */
const SETTINGS: readonly {
  what: string
  shape: Shape5
  out: number
  stride?: Triple
  padding?: 'none' | 'temporal'
}[] = [
  { what: 'odd, unequal sides', shape: [1, 4, 9, 7, 3], out: 5 },
  { what: 'spatial stride 2 on odd sides', shape: [2, 3, 7, 9, 5], out: 3, stride: [1, 2, 2] },
  { what: 'spatial stride 2 on even sides', shape: [1, 3, 8, 6, 3], out: 17, stride: [1, 2, 2] },
  { what: 'one frame', shape: [3, 1, 5, 7, 1], out: 3 },
  { what: 'one pixel', shape: [2, 6, 1, 1, 17], out: 5 },
  { what: 'one pixel of one frame', shape: [1, 1, 1, 1, 5], out: 1 },
  { what: 'temporal stride 4', shape: [2, 8, 3, 5, 5], out: 3, stride: [4, 1, 1] },
  { what: 'temporal stride 8, odd frames', shape: [1, 17, 5, 3, 3], out: 5, stride: [8, 1, 1] },
  { what: 'all strides', shape: [3, 9, 7, 5, 1], out: 1, stride: [4, 2, 2] },
  { what: 'no padding', shape: [2, 9, 9, 11, 3], out: 5, padding: 'none' },
  { what: 'padding over time alone', shape: [1, 3, 8, 9, 5], out: 17, padding: 'temporal' },
]

const CONVOLUTIONS: readonly (ConvCase & { title: string })[] = KERNELS.flatMap((kernel) =>
  SETTINGS.map(({ what, shape, out, stride = [1, 1, 1], padding }) => {
    const [t, h, w] = kernel.map((k) => (k - 1) / 2) as [number, number, number]
    const pad: Triple = padding === 'none' ? [0, 0, 0] : padding === 'temporal' ? [t, 0, 0] : [t, h, w]
    return { title: `${kernel.join('×')}, ${what}`, kernel, shape, out, stride, padding: pad }
  }),
)

const backends: readonly TfjsBackend[] = ['cpu', 'wasm']

describe.each(backends)('tfjs operations on %s', (backend) => {
  beforeEach(async () => {
    await openTfjsEngine(backend)
    tf.engine().startScope()
  })
  afterEach(() => tf.engine().endScope())

  it.each(CONVOLUTIONS)('convolve: $title', (windowed) => {
    checkConv(windowed)
  })

  it.each(CONVOLUTIONS)('convolve channel by channel: $title', (windowed) => {
    checkChannelwiseConv(windowed)
  })

  it('convolve whatever fits', () => {
    const axis = fc.record({
      kernel: fc.integer({ min: 1, max: 4 }),
      stride: fc.integer({ min: 1, max: 3 }),
      padding: fc.nat(2),
      beyond: fc.nat(4),
    })
    const channels = fc.constantFrom(1, 3, 5, 17)
    fc.assert(
      fc.property(
        fc.tuple(axis, axis, axis),
        fc.integer({ min: 1, max: 3 }),
        channels,
        channels,
        (axes, batch, cin, out) => {
          // Padding below the kernel, and an input that the kernel fits in.
          const triple = (of: (a: (typeof axes)[number]) => number) =>
            axes.map(of) as [number, number, number]
          const kernel = triple((a) => a.kernel)
          const padding = triple((a) => Math.min(a.padding, a.kernel - 1))
          const extents = axes.map((a, i) => Math.max(1, a.kernel - 2 * padding[i]!) + a.beyond)
          const shape = [batch, ...extents, cin] as unknown as Shape5
          const windowed = { kernel, stride: triple((a) => a.stride), padding, shape, out }
          checkConv(windowed)
          checkChannelwiseConv(windowed)
        },
      ),
      { seed: 1995, numRuns: 40 },
    )
  })

  it.each<{ title: string; shape: Shape5; window: Window }>([
    { title: 'as in a stem', shape: [2, 3, 9, 7, 5], window: pooling(3, 2, 1) },
    { title: 'on even sides', shape: [1, 1, 8, 6, 3], window: pooling(3, 2, 1) },
    { title: 'of one pixel', shape: [3, 2, 1, 1, 17], window: pooling(3, 2, 1) },
    { title: 'without padding', shape: [1, 2, 6, 5, 1], window: pooling(2, 2, 0) },
    { title: 'at stride 1', shape: [1, 1, 4, 5, 3], window: pooling(3, 1, 1) },
  ])('take maxima $title; padding never wins over negative values', ({ shape, window }) => {
    const { data } = reference.noiseOf(shape, 5)
    const x = { shape, data: data.map((value) => value - 1) }
    expectClose(compositeMaxPool(tensor(x), window), reference.maxPool(x, window), 0)
  })

  it('refuse maxima over frames', () => {
    const window = { ...pooling(3, 1, 1), kernel: [2, 3, 3] as const }
    expect(() => compositeMaxPool(tensor(reference.noiseOf([1, 2, 4, 4, 1], 1)), window)).toThrow(
      'over frames',
    )
  })

  it.each<{ shape: Shape5; window: Triple; positions: Triple }>([
    { shape: [2, 4, 7, 7, 5], window: [4, 7, 7], positions: [1, 1, 1] },
    { shape: [1, 1, 1, 1, 3], window: [1, 1, 1], positions: [1, 1, 1] },
    { shape: [3, 3, 5, 3, 17], window: [3, 5, 3], positions: [1, 1, 1] },
    { shape: [2, 4, 8, 8, 5], window: [4, 7, 7], positions: [1, 2, 2] },
    { shape: [1, 2, 4, 6, 3], window: [2, 3, 3], positions: [1, 2, 4] },
    { shape: [2, 1, 3, 5, 1], window: [1, 3, 2], positions: [1, 1, 4] },
  ])('average $shape over $window to $positions positions', ({ shape, window, positions }) => {
    const x = reference.noiseOf(shape, 6)
    const expected = reference.averagePool(x, window)
    expect(expected.shape.slice(1, 4)).toEqual(positions)
    expectClose(averagePool(tensor(x), window), expected)
  })

  it.each<{ shape: Shape5 }>([
    { shape: [1, 1, 1, 1, 1] },
    { shape: [2, 3, 4, 5, 17] },
    { shape: [3, 1, 7, 2, 5] },
  ])('gate each channel of each sample of $shape', ({ shape }) => {
    const x = reference.noiseOf(shape, 7)
    const gates = reference.noise(shape[0] * shape[4], 8)
    const gateTensor = tensor({ shape: [shape[0], 1, 1, 1, shape[4]], data: gates })
    expectClose(applyGate(tensor(x), gateTensor), reference.gate(x, gates))
  })

  it.each<{ shape: Shape5; out: number }>([
    { shape: [1, 1, 1, 1, 17], out: 5 },
    { shape: [3, 1, 2, 2, 5], out: 17 },
    { shape: [2, 2, 3, 1, 1], out: 1 },
    { shape: [1, 1, 1, 1, 2048], out: 10 },
  ])('apply a linear layer at every position of $shape, to $out', ({ shape, out }) => {
    const x = reference.noiseOf(shape, 9)
    const weight = reference.noise(shape[4] * out, 10)
    const bias = reference.noise(out, 11)
    const result = multiply(tensor(x), tf.tensor2d(floats(weight), [shape[4], out]), vector(bias))
    expectClose(result, reference.linear(x, weight, bias))
  })

  it.each<{ what: string; shape: Shape5; to: Triple }>([
    { what: 'identity', shape: [2, 4, 5, 3, 3], to: [4, 5, 3] },
    { what: 'down to one', shape: [1, 4, 7, 5, 5], to: [1, 1, 1] },
    { what: 'down, whole ratios', shape: [2, 8, 8, 4, 1], to: [4, 4, 2] },
    { what: 'down, windows of unequal size that overlap', shape: [1, 8, 7, 10, 3], to: [3, 5, 7] },
    { what: 'up, values repeated', shape: [2, 1, 2, 3, 17], to: [4, 6, 9] },
    { what: 'up, values blended', shape: [1, 2, 3, 5, 3], to: [5, 4, 7] },
    { what: 'up in one axis, down in another', shape: [3, 4, 56, 3, 2], to: [3, 23, 5] },
  ])('resample by adaptive averaging: $what', ({ shape, to }) => {
    const x = reference.noiseOf(shape, 12)
    const [frames, height, width] = to
    const result = adaptiveAveragePool(tensor(x), { frames, height, width })
    expectClose(result, reference.adaptiveAveragePool(x, to))
  })

  it('resample 5 values to 3 as PyTorch does', async () => {
    // adaptive_avg_pool1d([1, 2, 4, 8, 16], 3) reads 0…1, 1…3 and 3…4.
    const x = { shape: [1, 5, 1, 1, 1] as const, data: Float64Array.of(1, 2, 4, 8, 16) }
    const result = adaptiveAveragePool(tensor(x), { frames: 3, height: 1, width: 1 })
    const expected = [1.5, 14 / 3, 12]
    ;[...(await result.data())].forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 6)
    })
  })

  it.each<{ shape: Shape5 }>([
    { shape: [1, 1, 1, 1, 1] },
    { shape: [2, 3, 5, 4, 17] },
    { shape: [3, 2, 1, 7, 5] },
  ])('normalise the channels of $shape', ({ shape }) => {
    const channels = shape[4]
    const x = reference.noiseOf(shape, 13)
    const parameters = {
      mean: reference.noise(channels, 14),
      // Down to 0, where ε alone keeps the result finite.
      variance: reference.noise(channels, 15).map((v, i) => (i === 0 ? 0 : Math.fround(v ** 2))),
      scale: reference.noise(channels, 16),
      shift: reference.noise(channels, 17),
      epsilon: 1e-5,
    }
    const result = normalise(
      tensor(x),
      { mean: vector(parameters.mean), variance: vector(parameters.variance) },
      vector(parameters.scale),
      vector(parameters.shift),
      parameters.epsilon,
    )
    expectClose(result, reference.batchNorm(x, parameters))
  })

  it.each([
    { mean: 0, deviation: 1 },
    { mean: 3, deviation: 0.5 },
    // A variance from E[x²] − E[x]² would be off by 0.06 here, 2000 times the variance itself.
    { mean: 1000, deviation: 0.01 },
  ])(
    'estimate the moments of channels with mean $mean and deviation $deviation',
    async ({ mean, deviation }) => {
      const { shape, data } = reference.noiseOf([2, 4, 23, 19, 3], 18)
      const x = { shape, data: data.map((v, i) => Math.fround(mean * (i % 3) + deviation * v)) }
      const expected = reference.channelMoments(x)
      const moments = channelMoments(tensor(x))
      const [means, variances] = [await moments.mean.data(), await moments.variance.data()]
      for (let c = 0; c < 3; c++) {
        expect(Math.abs(means[c]! - expected.mean[c]!)).toBeLessThan(TOLERANCE * (1 + 2 * mean))
        expect(variances[c]! / expected.variance[c]!).toBeGreaterThan(0.99)
        expect(variances[c]! / expected.variance[c]!).toBeLessThan(1.01)
      }
    },
  )

  it.each(['relu', 'relu6', 'sigmoid', 'swish'] as const)('apply %s, also far from zero', (activation) => {
    const x = reference.noiseOf([2, 2, 3, 5, 17], 19)
    const spread = { shape: x.shape, data: x.data.map((v, i) => v * [1, 8, 100][i % 3]!) }
    expectClose(activate(tensor(spread), activation), reference.activate(spread, activation))
  })
})

function checkConv({ shape, out, ...window }: ConvCase): void {
  const cin = shape[4]
  const x = reference.noiseOf(shape, 1)
  const [kt, kh, kw] = window.kernel
  const filter = reference.noise(kt * kh * kw * cin * out, 2)
  const weights = tf.tensor5d(floats(filter), [kt, kh, kw, cin, out])
  tf.tidy(() =>
    expectClose(compositeConv(tensor(x), weights, window), reference.conv(x, filter, out, window)),
  )
}

function checkChannelwiseConv({ shape, out: _, ...window }: ConvCase): void {
  const channels = shape[4]
  const x = reference.noiseOf(shape, 3)
  const [kt, kh, kw] = window.kernel
  const filter = reference.noise(kt * kh * kw * channels, 4)
  const weights = tf.tensor4d(floats(filter), [kt, kh, kw, channels])
  expectClose(
    compositeChannelwiseConv(tensor(x), weights, window),
    reference.channelwiseConv(x, filter, window),
  )
}

function pooling(kernel: number, stride: number, padding: number): Window {
  return { kernel: [1, kernel, kernel], stride: [1, stride, stride], padding: [0, padding, padding] }
}

const floats = (values: Float64Array) => Float32Array.from(values)
const vector = (values: Float64Array) => tf.tensor1d(floats(values))
const tensor = ({ shape, data }: Values) => tf.tensor5d(floats(data), [...shape])

/** Equal shapes, and values within the tolerance of the largest. */
function expectClose(actual: tf.Tensor, expected: Values, tolerance = TOLERANCE): void {
  expect(actual.shape).toEqual(expected.shape)
  const values = actual.dataSync()
  const largest = expected.data.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
  let worst = 0
  expected.data.forEach((value, i) => {
    // Math.max keeps a NaN, which then fails.
    worst = Math.max(worst, Math.abs(values[i]! - value))
  })
  expect(worst, `largest error where the largest value is ${largest}`).toBeLessThanOrEqual(
    tolerance * Math.max(largest, 1e-3),
  )
}
