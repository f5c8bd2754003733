import { describe } from 'vitest'
import { openTfjsEngine } from '../../src/engines/tfjs/engine.ts'
import { testTrainGoldens } from '../support/train-goldens.ts'

describe('tfjs engine on the wasm backend: PyTorch training goldens', () => {
  testTrainGoldens(
    () => openTfjsEngine('wasm'),
    ['mobilenet_v1_tiny', 'x3d_tiny', 'mobilenet_v1', 'x3d_small', 'slowfast_gradient'],
  )
})
