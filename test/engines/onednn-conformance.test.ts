import { describe } from 'vitest'
import { onednnUnavailable, openOnednnEngine } from '../../src/engines/onednn/engine.ts'
import { testConformance } from '../support/conformance.ts'
import { conformanceCases, wideCases } from '../support/conformance-cases.ts'

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
