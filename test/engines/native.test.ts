import { describe } from 'vitest'
import { nativeUnavailable, openNativeEngine } from '../../src/engines/native/engine.ts'
import { testForwardGoldens } from '../support/forward-goldens.ts'

const unavailable = nativeUnavailable()

describe.skipIf(unavailable)(
  `native engine${unavailable ? ` (${unavailable})` : ''}: PyTorch goldens`,
  () => {
    testForwardGoldens(() => openNativeEngine())
  },
)
