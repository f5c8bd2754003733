/**
 * Judges an engine by the conformance cases: forward against plain double-precision loops, and gradients (where the
 * engine trains) against their finite differences.
 */
import { expect, it } from 'vitest'
import type { Engine } from '../../src/engines/engine.ts'
import { softmax } from '../../src/engines/scores.ts'
import { createRandom } from '../../src/network/random.ts'
import type { ParameterStore } from '../../src/network/store.ts'
import { CLASSES, type ConformanceCase, conformanceCases, materials } from './conformance-cases.ts'
import { plainLogits } from './plain.ts'

const toDoubles = (weights: ParameterStore) =>
  new Map([...weights.values].map(([name, values]) => [name, Float64Array.from(values)]))

export function testConformance(
  openEngine: () => Promise<Engine>,
  { gradients = true, cases = conformanceCases() } = {},
): void {
  it.each(cases)('$title', async (each) => {
    const engine = await openEngine()
    const { weights, inputs, statistics } = materials(each)
    for (const use of [statistics, 'batch'] as const) {
      const plan = await engine.compile(each.subNetwork, weights, { statistics: use })
      const { logits } = await plan.run(inputs)
      const again = await plan.run(inputs)
      plan.dispose()
      const expected = plainLogits(each.subNetwork, toDoubles(weights), inputs, use)
      close(logits, expected, 2e-4)
      expect(again.logits, 'the same input twice').toEqual(logits)
    }
    if (gradients) await checkGradients(engine, each)
  })
}

/** Each parameter's gradient along a random direction against the loss's central difference. */
async function checkGradients(engine: Engine, each: ConformanceCase): Promise<void> {
  const { subNetwork, batch } = each
  const { network } = subNetwork
  const { weights, inputs } = materials(each)
  const random = createRandom(3)
  const target = new Float32Array(batch * CLASSES)
  for (let n = 0; n < batch; n++) {
    target.set(softmax(Array.from({ length: CLASSES }, () => random.normal())), n * CLASSES)
  }
  const trainer = await engine.openTrainer(network, weights, { momentum: 0, nesterov: false, weightDecay: 0 })
  const { loss } = await trainer.accumulate(subNetwork, inputs, { probabilities: target })
  const plain = toDoubles(weights)
  const lossOf = () => divergence(plainLogits(subNetwork, plain, inputs, 'batch'), target)
  expect(Math.abs(loss - lossOf())).toBeLessThan(1e-4 * Math.max(1, loss))
  for (const [name, values] of plain) {
    if (each.checked && !each.checked.includes(name)) continue
    const gradient = trainer.gradients().get(name)!
    const direction = values.map(() => random.normal())
    const length = Math.sqrt(direction.reduce((sum, d) => sum + d * d, 0))
    const step = 1e-5
    const shift = (by: number) =>
      values.forEach((_, i) => {
        values[i]! += (by * direction[i]!) / length
      })
    shift(step)
    const above = lossOf()
    shift(-2 * step)
    const below = lossOf()
    shift(step)
    const expected = (above - below) / (2 * step)
    const actual = gradient.reduce((sum, g, i) => sum + (g * direction[i]!) / length, 0)
    const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0))
    // A random direction sees so much of a gradient, however long that is.
    const typical = Math.max(norm, 0.01) / Math.sqrt(values.length)
    expect(Math.abs(actual - expected), `${name}: ${actual} instead of ${expected}`).toBeLessThan(
      2e-3 * typical,
    )
  }
  trainer.dispose()
}

/** KL(p ‖ q), the mean over the batch. */
function divergence(logits: Float64Array, target: Float32Array): number {
  let total = 0
  const rows = target.length / CLASSES
  for (let n = 0; n < rows; n++) {
    const q = softmax(logits.subarray(n * CLASSES, (n + 1) * CLASSES))
    for (let k = 0; k < CLASSES; k++) {
      const p = target[n * CLASSES + k]!
      total += (p * Math.log(p / q[k]!)) / rows
    }
  }
  return total
}

function close(actual: Float32Array, expected: Float64Array, tolerance: number): void {
  const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-3)
  expect(actual.length).toBe(expected.length)
  expected.forEach((value, i) => {
    expect(Math.abs(actual[i]! - value), `[${i}] ${actual[i]} instead of ${value}`).toBeLessThan(
      tolerance * largest,
    )
  })
}
