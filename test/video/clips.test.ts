import { readFile, writeFile } from 'node:fs/promises'
import { afterAll, describe, expect, it } from 'vitest'
import type { Clip } from '../../src/frames/batch.ts'
import { cropRectangle, scaledSize } from '../../src/frames/geometry.ts'
import { type ClipRequest, decodeClip } from '../../src/video/decode.ts'
import { decodeViews } from '../../src/video/decode-views.ts'
import { readFrameIndex } from '../../src/video/frame-index.ts'
import { clipTimes, viewStarts } from '../../src/video/sampling.ts'
import { frameNumbers, renderClip, testFolder } from '../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)
const film = await renderClip(folder.path('film.mp4'), { seconds: 2 })

describe('geometry', () => {
  it('scales the short side and rounds the long one down', () => {
    expect(scaledSize({ width: 340, height: 256 }, 224)).toEqual({ width: 297, height: 224 })
    expect(scaledSize({ width: 256, height: 340 }, 224)).toEqual({ width: 224, height: 297 })
    expect(scaledSize({ width: 426, height: 240 }, 240)).toEqual({ width: 426, height: 240 })
    expect(scaledSize({ width: 7, height: 7 }, 3)).toEqual({ width: 3, height: 3 })
  })

  it('places crops at both ends and the middle of the long side', () => {
    const place = (width: number, height: number) =>
      (['start', 'centre', 'end'] as const).map((position) => {
        const { left, top } = cropRectangle({ width, height }, { size: 100, position })
        return [left, top]
      })
    expect(place(201, 101)).toEqual([
      [0, 1],
      [51, 1],
      [101, 1],
    ])
    expect(place(100, 180)).toEqual([
      [0, 0],
      [0, 40],
      [0, 80],
    ])
  })

  it('places crops at shares of the free room', () => {
    const picture = { width: 110, height: 120 }
    expect(cropRectangle(picture, { size: 100, position: { x: 0.3, y: 1 } })).toMatchObject({
      left: 3,
      top: 20,
    })
  })
})

describe.concurrent('a clip', () => {
  it('is centred in time unless it has a start', async () => {
    const centred = await decodeClip(film, { times: { frames: 4, stride: 3 } })
    expect(frameNumbers(centred)).toEqual([24, 27, 31, 35])
    const started = await decodeClip(film, { times: { frames: 4, stride: 3, start: 0.5 } })
    expect(frameNumbers(started)).toEqual([15, 18, 22, 26])
    const slower = await decodeClip(film, { times: { frames: 4, stride: 3, rate: 15, start: 0.5 } })
    expect(frameNumbers(slower)).toEqual([15, 22, 30, 38])
  })

  it('holds its pixels as [T, H, W, 3]', async () => {
    const clip = await decodeClip(film, { times: [1, 0, 0], shortSide: 33 })
    expect(clip).toMatchObject({ frames: 3, height: 33, width: 55 })
    expect(clip.data.length).toBe(3 * 33 * 55 * 3)
    expect(frameNumbers(clip)).toEqual([30, 0, 0])
    expect(clip.times).toEqual([1, 0, 0])
  })

  it('is cropped to the pixel', async () => {
    const whole = await decodeClip(film, { times: [0.5], shortSide: 60 })
    for (const position of ['end', { x: 0.37, y: 0.8 }] as const) {
      const crop = { size: 41, position }
      const cropped = await decodeClip(film, { times: [0.5], shortSide: 60, crop })
      const { left, top } = cropRectangle(whole, crop)
      expect(cropped).toMatchObject({ height: 41, width: 41 })
      expect(row(cropped, 7, 0, 41)).toEqual(row(whole, top + 7, left, 41))
    }
  })

  it('is mirrored on request', async () => {
    const plain = await decodeClip(film, { times: [0.5], crop: { size: 96, position: 'start' } })
    const mirrored = await decodeClip(film, {
      times: [0.5],
      crop: { size: 96, position: 'start' },
      flip: true,
    })
    expect(row(mirrored, 3, 0, 96)).toEqual(row(plain, 3, 0, 96).reverse())
  })

  it.each([
    ['one frame', { seconds: 1 / 30 }, [0, 0, 0, 0]],
    ['three frames', { seconds: 0.1 }, [0, 1, 2, 2]],
  ])('of a video of %s repeats the last frame', async (title, rendering, numbers) => {
    const path = await renderClip(folder.path(`${title}.mp4`), rendering)
    expect(frameNumbers(await decodeClip(path, { times: { frames: 4, stride: 1 } }))).toEqual(numbers)
  })

  it('of odd width and height keeps every pixel', async () => {
    const output = ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8']
    const path = await renderClip(folder.path('odd.webm'), { seconds: 0.2, size: '161x121', output })
    const clip = await decodeClip(path, { times: [0, 0.1] })
    expect(clip).toMatchObject({ width: 161, height: 121 })
    expect(frameNumbers(clip)).toEqual([0, 3])
    expect(await decodeClip(path, { times: [0], shortSide: 37 })).toMatchObject({ width: 49, height: 37 })
  })

  it('keeps one size where the video changes its own', async () => {
    const small = await renderClip(folder.path('small.h264'), { size: '80x48', seconds: 0.5, fps: 25 })
    const large = await renderClip(folder.path('large.h264'), { size: '160x96', seconds: 0.5, fps: 25 })
    const both = folder.path('both.h264')
    await writeFile(both, Buffer.concat([await readFile(small), await readFile(large)]))
    const clip = await decodeClip(both, { times: [0, 0.2, 0.7, 0.9], shortSide: 48 })
    expect(clip).toMatchObject({ frames: 4, width: 80, height: 48 })
    const numbers = frameNumbers(clip)
    expect(numbers.slice(0, 2)).toEqual([0, 5])
    expect(numbers.every((number) => number < 13)).toBe(true)
  })

  it('is the same with and without an index made before', async () => {
    const index = await readFrameIndex(film)
    const request: ClipRequest = {
      times: { frames: 8, stride: 4 },
      shortSide: 40,
      crop: { size: 40, position: 'end' },
    }
    expect(await decodeClip(film, request, { index })).toEqual(await decodeClip(film, request))
  })
})

