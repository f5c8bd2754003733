import { describe, expect, it } from 'vitest'
import { onednnUnavailable, openOnednnEngine } from '../../src/engines/onednn/engine.ts'
import type { StepProfile } from '../../src/engines/onednn/profile.ts'
import { testConformance } from '../support/conformance.ts'
import { blockedCases, conformanceCases, materials, wideCases } from '../support/conformance-cases.ts'

const unavailable = onednnUnavailable()

describe.skipIf(unavailable)(`onednn engine${unavailable ? ` (${unavailable})` : ''}: conformance`, () => {
  testConformance(() => openOnednnEngine(), { cases: [...conformanceCases(), ...wideCases()] })
})

describe.skipIf(unavailable)(
  'onednn engine on one thread with dense convolutions by oneDNN: conformance',
  () => {
    // Training does not use oneDNN: gradients are checked above.
    testConformance(() => openOnednnEngine({ threads: 1, dense: 'onednn' }), { gradients: false })
  },
)

describe.skipIf(unavailable)('onednn engine on three threads: conformance', () => {
  testConformance(() => openOnednnEngine({ threads: 3, dense: 'own' }), { cases: blockedCases() })
})

describe.skipIf(unavailable)('Winograd filtering', () => {
  const filtered = (steps: readonly StepProfile[]) =>
    steps.map(({ op }) => op).filter((op) => op.startsWith('winograd'))
  // Some wide cases have too few positions for what training adds, or for any of it.
  const filling = wideCases().filter(({ subNetwork, batch }) => batch * subNetwork.configuration.frames > 6)

  it.each([...filling, ...blockedCases()])('computes $title', async (each) => {
    const { subNetwork, batch } = each
    const { weights, inputs, statistics } = materials(each)
    const engine = await openOnednnEngine({ dense: 'own', timed: true })
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
