/** The package as another program imports it. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { renderClip } from './support/render.ts'
import { makeRun, SMALL_X3D, temporaryFolder } from './support/small-run.ts'

describe("import { … } from 'mn-video'", () => {
  it('offers loadModel, classify, profile and decodeClip', async () => {
    const library = await import(`${'mn-video'}`)
    const folder = await temporaryFolder()
    await makeRun(join(folder, 'run'), SMALL_X3D)
    const file = await renderClip(join(folder, 'clip.mp4'))

    const model = await library.loadModel(join(folder, 'run'))
    const { ranking } = await library.classify(model, file, { budget: { mflops: 5 } })
    expect(ranking).toHaveLength(5)
    model.dispose()

    const clip = await library.decodeClip(file, {
      times: [0, 0.5],
      shortSide: 32,
      crop: { size: 32, position: 'centre' },
    })
    expect(clip).toMatchObject({ frames: 2, height: 32, width: 32 })
    expect(clip.data).toHaveLength(2 * 32 * 32 * 3)

    expect(await library.profile('x3d', { width: 0.63 })).toMatchObject({ params: 1_772_688 })
    await expect(library.loadModel('nowhere')).rejects.toBeInstanceOf(library.MnVideoError)
  })
})
