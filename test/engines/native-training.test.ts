import { describe } from 'vitest'
import { nativeUnavailable, openNativeEngine } from '../../src/engines/native/engine.ts'
import { testFiniteDifferences } from '../support/finite-differences.ts'
import { testTrainGoldens } from '../support/train-goldens.ts'

const unavailable = nativeUnavailable()
const title = `native engine${unavailable ? ` (${unavailable})` : ''}`

describe.skipIf(unavailable)(`${title}: PyTorch training goldens`, () => {
  testTrainGoldens(
    () => openNativeEngine(),
    ['mobilenet_v1_tiny', 'x3d_tiny', 'mobilenet_v1', 'x3d_small', 'slowfast_gradient'],
  )
})

describe.skipIf(unavailable)(`${title}: gradients agree with finite differences`, () => {
  testFiniteDifferences(() => openNativeEngine())
})
