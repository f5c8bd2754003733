import { describe, expect, it } from 'vitest'
import { nativeUnavailable, openNativeEngine } from '../../src/engines/native/engine.ts'
import type { StepProfile } from '../../src/engines/native/profile.ts'
import { testConformance } from '../support/conformance.ts'
import { blockedCases, conformanceCases, materials, wideCases } from '../support/conformance-cases.ts'

const unavailable = nativeUnavailable()

describe.skipIf(unavailable)(`native engine${unavailable ? ` (${unavailable})` : ''}: conformance`, () => {
  testConformance(() => openNativeEngine(), { cases: [...conformanceCases(), ...wideCases()] })
})

describe.skipIf(unavailable)('native engine on three threads: conformance', () => {
  testConformance(() => openNativeEngine({ threads: 3 }), { cases: blockedCases() })
})

describe.skipIf(unavailable)('Winograd filtering', () => {
  const filtered = (steps: readonly StepProfile[]) =>
    steps.map(({ op }) => op).filter((op) => op.startsWith('winograd'))
  // Some wide cases have too few positions for what training adds, or for any of it.
  const filling = wideCases().filter(({ subNetwork, batch }) => batch * subNetwork.configuration.frames > 6)

  it.each([...filling, ...blockedCases()])('computes $title', async (each) => {
    const { subNetwork, batch } = each
    const { weights, inputs, statistics } = materials(each)
    const engine = await openNativeEngine({ timed: true })
    const plan = await engine.compile(subNetwork, weights, { statistics })
    expect(filtered(plan.profile(batch))).toEqual(['winograd'])
    plan.dispose()
    const trainer = await engine.openTrainer(subNetwork.network, weights, {
      momentum: 0,
      nesterov: false,
      weightDecay: 0,
    })
    await trainer.accumulate(subNetwork, inputs, { labels: new Int32Array(batch) })
    expect(filtered(trainer.profile())).toEqual(['winograd', 'winogradWeightGradient', 'winograd'])
    trainer.dispose()
  })
})
