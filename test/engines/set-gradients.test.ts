/** Gradients that stand between accumulating and the step: read from one trainer, given to another. */
import { afterAll, describe, expect, it } from 'vitest'
import type { Engine, Trainer } from '../../src/engines/engine.ts'
import { openEngine } from '../../src/engines/index.ts'
import { nativeUnavailable } from '../../src/engines/native/engine.ts'
import type { Inputs } from '../../src/frames/batch.ts'
import { x3d } from '../../src/models/x3d.ts'
import { initialise } from '../../src/network/initialise.ts'
import { resolve } from '../../src/network/resolve.ts'

const network = x3d({ classes: 4, frames: 4, size: 32, depthFactor: 0.1, widthFactor: 1, headFeatures: 16 })
const subNetwork = resolve(network, { width: 1, frames: 4, size: 32 })
const options = { momentum: 0.9, nesterov: true, weightDecay: 0.01 }
const engines = nativeUnavailable() ? (['tfjs'] as const) : (['native', 'tfjs'] as const)

const inputs = (seed: number): Inputs => ({
  clip: {
    ...{ batch: 2, frames: 4, height: 32, width: 32 },
    data: new Float32Array(2 * 4 * 32 * 32 * 3).map((_, i) => Math.sin(i * seed)),
  },
})
const labels = Int32Array.of(1, 3)

describe.each(engines)('gradients of a trainer on %s', (name) => {
  const trainers: Trainer[] = []
  afterAll(() => {
    for (const trainer of trainers) trainer.dispose()
  })
  const open = async () => {
    const engine: Engine = await openEngine(name, name === 'tfjs' ? { backend: 'wasm' } : {})
    const weights = initialise(network, 1, { zeroInit: false })
    const trainer = await engine.openTrainer(network, weights, options)
    trainers.push(trainer)
    return { weights, trainer }
  }
  const copyOf = (trainer: Trainer) =>
    new Map([...trainer.gradients()].map(([key, values]) => [key, values.slice()]))

  it('make the same step on another that is given them, bit for bit, and are used up by it', async () => {
    const [one, other] = [await open(), await open()]
    for (let step = 0; step < 2; step++) {
      await one.trainer.accumulate(subNetwork, inputs(1 + step), { labels })
      other.trainer.setGradients(copyOf(one.trainer))
      const { gradientNorm } = await one.trainer.step({ learningRate: 0.1, clipNorm: 1 })
      expect((await other.trainer.step({ learningRate: 0.1, clipNorm: 1 })).gradientNorm).toBe(gradientNorm)
    }
    for (const [key, values] of one.weights.values) expect(other.weights.values.get(key), key).toEqual(values)
    for (const [key, values] of other.trainer.gradients())
      expect(
        values.every((value) => value === 0),
        key,
      ).toBe(true)
  })

  it('take the place of what was there, and what comes after adds to them', async () => {
    const [one, other] = [await open(), await open()]
    await one.trainer.accumulate(subNetwork, inputs(3), { labels })
    const wanted = copyOf(one.trainer)
    await other.trainer.accumulate(subNetwork, inputs(5), { labels })
    other.trainer.setGradients(new Map([...wanted].map(([key, values]) => [key, values.map(() => 0)])))
    await other.trainer.accumulate(subNetwork, inputs(3), { labels })
    expect(copyOf(other.trainer)).toEqual(wanted)
  })

  it('are refused where one is missing or of another size, by its name', async () => {
    const { trainer } = await open()
    const gradients = copyOf(trainer)
    const [first] = gradients.keys()
    gradients.set(first!, new Float32Array(1))
    expect(() => trainer.setGradients(gradients)).toThrow(
      new RegExp(`the gradient of "${first}" must be \\d+ floats, not 1 values\\.`),
    )
    gradients.delete(first!)
    expect(() => trainer.setGradients(gradients)).toThrow('floats, not undefined')
    expect(() => trainer.setGradients({} as never)).toThrow('must be a map by parameter name')
  })
})
