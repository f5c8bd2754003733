/** Opening an engine: which one it is, and why not another. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openEngine } from '../../src/engines/index.ts'
import { openTfjsEngine } from '../../src/engines/tfjs/engine.ts'
import { MnVideoError } from '../../src/errors.ts'
import { emptyFolder } from '../support/tfjs-packages.ts'

const WASM = '@tensorflow/tfjs-backend-wasm'
const CPU = '@tensorflow/tfjs-backend-cpu'

async function errorOf(promise: Promise<unknown>): Promise<MnVideoError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(MnVideoError)
  return error as MnVideoError
}

/** Makes an import of these fail, as if their installation was damaged. */
function breakLibraries(...names: string[]): void {
  for (const name of names) {
    vi.doMock(name, () => {
      throw new Error(`no binary for this machine\nat some place in ${name}`)
    })
  }
}

describe('an engine', () => {
  it('that does not exist is refused with those that do', async () => {
    const error = await errorOf(openEngine('native-gpu' as 'tfjs'))
    expect(error.code).toBe('usage')
    expect(error.message).toMatch(/^there is no engine "native-gpu"\. Give one of .*tfjs/)
  })

  it.each(['wasm', 'cpu'] as const)('opens on %s and says what it is', async (backend) => {
    const engine = await openTfjsEngine(backend)
    expect(engine).toMatchObject({ name: 'tfjs', backend, skipped: [] })
    expect(engine.description).toMatch(
      new RegExp(`^tfjs \\d+\\.\\d+\\.\\d+, ${backend} backend \\(@tensorflow/tfjs-backend-${backend}\\)$`),
    )
  })
})

describe('a tfjs backend', () => {
  beforeEach(() => vi.stubEnv('MN_VIDEO_TFJS_NODE', emptyFolder()))
  afterEach(() => {
    vi.doUnmock(WASM)
    vi.doUnmock(CPU)
    vi.resetModules()
    vi.unstubAllEnvs()
  })

  it('that does not exist is refused by name', async () => {
    const error = await errorOf(openTfjsEngine('webgl2' as 'cpu'))
    expect(error.code).toBe('engine')
    expect(error.message).toBe('there is no tfjs backend "webgl2". Give one of tensorflow, wasm, cpu.')
  })

  it('that was asked for and does not load is not replaced by another', async () => {
    breakLibraries(WASM)
    const error = await errorOf(openTfjsEngine('wasm'))
    expect(error.code).toBe('engine')
    const [first, second, ...more] = error.message.split('\n')
    expect(first).toBe('no tfjs backend can be used here.')
    expect(second).toMatch(/^wasm: /)
    expect(more).toEqual([])
  })

  it('that does not load is skipped for the next, with the reason in one line', async () => {
    breakLibraries(WASM)
    const engine = await openTfjsEngine()
    expect(engine.backend).toBe('cpu')
    expect(engine.skipped.length).toBe(2)
    expect(engine.skipped[0]).toMatch(/^tensorflow: @tensorflow\/tfjs-node-gpu .*; @tensorflow\/tfjs-node /)
    expect(engine.skipped[1]).toMatch(/^wasm: /)
    expect(engine.skipped.join()).not.toContain('\n')
  })

  it('is told with its reason, one line each, when none loads', async () => {
    breakLibraries(WASM, CPU)
    const error = await errorOf(openTfjsEngine())
    expect(error.code).toBe('engine')
    const starts = error.message.split('\n').map((line) => line.split(':')[0])
    expect(starts).toEqual(['no tfjs backend can be used here.', 'tensorflow', 'wasm', 'cpu'])
  })
})
