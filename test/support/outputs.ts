/** What an engine answers to a conformance case, to compare one set of kernels with another. */
import type { Engine } from '../../src/engines/engine.ts'
import { softmax } from '../../src/engines/scores.ts'
import { createRandom } from '../../src/network/random.ts'
import { CLASSES, type ConformanceCase, materials } from './conformance-cases.ts'

export type Outputs = Readonly<Record<string, Float32Array>>

/** Logits on both kinds of statistics, and the gradient of every parameter. */
export async function outputsOf(engine: Engine, each: ConformanceCase): Promise<Outputs> {
  return { ...(await forward(engine, each)), ...(await gradients(engine, each)) }
}

async function forward(engine: Engine, each: ConformanceCase): Promise<Outputs> {
  const { weights, inputs, statistics } = materials(each)
  const found: Record<string, Float32Array> = {}
  for (const use of [statistics, 'batch'] as const) {
    const plan = await engine.compile(each.subNetwork, weights, { statistics: use })
    found[use === 'batch' ? 'on statistics of the batch' : 'forward'] = (await plan.run(inputs)).logits
    plan.dispose()
  }
  return found
}

async function gradients(engine: Engine, each: ConformanceCase): Promise<Outputs> {
  const { subNetwork, batch } = each
  const { weights, inputs } = materials(each)
  const random = createRandom(3)
  const probabilities = new Float32Array(batch * CLASSES)
  for (let n = 0; n < batch; n++) {
    probabilities.set(softmax(Array.from({ length: CLASSES }, () => random.normal())), n * CLASSES)
  }
  const trainer = await engine.openTrainer(subNetwork.network, weights, {
    momentum: 0,
    nesterov: false,
    weightDecay: 0,
  })
  await trainer.accumulate(subNetwork, inputs, { probabilities })
  const found = [...trainer.gradients()].map(([name, values]) => [`gradient of ${name}`, values.slice()])
  trainer.dispose()
  return Object.fromEntries(found)
}

/** The largest difference, as a part of the largest value; gradients that cancel to nothing are all rounding. */
export function difference(name: string, values: Float32Array, expected: Float32Array): number {
  let largest = name.startsWith('gradient') ? 0.01 : 1e-3
  let most = values.length === expected.length ? 0 : Number.POSITIVE_INFINITY
  expected.forEach((value, i) => {
    largest = Math.max(largest, Math.abs(value))
    const apart = Math.abs(values[i]! - value)
    most = apart <= most ? most : apart // not a number counts as far apart
  })
  return Number.isNaN(most) ? Number.POSITIVE_INFINITY : most / largest
}
