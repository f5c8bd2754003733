import { afterAll, describe, expect, it } from 'vitest'
import { createDecodedVideos } from '../../../src/data/loading/decoded-videos.ts'
import { readFrameIndex } from '../../../src/video/frame-index.ts'
import { frameNumbers, renderClip, testFolder } from '../../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)
const film = await renderClip(folder.path('film.mp4'), { seconds: 2, size: '80x48' })
const frameBytes = 80 * 48 * 3
const videoBytes = 60 * frameBytes

const job = async (path: string, start: number) => ({
  path,
  index: await readFrameIndex(path),
  request: {
    times: { frames: 8, stride: 4, start },
    shortSide: 48,
    crop: { size: 48, position: 'centre' },
  } as const,
})

describe('videos kept decoded', () => {
  it('may be longer than what is decoded as one piece', async () => {
    const jobs = await Promise.all([0, 0.5, 0.9].map((start) => job(film, start)))
    const whole = await createDecodedVideos(48, videoBytes, 1).cut(jobs, {})
    const inParts = await createDecodedVideos(48, videoBytes, 1, 7.5 * frameBytes).cut(jobs, {})
    expect(inParts).toEqual(whole)
    expect(inParts[1]).toMatchObject({ frames: 8, height: 48, width: 48 })
  })

  it('hold the frames that their numbers tell', async () => {
    const square = await renderClip(folder.path('square.mp4'), { seconds: 2, size: '48x48' })
    const videos = createDecodedVideos(48, videoBytes, 1, 5 * 48 * 48 * 3)
    const [clip] = await videos.cut([await job(square, 0.5)], {})
    if (!clip || clip instanceof Error) throw clip
    expect(frameNumbers({ ...clip, data: clip.data as Uint8Array })).toEqual(
      // Evenly from the first to the last of 8 × 4 frames.
      Array.from({ length: 8 }, (_, i) => 15 + Math.floor((31 * i) / 7)),
    )
  })

  it('are refused before they are decoded where they take more than there is room for', async () => {
    const videos = createDecodedVideos(48, videoBytes - 1, 4)
    await expect(videos.cut([await job(film, 0)], {})).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(/^cache_gib: .* are full after 0 of 4 videos; all would take about/),
    })
  })
})
