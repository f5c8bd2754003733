import { describe } from 'vitest'
import { openTfjsEngine } from '../../src/engines/tfjs/engine.ts'
import { testForwardGoldens } from '../support/forward-goldens.ts'

describe('tfjs engine on the wasm backend: PyTorch goldens', () => {
  testForwardGoldens(() => openTfjsEngine('wasm'))
})
