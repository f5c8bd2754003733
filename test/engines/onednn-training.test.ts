import { describe } from 'vitest'
import { onednnUnavailable, openOnednnEngine } from '../../src/engines/onednn/engine.ts'
import { testTrainGoldens } from '../support/train-goldens.ts'

const unavailable = onednnUnavailable()

describe.skipIf(unavailable)(
  `onednn engine${unavailable ? ` (${unavailable})` : ''}: PyTorch training goldens`,
  () => {
    testTrainGoldens(() => openOnednnEngine())
  },
)
