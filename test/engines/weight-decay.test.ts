/** Which parameters decay: the same under both engines, for each rule. */
import { describe, expect, it } from 'vitest'
import { openEngine } from '../../src/engines/index.ts'
import { nativeUnavailable } from '../../src/engines/native/engine.ts'
import { x3d } from '../../src/models/x3d.ts'
import { initialise } from '../../src/network/initialise.ts'
import { type DecayRule, decays } from '../../src/network/parameters.ts'
import { parametersOf } from '../../src/network/store.ts'

const network = x3d({ classes: 4, frames: 4, size: 32, depthFactor: 0.1, widthFactor: 1, headFeatures: 16 })
const options = { momentum: 0, nesterov: false, weightDecay: 0.1 }
const rules: (DecayRule | undefined)[] = ['dense', 'no_norms', 'all', undefined]

const engines = nativeUnavailable() ? (['tfjs'] as const) : (['native', 'tfjs'] as const)

describe.each(engines)('weight decay on %s', (name) => {
  it.each(rules)('with the rule %s shrinks what it names and nothing else', async (rule) => {
    const engine = await openEngine(name, name === 'tfjs' ? { backend: 'wasm' } : {})
    const weights = initialise(network, 1, { zeroInit: false })
    for (const values of weights.values.values()) for (let i = 0; i < values.length; i++) values[i]! += 0.5
    weights.touch()
    const before = new Map([...weights.values].map(([key, values]) => [key, values.slice()]))
    const trainer = await engine.openTrainer(network, weights, {
      ...options,
      ...(rule && { decayRule: rule }),
    })
    // No gradients: all that the step does is decay, 1 × 0.1 of each weight.
    await trainer.step({ learningRate: 1 })
    for (const { name: parameter, role } of parametersOf(network)) {
      const factor = decays(role, rule ?? 'dense') ? 0.9 : 1
      weights.values.get(parameter)!.forEach((value, i) => {
        expect(Math.abs(value - factor * before.get(parameter)![i]!), parameter).toBeLessThan(1e-6)
      })
    }
    trainer.dispose()
  })
})
