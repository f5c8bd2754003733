import { describe } from 'vitest'
import { openTfjsEngine } from '../../src/engines/tfjs/engine.ts'
import { forwardCases, testForwardGoldens } from '../support/forward-goldens.ts'

/**
 * Plain JS computes about 0.2 GMAC/s, so the cases above this cost run only when MN_VIDEO_SLOW_TESTS is set
 * (they take some eleven minutes); they are counted as skipped otherwise.
 */
const AFFORDABLE_MACS = 5e8

const open = () => openTfjsEngine('cpu')
const cases = forwardCases()
const affordable = cases.filter(
  ({ golden }) => golden.macsPerSample * golden.inputShape[0]! < AFFORDABLE_MACS,
)

describe('tfjs engine on the cpu backend: PyTorch goldens', () => {
  testForwardGoldens(open, affordable)
})

describe.skipIf(!process.env.MN_VIDEO_SLOW_TESTS)(
  'tfjs engine on the cpu backend: costly PyTorch goldens',
  () => {
    testForwardGoldens(
      open,
      cases.filter((forwardCase) => !affordable.includes(forwardCase)),
    )
  },
)
