/** Which of tfjs's backends the engine takes, and what it says of installations that are broken. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { openEngine } from '../../src/engines/index.ts'
import { openTfjsEngine } from '../../src/engines/tfjs/engine.ts'
import { ABORTS, emptyFolder, folderWith, standIn, UNLOADABLE } from '../support/tfjs-packages.ts'

/** Makes the engine look for TensorFlow's packages in a folder alone. */
const lookIn = (folder: string) => vi.stubEnv('MN_VIDEO_TFJS_NODE', folder)

afterEach(() => {
  vi.unstubAllEnvs()
})

const NONSENSE = `const tensor = { dataSync: () => [1] }
  module.exports = { sum: () => tensor, conv2d: () => tensor, ones: () => tensor }`

const GPU = '@tensorflow/tfjs-node-gpu'
const CPU = '@tensorflow/tfjs-node'

describe('the tfjs engine', () => {
  it('falls back to wasm where TensorFlow is not installed, and says so', async () => {
    lookIn(emptyFolder())
    const { backend, skipped } = await openTfjsEngine()
    expect(backend).toBe('wasm')
    expect(skipped).toEqual([`tensorflow: ${GPU} is not installed; ${CPU} is not installed`])
  })

  it.each([
    {
      what: 'throws',
      source: UNLOADABLE,
      reason: /tfjs_binding\.node: (file too short|invalid ELF header|.*not a mach-o.*)/,
    },
    { what: 'ends its process', source: ABORTS, reason: /its process ended with (SIGABRT|code \d+)/ },
    { what: 'quits', source: 'process.exit(127)', reason: /its process ended with code 127/ },
    {
      what: 'computes nonsense',
      source: NONSENSE,
      reason: /computes a convolution of ones as 1 in place of 144/,
    },
  ])('survives a package that $what, and says why in one line', async ({ source, reason }) => {
    lookIn(await folderWith({ cpu: source }))
    const { backend, skipped } = await openTfjsEngine()
    expect(backend).toBe('wasm')
    expect(skipped.length).toBe(1)
    expect(skipped[0]).toContain(`tensorflow: ${GPU} is not installed; ${CPU} does not load: `)
    expect(skipped[0]).toMatch(reason)
    expect(skipped[0]).not.toContain('\n')
  })

  it('does not replace the backend that is asked for', async () => {
    lookIn(await folderWith({ gpu: UNLOADABLE, cpu: ABORTS }))
    await expect(openEngine('tfjs', { backend: 'tensorflow' })).rejects.toMatchObject({
      code: 'engine',
      message: expect.stringMatching(
        /^no tfjs backend can be used here\.\ntensorflow: [^\n]*node-gpu does not load[^\n]*node does not load/,
      ),
    })
  })

  it('is what a backend asks for', async () => {
    expect(await openEngine(undefined, { backend: 'wasm' })).toMatchObject({ name: 'tfjs', backend: 'wasm' })
    await expect(openEngine('native', { backend: 'wasm' })).rejects.toMatchObject({ code: 'usage' })
    await expect(openEngine('tfjs', { backend: 'webgpu' as 'wasm' })).rejects.toMatchObject({ code: 'usage' })
  })

  // A process loads one such package, so this comes last.
  it('takes the CPU package where the one for GPUs is broken', async () => {
    lookIn(await folderWith({ gpu: UNLOADABLE, cpu: standIn(false) }))
    const engine = await openTfjsEngine()
    expect(engine).toMatchObject({ backend: 'tensorflow', skipped: [] })
    expect(engine.description).toBe(
      `tfjs 4.22.0, tensorflow backend (${CPU}, TensorFlow 2.0.0-stand-in, CPU)`,
    )
  })
})
