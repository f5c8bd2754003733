import { execFile } from 'node:child_process'
import { copyFile, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { placesFor, resizeVideos } from '../../../src/data/curation/resize-videos.ts'
import { findBinaries } from '../../../src/video/binaries.ts'
import { decodeClip } from '../../../src/video/decode.ts'
import { readFrameIndex } from '../../../src/video/frame-index.ts'
import { probeVideo } from '../../../src/video/probe.ts'
import { shrunkSize } from '../../../src/video/shrink.ts'
import { frameNumbers, renderClip, testFolder } from '../../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)
const options = { shortSide: 96, keyframes: 8, quality: 20, jobs: 2, cache: 'off', root: folder.path('in') }

describe('resizing videos', () => {
  it('keeps every frame at its time, drops sound, and puts keyframes close together', async () => {
    await mkdir(folder.path('in/sub folder'), { recursive: true })
    const sources = await Promise.all([
      renderClip(folder.path('in/sub folder/ünï.mkv'), {
        size: '320x192',
        seconds: 1,
        audio: true,
        filters: "setpts='(N+floor(N/2)+9)/30/TB'",
      }),
      renderClip(folder.path('in/29.97.mp4'), { size: '320x192', fps: '30000/1001', seconds: 1 }),
      renderClip(folder.path('in/old.avi'), {
        size: '320x192',
        fps: 25,
        seconds: 1,
        output: ['-c:v', 'mpeg4', '-bf', '2'],
      }),
      renderClip(folder.path('in/small.webm'), {
        size: '100x60',
        seconds: 1,
        output: ['-c:v', 'libvpx', '-cpu-used', '8'],
      }),
    ])
    const { targets, results, failures } = await resizeVideos(sources, folder.path('out'), options)
    expect(failures).toEqual([])
    expect(results).toHaveLength(4)
    for (const source of sources) {
      const target = targets.get(source)!
      const [before, after] = [await readFrameIndex(source), await readFrameIndex(target)]
      expect(after.times).toHaveLength(before.times.length)
      expect(Math.max(...after.times.map((time, i) => Math.abs(time - before.times[i]!)))).toBeLessThan(
        0.0005,
      )
      const clip = await decodeClip(target, { times: [...before.times] }, { index: after })
      expect(frameNumbers(clip)).toEqual([...before.times.keys()])
      const gaps = after.keyframes.map((frame, i) => frame - (after.keyframes[i - 1] ?? 0))
      expect(Math.max(...gaps)).toBeLessThanOrEqual(8)
      const { streams, width, height } = await probeVideo(target)
      expect(streams.map(({ type }) => type)).toEqual(['video'])
      expect([width, height]).toEqual(source.includes('small') ? [100, 60] : [160, 96])
    }
    expect(targets.get(sources[0]!)).toBe(folder.path('out/sub folder/ünï.mp4'))
  })

  it('goes on where it was, and leaves no half-written file', async () => {
    const sources = [folder.path('in/29.97.mp4'), folder.path('in/old.avi')]
    const made = await stat(folder.path('out/29.97.mp4'))
    const { results } = await resizeVideos(sources, folder.path('out'), options)
    expect(results.map(({ isNew }) => isNew)).toEqual([false, false])
    expect((await stat(folder.path('out/29.97.mp4'))).mtimeMs).toBe(made.mtimeMs)
    expect((await readdir(folder.path('out'))).filter((name) => name.includes('tmp'))).toEqual([])
  })

  it('never writes over a source or any other file that is there', async () => {
    const source = folder.path('in/29.97.mp4')
    const bytes = await readFile(source)
    const inPlace = await resizeVideos([source], folder.path('in'), options)
    expect(inPlace.failures[0]).toMatch(/29\.97\.mp4: is there already and is the source itself/)
    expect(await readFile(source)).toEqual(bytes)

    const refusal = async (name: string) => {
      await mkdir(folder.path(name), { recursive: true })
      return (await resizeVideos([source], folder.path(name), options)).failures[0]
    }
    await mkdir(folder.path('other'))
    await writeFile(folder.path('other/29.97.mp4'), 'notes')
    expect(await refusal('other')).toMatch(/is no video made of/)
    expect(await readFile(folder.path('other/29.97.mp4'), 'utf8')).toBe('notes')
    await mkdir(folder.path('large'))
    await copyFile(source, folder.path('large/29.97.mp4'))
    expect(await refusal('large')).toMatch(/is 320x192, not 160x96/)
    await mkdir(folder.path('stale'))
    await copyFile(folder.path('out/29.97.mp4'), folder.path('stale/29.97.mp4'))
    await utimes(folder.path('stale/29.97.mp4'), 1, 1)
    // A source that was only copied again is the same; another one of that name is not.
    await utimes(folder.path('stale/29.97.mp4'), 1, 1)
    expect(await refusal('stale')).toBeUndefined()
    const swapped = folder.path('swapped/29.97.mp4')
    await mkdir(folder.path('swapped'))
    await renderClip(swapped, { size: '320x192', fps: '30000/1001', seconds: 1, filters: 'negate' })
    const of = (quality: number) =>
      resizeVideos([swapped], folder.path('out'), { ...options, quality, root: folder.path('swapped') })
    expect((await of(20)).failures[0]).toMatch(
      /29\.97\.mp4: is there already and was made of another file than/,
    )
    const finer = await resizeVideos([source], folder.path('out'), { ...options, quality: 18 })
    expect(finer.failures[0]).toMatch(
      /was made with keyframes 8, quality 20, not keyframes 8, quality 18, of/,
    )
    // As earlier versions wrote it, without a comment.
    const { ffmpeg } = await findBinaries()
    await mkdir(folder.path('early'))
    const early = folder.path('early/29.97.mp4')
    const strip = ['-v', 'error', '-i', folder.path('out/29.97.mp4'), '-c', 'copy', '-map_metadata', '-1']
    await promisify(execFile)(ffmpeg, [...strip, '-movflags', '+faststart', early])
    expect(await refusal('early')).toBeUndefined()
    await utimes(early, 1, 1)
    expect(await refusal('early')).toMatch(/is older than/)
  })

  it('tells of a video that cannot be read and writes the others', async () => {
    await writeFile(folder.path('in/text.mp4'), 'no video')
    const sources = [folder.path('in/text.mp4'), folder.path('in/old.avi')]
    const { targets, failures } = await resizeVideos(sources, folder.path('out'), options)
    expect([...targets.keys()]).toEqual([sources[1]])
    expect(failures).toEqual([expect.stringMatching(/text\.mp4: FFmpeg finds no video in it/)])
  })
})

describe('where results go', () => {
  it('two videos that differ in their extensions alone do not meet', () => {
    const paths = ['/d/a/x.avi', '/d/a/x.webm', '/d/b/x.y.mp4', '/elsewhere/z.mp4']
    expect([...placesFor(paths, '/out', '/d').values()]).toEqual([
      '/out/a/x.avi.mp4',
      '/out/a/x.webm.mp4',
      '/out/b/x.y.mp4',
      '/out/elsewhere/z.mp4',
    ])
  })

  it('three whose names come to the same one do not meet either, nor do those that a disk may take for one', () => {
    const paths = ['/d/b.avi', '/d/b.webm', '/d/b.avi.avi', '/d/x/y.mp4', '/x/y.mp4', '/d/C.mp4', '/d/c.mp4']
    const places = [...placesFor(paths, '/out', '/d').values()]
    expect(new Set(places.map((place) => place.toLowerCase())).size).toBe(paths.length)
    expect(places.slice(0, 2)).toEqual([
      expect.stringMatching(/^\/out\/b\.avi(?:~\w{12})?\.mp4$/),
      '/out/b.webm.mp4',
    ])
    // The same ones however they are ordered: what was written before is found again.
    const again = placesFor(paths.toReversed(), '/out', '/d')
    expect(paths.map((path) => again.get(path))).toEqual(places)
  })

  it('sizes are even, never larger, and keep the aspect', () => {
    expect(shrunkSize({ width: 1920, height: 1080 }, 256)).toEqual({ width: 456, height: 256 })
    expect(shrunkSize({ width: 161, height: 121 }, 256)).toEqual({ width: 162, height: 122 })
    expect(shrunkSize({ width: 720, height: 1280 }, 340)).toEqual({ width: 340, height: 604 })
  })
})
