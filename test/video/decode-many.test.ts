import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { afterAll, describe, expect, it } from 'vitest'
import type { MnVideoError } from '../../src/errors.ts'
import type { Clip } from '../../src/frames/batch.ts'
import { type ClipRequest, decodeClip } from '../../src/video/decode.ts'
import { type ClipJob, decodeClips } from '../../src/video/decode-many.ts'
import { readFrameIndex } from '../../src/video/frame-index.ts'
import { renderClip, testFolder } from '../support/render.ts'
import { sharedPath } from '../support/shared.ts'

const folder = await testFolder()
afterAll(folder.remove)
const film = await renderClip(folder.path("it's 50%: a [film], 1;2.mp4"), { seconds: 2 })

const requests: readonly ClipRequest[] = [
  {
    times: { frames: 4, stride: 5 },
    shortSide: 40,
    crop: { size: 32, position: { x: 0.2, y: 0.9 } },
    flip: true,
  },
  { times: [1.5, 0, 0.7, 0.7] },
  { times: { frames: 3, stride: 2, start: 1 }, shortSide: 50 },
]
const jobsOf = (paths: readonly string[]): Promise<ClipJob[]> =>
  Promise.all(
    paths.map(async (path, i) => ({
      path,
      request: requests[i % requests.length]!,
      index: await readFrameIndex(path),
    })),
  )
const oneByOne = (jobs: readonly ClipJob[]) =>
  Promise.all(jobs.map(({ path, request, index }) => decodeClip(path, request, { index })))

/** Compares pixels as buffers: value by value takes long. */
function expectSame(clips: readonly (Clip | MnVideoError)[], expected: readonly Clip[]): void {
  expect(clips.map(summary)).toEqual(expected.map(summary))
}
const summary = (clip: Clip | MnVideoError) =>
  'data' in clip ? { ...clip, data: createHash('sha1').update(clip.data).digest('hex') } : clip

describe('clips decoded together', () => {
  it('are the clips decoded one by one', async () => {
    const jobs = await jobsOf([
      film,
      film,
      film,
      await renderClip(folder.path('b.webm'), {
        output: ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8'],
      }),
    ])
    expectSame(await decodeClips(jobs), await oneByOne(jobs))
  })

  const shared = [
    'people_426x240.mp4',
    'rotation_90.mov',
    'slow_motion_vfr.mp4',
    'avi_dropped_frames.avi',
    'mpegts_h264.ts',
    'flipping_pancake.mkv',
  ].map((name) => sharedPath(`clips/${name}`))
  it.skipIf(shared.includes(undefined))('are so for real files', async () => {
    const jobs = await jobsOf(shared as string[])
    expectSame(await decodeClips(jobs), await oneByOne(jobs))
  })

  it('fail one by one', async () => {
    const gone = folder.path('gone.mp4')
    const broken = folder.path('broken.mp4')
    await writeFile(broken, 'no video')
    const [good] = await jobsOf([film])
    const results = await decodeClips([{ ...good!, path: gone }, good!, { ...good!, path: broken }, good!])
    expect(results[0]).toMatchObject({
      code: 'media',
      message: expect.stringContaining('gone.mp4: no such file'),
    })
    expect(results[2]).toMatchObject({ code: 'media', message: expect.stringContaining('broken.mp4') })
    const [expected] = await oneByOne([good!])
    expectSame([results[1]!, results[3]!], [expected!, expected!])
  })

  it('are given up at once by a signal', async () => {
    const control = new AbortController()
    const decoding = decodeClips(await jobsOf([film, film]), { signal: control.signal })
    control.abort(new Error('stopped'))
    await expect(decoding).rejects.toThrow('stopped')
  })
})
