import { describe } from 'vitest'
import { openTfjsEngine } from '../../src/engines/tfjs/engine.ts'
import { testTrainGoldens } from '../support/train-goldens.ts'

const open = () => openTfjsEngine('cpu')

describe('tfjs engine on the cpu backend: PyTorch training goldens', () => {
  testTrainGoldens(open, ['mobilenet_v1_tiny'])
})

/** Minutes of plain JS; wasm runs the same code with all of them. */
describe.skipIf(!process.env.MN_VIDEO_SLOW_TESTS)(
  'tfjs engine on the cpu backend: costly training goldens',
  () => {
    testTrainGoldens(open, ['x3d_tiny'])
  },
)
