import { afterEach, describe, expect, it, vi } from 'vitest'
import { nativeUnavailable, openNativeEngine } from '../../src/engines/native/engine.ts'
import { conformanceCases, wideCases } from '../support/conformance-cases.ts'
import { difference, outputsOf } from '../support/outputs.ts'

const unavailable = nativeUnavailable()
const cases = [...conformanceCases(), ...wideCases()]

afterEach(() => vi.unstubAllEnvs())

// What this processor would not choose by itself: other processors run it.
describe.skipIf(unavailable).each(['avx2', 'portable'])('kernels of at most %s', (instructionSet) => {
  it.each(cases)('answer as the best ones do: $title', async (each) => {
    const engine = await openNativeEngine({ threads: 1 })
    const expected = await outputsOf(engine, each)
    vi.stubEnv('MN_VIDEO_ISA', instructionSet)
    // Plans hold weights packed by the kernels of before.
    const other = await openNativeEngine({ threads: 1 })
    expect([instructionSet, 'portable']).toContain(other.instructionSet)
    const found = await outputsOf(other, each)
    expect(Object.keys(found)).toEqual(Object.keys(expected))
    for (const [name, values] of Object.entries(found))
      expect(difference(name, values, expected[name]!), name).toBeLessThan(2e-4)
  })
})
