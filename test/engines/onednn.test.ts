import { describe } from 'vitest'
import { onednnUnavailable, openOnednnEngine } from '../../src/engines/onednn/engine.ts'
import { testForwardGoldens } from '../support/forward-goldens.ts'

const unavailable = onednnUnavailable()

describe.skipIf(unavailable)(
  `onednn engine${unavailable ? ` (${unavailable})` : ''}: PyTorch goldens`,
  () => {
    testForwardGoldens(() => openOnednnEngine())
  },
)

describe.skipIf(unavailable)('onednn engine with dense convolutions by oneDNN: PyTorch goldens', () => {
  testForwardGoldens(() => openOnednnEngine({ dense: 'onednn' }))
})
