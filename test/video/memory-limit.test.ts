import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decodeClip } from '../../src/video/decode.ts'
import { limitMemory } from '../../src/video/spawn-guarded.ts'
import { renderClip } from '../support/render.ts'
import { temporaryFolder } from '../support/small-run.ts'

describe.skipIf(process.platform !== 'linux')('a limit of memory', () => {
  it('ends what FFmpeg takes beyond it in a line, and leaves the rest alone', async () => {
    const clip = await renderClip(join(await temporaryFolder(), 'clip.mp4'))
    const decode = () => decodeClip(clip, { times: [0, 0.5], shortSide: 32 })
    const before = await decode()
    limitMemory(16 * 2 ** 20)
    await expect(decode()).rejects.toMatchObject({ code: 'media' })
    limitMemory(8 * 2 ** 30)
    expect((await decode()).data).toEqual(before.data)
  })
})
