import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeClip } from '../../src/video/decode.ts'
import { decodeClips } from '../../src/video/decode-many.ts'
import { decodeViews } from '../../src/video/decode-views.ts'
import { readFrameIndex } from '../../src/video/frame-index.ts'
import { frameNumbers, renderClip, testFolder } from '../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)
const [fps, size] = [100, '40x16']
let long: string

beforeAll(async () => {
  const output = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '100']
  long = await renderClip(folder.path('long.mp4'), { seconds: 82, fps, size, output })
})

/** Every other frame, so that no two of them are neighbours; frames show their number modulo 1024. */
const everyOther = (count: number, first = 0) => Array.from({ length: count }, (_, i) => first + 2 * i)
const shown = (frames: readonly number[]) => frames.map((frame) => frame % 1024)
const timesOf = (frames: readonly number[]) => frames.map((frame) => frame / fps)

describe('frames scattered over a video', () => {
  for (const count of [1, 2, 8, 9, 99, 100, 101, 4000, 4001]) {
    it(`are all found: ${count}`, async () => {
      const frames = everyOther(count, 60)
      const clip = await decodeClip(long, { times: timesOf(frames) })
      expect(frameNumbers(clip)).toEqual(shown(frames))
    })
  }

  it('are found in runs and alone', async () => {
    const frames = Array.from({ length: 3000 }, (_, i) => i).filter((i) => i % 7 < 3 || i % 11 === 0)
    expect(frameNumbers(await decodeClip(long, { times: timesOf(frames) }))).toEqual(shown(frames))
  })

  it('are found for as many clips at once as there are', async () => {
    const index = await readFrameIndex(long)
    const each = Array.from({ length: 8 }, (_, i) => everyOther(900, 300 * i))
    const jobs = each.map((frames) => ({ path: long, index, request: { times: timesOf(frames) } }))
    const clips = await decodeClips(jobs)
    expect(clips.map((clip) => (clip instanceof Error ? clip.message : frameNumbers(clip)))).toEqual(
      each.map(shown),
    )
  })
})

describe('the views of multi-view testing', () => {
  it('are all there where they overlap: ten clips of 32 frames in ten seconds', async () => {
    const film = await renderClip(folder.path('film.mp4'), { seconds: 10, size: '60x32' })
    const views = await decodeViews(film, {
      ...{ frames: 32, stride: 2, rate: 30, size: 32 },
      views: { temporal: 10, spatial: 3 },
    })
    expect(views).toHaveLength(30)
    const middle = views[3 * 5 + 1]!
    const start = (5 * (300 - 64)) / 9
    expect(middle.times.map((time) => Math.round(time * 30))).toEqual(
      Array.from({ length: 32 }, (_, i) => Math.floor(start + (63 * i) / 31 + 1e-6)),
    )
  })
})
