import { describe } from 'vitest'
import { onednnUnavailable, openOnednnEngine } from '../../src/engines/onednn/engine.ts'
import { testFiniteDifferences } from '../support/finite-differences.ts'
import { testTrainGoldens } from '../support/train-goldens.ts'

const unavailable = onednnUnavailable()
const title = `onednn engine${unavailable ? ` (${unavailable})` : ''}`

describe.skipIf(unavailable)(`${title}: PyTorch training goldens`, () => {
  testTrainGoldens(
    () => openOnednnEngine(),
    ['mobilenet_v1_tiny', 'x3d_tiny', 'mobilenet_v1', 'x3d_small', 'slowfast_gradient'],
  )
})

describe.skipIf(unavailable)(`${title}: gradients agree with finite differences`, () => {
  testFiniteDifferences(() => openOnednnEngine())
})
