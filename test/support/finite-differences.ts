/** Gradients against finite differences of the loss: no reference implementation is needed for these. */
import { expect, it } from 'vitest'
import type { Engine } from '../../src/engines/engine.ts'
import type { Target } from '../../src/engines/loss.ts'
import type { FrameBatch, Inputs } from '../../src/frames/batch.ts'
import type { Configuration } from '../../src/network/graph.ts'
import { createRandom } from '../../src/network/random.ts'
import { isKind, resolve } from '../../src/network/resolve.ts'
import { everyKind } from './every-kind.ts'
import { formulaWeights } from './formula-weights.ts'

export const CONFIGURATIONS: readonly Configuration[] = [
  { width: 1, frames: 4, size: 16 },
  { width: 0.7, frames: 3, size: 13 },
  { width: 0.63, frames: 1, size: 9 },
]

const TARGETS: Record<string, Target> = {
  'smoothed labels': { labels: Int32Array.of(1, 4), labelSmoothing: 0.1 },
  "a teacher's softmax": {
    probabilities: Float32Array.of(0.1, 0.2, 0.3, 0.15, 0.25, 0.5, 0.1, 0.1, 0.1, 0.2),
  },
}

/**
 * Declares the tests. For each parameter, the slope of the loss along a random direction of that parameter alone
 * must be what its gradient says.
 */
export function testFiniteDifferences(
  openEngine: () => Promise<Engine>,
  configurations = CONFIGURATIONS,
): void {
  it.each(
    configurations.flatMap((configuration) =>
      Object.keys(TARGETS).map((target) => ({ configuration, target, ...configuration })),
    ),
  )(
    'every parameter at width $width, $frames frames of $size², $target',
    { timeout: 120_000 },
    async ({ configuration, target }) => {
      const network = everyKind()
      const weights = formulaWeights(network, 'differences')
      const subNetwork = resolve(network, configuration)
      const random = createRandom(7)
      const inputs: Inputs = Object.fromEntries(
        subNetwork.nodes
          .filter((resolved) => isKind(resolved, 'input'))
          .map(({ node, shape: { frames, height, width } }) => {
            const data = Float32Array.from({ length: 2 * frames * height * width * 3 }, () => random.normal())
            return [node.name, { data, batch: 2, frames, height, width } satisfies FrameBatch]
          }),
      )
      const options = { momentum: 0, nesterov: false, weightDecay: 0 }
      const trainer = await (await openEngine()).openTrainer(network, weights, options)
      const lossAt = async () =>
        (await trainer.accumulate(subNetwork, inputs, TARGETS[target]!, { dropoutSeed: 3 })).loss
      await lossAt()
      const gradients = new Map([...trainer.gradients()].map(([name, values]) => [name, values.slice()]))

      for (const [name, values] of weights.values) {
        const gradient = gradients.get(name)!
        const direction = gradient.map(() => random.normal())
        const length = Math.hypot(...direction)
        const slope = gradient.reduce((sum, g, i) => sum + (g * direction[i]!) / length, 0)
        const original = values.slice()
        const step = 3e-3
        const moved = async (by: number) => {
          values.set(original.map((value, i) => value + (by * direction[i]!) / length))
          weights.touch()
          return lossAt()
        }
        const measured = ((await moved(step)) - (await moved(-step))) / (2 * step)
        values.set(original)
        expect(Math.abs(measured - slope), `${name}: measured ${measured}, gradient ${slope}`).toBeLessThan(
          0.03 * Math.abs(slope) + 4e-4,
        )
      }
      trainer.dispose()
    },
  )
}
