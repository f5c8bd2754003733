import { symlink } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { examine, judge } from '../../src/data/curation/check.ts'
import { findBinaries } from '../../src/video/binaries.ts'
import { decodeClip } from '../../src/video/decode.ts'
import { probeVideo } from '../../src/video/probe.ts'
import { ffmpeg, frameNumbers, renderClip, testFolder } from '../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)
afterEach(() => vi.unstubAllEnvs())

const film = await renderClip(folder.path('film.mp4'), { seconds: 2, fps: '30000/1001', audio: true })
const turned = folder.path('turned.mp4')
// The option of FFmpeg from 6.0 on, and what versions before took for it.
await ffmpeg('-display_rotation', '90', '-i', film, '-an', '-c', 'copy', turned).catch(() =>
  ffmpeg('-i', film, '-an', '-c', 'copy', '-metadata:s:v', 'rotate=90', turned),
)

describe('probing', () => {
  it('tells streams, codec, size, rate, duration and frame count', async () => {
    expect(await probeVideo(film)).toMatchObject({
      container: 'mov,mp4,m4a,3gp,3g2,mj2',
      streams: [
        { index: 0, type: 'video', codec: 'h264' },
        { index: 1, type: 'audio', codec: 'aac' },
      ],
      streamIndex: 0,
      codec: 'h264',
      width: 160,
      height: 96,
      rotation: 0,
      frameRate: 30000 / 1001,
      startTime: 0,
      duration: 2.002,
      frameCount: 60,
      sampleAspectRatio: '1:1',
    })
  })

  it('tells the size as displayed when frames are stored turned', async () => {
    const info = await probeVideo(turned)
    expect(info).toMatchObject({ width: 96, height: 160, codedWidth: 160, codedHeight: 96 })
    expect([90, 270]).toContain(info.rotation)
    expect(await decodeClip(turned, { times: [0] })).toMatchObject({ width: 96, height: 160 })
  })

  it('leaves out what the container does not state', async () => {
    const path = await renderClip(folder.path('stream.mkv'), {
      seconds: 0.5,
      output: ['-c:v', 'libx264', '-live', '1', '-f', 'matroska'],
    })
    const info = await probeVideo(path)
    expect(info.frameCount).toBeUndefined()
    expect(info.duration).toBeUndefined()
    const clip = await decodeClip(path, { times: { frames: 2, stride: 3 } })
    expect(frameNumbers(clip)).toEqual([4, 9])
  })

  it('reads the first of several video streams', async () => {
    const other = await renderClip(folder.path('other.mp4'), { size: '320x192', seconds: 3 })
    const both = folder.path('both.mkv')
    await ffmpeg('-i', film, '-i', other, '-map', '0:a', '-map', '0:v', '-map', '1:v', '-c', 'copy', both)
    expect(await probeVideo(both)).toMatchObject({ streamIndex: 1, width: 160, height: 96 })
    const clip = await decodeClip(both, { times: [1.002] })
    expect(clip).toMatchObject({ width: 160, height: 96 })
    expect(frameNumbers(clip)).toEqual([30])
  })
})

describe('an MPEG-TS', () => {
  const streamsOf = async (path: string) => (await probeVideo(path)).streams.map(({ type }) => type)
  const one = folder.path('one.ts')
  const two = folder.path('two.ts')
  beforeAll(async () => {
    await ffmpeg('-i', film, '-c', 'copy', one)
    // Two programs that share the sound; the first one has the second picture.
    const programs = ['-program', 'st=1:st=2', '-program', 'st=0:st=2']
    const maps = ['-map', '0:v', '-map', '0:v', '-map', '0:a']
    await ffmpeg('-i', film, ...maps, '-c', 'copy', ...programs, two)
  })

  it('has each of its streams once, however many programs it stands in', async () => {
    expect(await streamsOf(one)).toEqual(['video', 'audio'])
    const { streams } = await probeVideo(two)
    expect(streams.map(({ index }) => index)).toEqual([0, 1, 2])
    expect(streams.filter(({ type }) => type === 'video')).toHaveLength(2)
  })

  it('has them once for ffmpeg alone too', async () => {
    const expected = await Promise.all([one, two].map(streamsOf))
    await symlink((await findBinaries()).ffmpeg, folder.path('ffmpeg-alone'))
    vi.stubEnv('MN_VIDEO_FFMPEG', folder.path('ffmpeg-alone'))
    vi.stubEnv('PATH', folder.path(''))
    expect(await Promise.all([one, two].map(streamsOf))).toEqual(expected)
  })

  it('is not odd', async () => {
    const [examined] = (await examine([one], { jobs: 1, cache: folder.path('cache') })).values()
    expect(judge(examined!, { minSeconds: 0.5 })).toMatchObject({ verdict: 'ok' })
  })
})

describe('without ffprobe', () => {
  it('ffmpeg alone describes and decodes', async () => {
    await symlink((await findBinaries()).ffmpeg, folder.path('ffmpeg'))
    const withFfprobe = await Promise.all([probeVideo(film), probeVideo(turned)])
    vi.stubEnv('MN_VIDEO_FFMPEG', folder.path('ffmpeg'))
    vi.stubEnv('PATH', folder.path(''))
    expect(await findBinaries()).toMatchObject({ foundBy: 'MN_VIDEO_FFMPEG', ffprobe: undefined })
    const alone = await Promise.all([probeVideo(film), probeVideo(turned)])
    const coarse = { frameCount: undefined, duration: 2, frameRate: 29.97 }
    expect(alone).toEqual(withFfprobe.map((info) => ({ ...info, ...coarse })))
    expect(frameNumbers(await decodeClip(film, { times: [0, 1, 2] }))).toEqual([0, 29, 59])
    await expect(probeVideo(folder.path('none.mp4'))).rejects.toThrow('none.mp4: no such file.')
  })
})
