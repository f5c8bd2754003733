import { describe } from 'vitest'
import { openTfjsEngine } from '../../src/engines/tfjs/engine.ts'
import { testConformance } from '../support/conformance.ts'

describe('tfjs engine on the wasm backend: conformance', () => {
  testConformance(() => openTfjsEngine('wasm'))
})
