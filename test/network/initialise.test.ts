/** Fresh weights, and the random numbers that they come from. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { resnet } from '../../src/models/resnet.ts'
import { wideResnet } from '../../src/models/wide-resnet.ts'
import { x3d } from '../../src/models/x3d.ts'
import { initialise } from '../../src/network/initialise.ts'
import { createRandom } from '../../src/network/random.ts'
import { parametersOf } from '../../src/network/store.ts'

const network = x3d({ classes: 40, frames: 4, size: 64 })

describe('fresh weights', () => {
  const store = initialise(network, 1995)
  const parameters = parametersOf(network).map((parameter) => ({
    ...parameter,
    values: store.values.get(parameter.name)!,
  }))
  const ofRole = (role: string) => parameters.filter((parameter) => parameter.role === role)

  it('are the same for the same seed, and different for another', () => {
    const same = initialise(network, 1995).values
    const other = initialise(network, 1996).values
    for (const { name, role, values } of parameters) {
      expect([name, equal(values, same.get(name)!)]).toEqual([name, true])
      const isRandom = ['conv', 'channelwise', 'linear'].includes(role)
      expect([name, equal(values, other.get(name)!)]).toEqual([name, !isRandom])
    }
  })

  it('of dense convolutions deviate by √(2 / fan out)', () => {
    const large = ofRole('conv').filter(({ values }) => values.length >= 5000)
    expect(large.length).toBeGreaterThan(20)
    for (const { name, shape, values } of large) {
      const [kt, kh, kw, , out] = shape
      expectNormal(name, values, Math.sqrt(2 / (kt! * kh! * kw! * out!)))
    }
  })

  it('of channelwise convolutions count taps × channels, as PyTorch does, or the taps alone', () => {
    const large = ofRole('channelwise').filter(({ values }) => values.length >= 5000)
    expect(large.length).toBeGreaterThan(5)
    const taps = initialise(network, 1995, { channelwise: 'taps' }).values
    for (const { name, values, shape } of large) {
      expectNormal(name, values, Math.sqrt(2 / (27 * shape.at(-1)!)))
      expectNormal(name, taps.get(name)!, Math.sqrt(2 / 27))
    }
  })

  it("of a WideResNet's classifier are left as PyTorch leaves them: even within ±1/√features", () => {
    const wide = initialise(wideResnet({ depth: 10, widenFactor: 4, classes: 100, size: 32 }), 1)
    const values = wide.values.get('fc.weight')!
    expect(values.length).toBe(256 * 100)
    expectNormal('fc', values, 1 / Math.sqrt(3 * 256))
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(256))
  })

  it('of the classifier deviate by 0.01', () => {
    for (const { name, values } of ofRole('linear')) expectNormal(name, values, 0.01)
  })

  it('are 1 for batch-norm scales, but 0 for the last of each residual block', () => {
    const expected = (name: string) => (name.endsWith('norm_c.weight') ? 0 : 1)
    const scales = ofRole('scale')
    expect(scales.filter(({ start }) => start === 'zero').length).toBe(3 + 5 + 11 + 7)
    for (const { name, values } of scales) {
      expect([name, values.every((value) => value === expected(name))]).toEqual([name, true])
    }
  })

  it('are 0 for shifts and biases', () => {
    const zeros = [...ofRole('shift'), ...ofRole('bias')]
    expect(zeros.length).toBeGreaterThan(80)
    expect(zeros.filter(({ values }) => values.some((value) => value !== 0))).toEqual([])
  })

  it('zero the last scale of every bottleneck of a ResNet', () => {
    const zero = parametersOf(resnet({ depth: 50, classes: 10, size: 64 })).filter(
      ({ start }) => start === 'zero',
    )
    expect(zero.length).toBe(16)
    expect(zero.every(({ name }) => name.endsWith('.body.7.weight'))).toBe(true)
  })
})

describe('random numbers', () => {
  it('are those of xoshiro128**', () => {
    // Blackman and Vigna's xoshiro128starstar.c from the state 1, 2, 3, 4.
    const random = createRandom([1, 2, 3, 4])
    const words = Array.from({ length: 10 }, () => random.uniform() * 2 ** 32)
    expect(words).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ])
  })

  it('go on where they were saved, whatever was drawn', () => {
    const draw = fc.constantFrom('uniform', 'normal', 'integer')
    fc.assert(
      fc.property(fc.integer(), fc.array(draw), fc.array(draw, { minLength: 1 }), (seed, before, after) => {
        const random = createRandom(seed)
        const take = (from: typeof random, kinds: typeof before) =>
          kinds.map((kind) => (kind === 'integer' ? from.integer(1000) : from[kind]()))
        take(random, before)
        const saved: typeof random.state = JSON.parse(JSON.stringify(random.state))
        const expected = take(random, after)
        const resumed = createRandom(saved)
        expect(take(resumed, after)).toEqual(expected)
        expect(resumed.state).toEqual(random.state)
      }),
      { seed: 1995 },
    )
  })

  it('do not change a state that was saved', () => {
    const random = createRandom(3)
    const saved = random.state
    const copy = [...saved]
    random.uniform()
    expect(saved).toEqual(copy)
    expect(random.state).not.toEqual(copy)
  })

  it('differ between neighbouring seeds', () => {
    const firsts = Array.from({ length: 1000 }, (_, seed) => createRandom(seed).uniform())
    expect(new Set(firsts).size).toBe(1000)
    expect(mean(firsts)).toBeCloseTo(0.5, 1)
  })

  it('are spread evenly over [0, 1)', () => {
    const random = createRandom(7)
    const buckets = new Array<number>(64).fill(0)
    const values = Float64Array.from({ length: 64_000 }, () => random.uniform())
    for (const value of values) buckets[Math.floor(value * 64)]!++
    // A value of 1 or more would have made another bucket, one below 0 a missing count.
    expect(buckets.length).toBe(64)
    expect(buckets.reduce((a, b) => a + b)).toBe(64_000)
    // χ² with 63 degrees of freedom: 1 % of true generators are above 92, 1 % below 40.
    const chiSquared = buckets.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)
    expect(chiSquared).toBeLessThan(92)
    expect(chiSquared).toBeGreaterThan(40)
  })

  it('are every whole number below n about as often', () => {
    const random = createRandom(11)
    const counts = new Array<number>(7).fill(0)
    for (let i = 0; i < 7000; i++) counts[random.integer(7)]!++
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(120)
    expect(random.integer(1)).toBe(0)
  })

  it('are normal with mean 0, deviation 1 and the right tails', () => {
    const random = createRandom(13)
    const values = Float64Array.from({ length: 50_000 }, () => random.normal())
    expectNormal('normal', values, 1)
    const share = (beyond: number) =>
      values.filter((value) => Math.abs(value) > beyond).length / values.length
    expect(share(1)).toBeCloseTo(0.3173, 2)
    expect(share(2)).toBeCloseTo(0.0455, 2)
    expect(values.every(Number.isFinite)).toBe(true)
  })
})

const bytes = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength)
const equal = (a: Float32Array, b: Float32Array) => bytes(a).equals(bytes(b))
const mean = (values: ArrayLike<number>) =>
  Array.from(values).reduce((sum, value) => sum + value, 0) / values.length

/** Mean 0 and the deviation, within what that many draws can be off by. */
function expectNormal(name: string, values: Float32Array | Float64Array, deviation: number): void {
  const centre = mean(values)
  let squares = 0
  for (const value of values) squares += (value - centre) ** 2
  const found = Math.sqrt(squares / values.length)
  expect(Math.abs(found / deviation - 1), `deviation of ${name}`).toBeLessThan(0.04)
  expect(Math.abs(centre / deviation) * Math.sqrt(values.length), `mean of ${name}`).toBeLessThan(4)
}
