import { describe, expect, it } from 'vitest'
import { onednnUnavailable } from '../../src/engines/onednn/engine.ts'
import { BF16_CASES, nativeBf16, plainBf16, toBf16 } from '../support/bf16-convolutions.ts'

const unavailable = onednnUnavailable()

describe.skipIf(unavailable)(`bf16 of the onednn engine${unavailable ? ` (${unavailable})` : ''}`, () => {
  it('rounds to the nearest, of two to the even', () => {
    const values = [1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -16, -1.7]
    expect(values.map(toBf16)).toEqual([1, 1, 1 + 2 ** -6, 1 + 2 ** -7, -1.703125])
  })

  it.each(BF16_CASES)('multiplies rounded values and sums them in float32: $title', async (each) => {
    const expected = plainBf16(each)
    const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
    const actual = await nativeBf16(each)
    const difference = expected.reduce((most, value, i) => Math.max(most, Math.abs(actual[i]! - value)), 0)
    expect(difference / largest).toBeLessThan(2e-6)
  })
})
