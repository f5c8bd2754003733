import { describe } from 'vitest'
import { openTfjsEngine } from '../../src/engines/tfjs/engine.ts'
import { CONFIGURATIONS, testFiniteDifferences } from '../support/finite-differences.ts'

describe('tfjs gradients on the wasm backend agree with finite differences', () => {
  testFiniteDifferences(() => openTfjsEngine('wasm'))
})

describe('tfjs gradients on the cpu backend agree with finite differences', () => {
  testFiniteDifferences(() => openTfjsEngine('cpu'), CONFIGURATIONS.slice(-1))
})