describe.concurrent('views', () => {
  it('are the clips and crops that they stand for', async () => {
    const span = { frames: 4, stride: 5 }
    const views = await decodeViews(film, {
      ...span,
      size: 32,
      shortSide: 40,
      views: { temporal: 3, spatial: 3 },
    })
    const index = await readFrameIndex(film)
    const expected: Clip[] = []
    for (const start of viewStarts(index.duration, span, 3)) {
      for (const position of ['start', 'centre', 'end'] as const) {
        const times = clipTimes(span, start)
        expected.push(
          await decodeClip(film, { times, shortSide: 40, crop: { size: 32, position } }, { index }),
        )
      }
    }
    expect(views).toEqual(expected)
    const centres = await decodeViews(film, {
      ...span,
      size: 32,
      shortSide: 40,
      views: { temporal: 3, spatial: 1 },
    })
    expect(centres).toEqual(expected.filter((_, i) => i % 3 === 1))
  })

  it('hold only the frames taken', async () => {
    const request = { frames: 8, stride: 3, size: 32, views: { temporal: 2, spatial: 1 } } as const
    const whole = await decodeViews(film, request)
    const taken = await decodeViews(film, { ...request, take: [0, 3, 7] })
    const numbers = (views: Clip[], take: number[]) => views.map(({ times }) => take.map((i) => times[i]))
    expect(numbers(taken, [0, 1, 2])).toEqual(numbers(whole, [0, 3, 7]))
    expect(taken.map(({ frames, data }) => [frames, data.length])).toEqual([
      [3, 3 * 32 * 32 * 3],
      [3, 3 * 32 * 32 * 3],
    ])
  })

  it('of a video shorter than a clip repeat frames', async () => {
    const path = await renderClip(folder.path('brief.mp4'), { seconds: 0.2 })
    const views = await decodeViews(path, {
      frames: 4,
      stride: 2,
      size: 96,
      views: { temporal: 2, spatial: 1 },
    })
    expect(views.map((view) => view.times.map((time) => Math.round(time * 30)))).toEqual([
      [0, 2, 4, 5],
      [0, 2, 4, 5],
    ])
  })
})

/** Some pixels of one row of the first frame, as [R, G, B]. */
function row({ data, width }: Clip, y: number, left: number, count: number): number[][] {
  const begin = (y * width + left) * 3
  return Array.from({ length: count }, (_, i) => [...data.subarray(begin + i * 3, begin + i * 3 + 3)])
}
