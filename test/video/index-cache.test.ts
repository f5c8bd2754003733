import { copyFile, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { mediaFile } from '../../src/files/media-file.ts'
import { readFrameIndex, readIndexWithFfmpeg } from '../../src/video/frame-index.ts'
import { cachedFrameIndex } from '../../src/video/index-cache.ts'
import { readMatroskaIndex } from '../../src/video/matroska-index.ts'
import { readMp4Index } from '../../src/video/mp4-index.ts'
import { ffmpeg, type Rendering, renderClip, testFolder } from '../support/render.ts'
import { sharedPath } from '../support/shared.ts'

const folder = await testFolder()
afterAll(folder.remove)
const x264 = (...more: string[]) => [
  '-c:v',
  'libx264',
  '-preset',
  'ultrafast',
  '-pix_fmt',
  'yuv420p',
  ...more,
]

describe('the index of a plain MP4, from its tables', () => {
  const cases: readonly (readonly [string, Rendering])[] = [
    ['B-frames.mp4', { output: x264('-bf', '3', '-g', '12') }],
    ['29.97.mp4', { fps: '30000/1001', output: x264('-bf', '2') }],
    [
      'uneven.mp4',
      {
        filters: "setpts='(N+floor(N/2)+2*floor(N/6))/30/TB'",
        output: x264('-video_track_timescale', '90000'),
      },
    ],
    ['sound, table first.mov', { audio: true, output: x264('-movflags', '+faststart') }],
    [
      'hevc.mp4',
      {
        output: [
          '-c:v',
          'libx265',
          '-preset',
          'ultrafast',
          '-x265-params',
          'log-level=error:bframes=3:keyint=10',
        ],
      },
    ],
  ]
  it.each(cases)('is what ffprobe says: %s', async (name, rendering) => {
    const path = await renderClip(folder.path(name), { seconds: 1, ...rendering })
    await expectSame(path)
  })

  const clips = ['arm_wrestling', 'hevc_10bit', 'slow_motion_vfr', 'short_clip_32frames', 'people_426x240']
  it.runIf(sharedPath('clips'))('is what ffprobe says of real files', async () => {
    for (const name of clips) await expectSame(sharedPath(`clips/${name}.mp4`)!)
  })

  it('is left to ffprobe where there is an edit, a fragment, a cover or another container', async () => {
    const whole = await renderClip(folder.path('whole.mp4'), {
      seconds: 2,
      output: x264('-bf', '2', '-g', '40'),
    })
    const make = async (name: string, ...args: string[]) => {
      await ffmpeg('-i', whole, ...args, folder.path(name))
      return folder.path(name)
    }
    await ffmpeg('-ss', '0.7', '-i', whole, '-c', 'copy', folder.path('cut.mp4'))
    const others = [
      folder.path('cut.mp4'),
      await make('fragments.mp4', '-c', 'copy', '-movflags', 'frag_keyframe+empty_moov'),
      await make('other.mkv', '-c', 'copy'),
      await make('mpeg4.mp4', '-c:v', 'mpeg4'),
    ]
    for (const path of others) expect(await readMp4Index(await mediaFile(path))).toBeUndefined()
  })

  it('never fails on damage: it is told apart, or what is read stays in bounds', async () => {
    const bytes = await readFile(
      await renderClip(folder.path('victim.mp4'), { output: x264('-movflags', '+faststart') }),
    )
    const path = folder.path('damaged.mp4')
    const moov = bytes.indexOf('moov')
    for (let k = 0; k < 300; k++) {
      const copy = Buffer.from(bytes)
      const place = moov + ((k * 7919) % 1200)
      if (place < copy.length) copy[place] = (k * 31) % 256
      await writeFile(path, k % 10 === 0 ? copy.subarray(0, place) : copy)
      const read = await readMp4Index(await mediaFile(path))
      if (read) expect(read.index.pts.length).toBeLessThanOrEqual(31)
    }
  })

  async function expectSame(path: string): Promise<void> {
    const file = await mediaFile(path)
    const ours = (await readMp4Index(file))!.index
    const theirs = await readIndexWithFfmpeg(file)
    expect(ours.pts).toEqual(theirs.pts)
    expect(ours.times).toEqual(theirs.times)
    expect(ours.keyframes).toEqual(theirs.keyframes)
    expect(ours.timeBase).toEqual(theirs.timeBase)
    expect(ours.duration).toBeCloseTo(theirs.duration, 6)
    const { duration, ...facts } = theirs.info
    expect(ours.info).toMatchObject(facts)
    expect(ours.info.duration).toBeCloseTo(duration!, 4)
  }
})

describe('the index of a plain WebM or Matroska file, from its blocks', () => {
  const vp9 = ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-g', '10']
  const cases: readonly (readonly [string, Rendering])[] = [
    ['vp9.webm', { output: vp9 }],
    ['sound.webm', { output: vp9, audio: true }],
    [
      'B-frames, uneven.mkv',
      { filters: "setpts='(N+floor(N/2))/30/TB'", output: x264('-bf', '3', '-g', '12') },
    ],
    ['late.mkv', { fps: '30000/1001', output: x264('-output_ts_offset', '5') }],
  ]
  it.each(cases)('is what ffprobe says: %s', async (name, rendering) => {
    const path = await renderClip(folder.path(name), { seconds: 1, ...rendering })
    await expectAlike(path)
  })

  it.runIf(sharedPath('clips'))('is what ffprobe says of real files', async () => {
    for (const name of ['odd_161x121.webm', 'vp9_bear.webm', 'av1_640x360.mkv', 'flipping_pancake.mkv']) {
      await expectAlike(sharedPath(`clips/${name}`)!)
    }
  })

  it('is left to ffprobe for VP8, whose frames may be hidden, and for what is cut off or damaged', async () => {
    const hidden = await renderClip(folder.path('vp8.webm'), { output: ['-c:v', 'libvpx', '-cpu-used', '8'] })
    expect(await readMatroskaIndex(await mediaFile(hidden))).toBeUndefined()
    const bytes = await readFile(await renderClip(folder.path('victim.webm'), { output: vp9 }))
    const path = folder.path('damaged.webm')
    for (let k = 0; k < 300; k++) {
      const copy = Buffer.from(bytes)
      copy[(k * 37) % 900] = (k * 31) % 256
      await writeFile(path, k % 10 === 0 ? copy.subarray(0, (k * 7919) % copy.length || 1) : copy)
      const read = await readMatroskaIndex(await mediaFile(path))
      if (read) expect(read.pts.length).toBeLessThanOrEqual(30)
      if (k % 10 === 0) expect(read).toBeUndefined()
    }
  })

  async function expectAlike(path: string): Promise<void> {
    const file = await mediaFile(path)
    const ours = (await readMatroskaIndex(file))!
    const theirs = await readIndexWithFfmpeg(file)
    // FFmpeg calls the shape of pixels unknown where the file does not say that they are square.
    const { frameRate, sampleAspectRatio = '1:1', ...facts } = theirs.info
    expect(ours.info.sampleAspectRatio).toBe(sampleAspectRatio)
    expect(ours).toMatchObject({ ...theirs, info: facts })
    expect(ours.info.frameRate).toBeCloseTo(frameRate!, 6)
  }
})

describe('the cache of frame indexes', () => {
  const cache = folder.path('cache')
  const entries = async () =>
    (await readdir(cache, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))

  it('gives back what was read, for every kind of file', async () => {
    const paths = [
      await renderClip(folder.path('ünï code.ts'), { seconds: 1, filters: "setpts='(N+floor(N/3))/30/TB'" }),
      await renderClip(folder.path('a.avi'), { seconds: 1, output: ['-c:v', 'mpeg4', '-bf', '2'] }),
    ]
    for (const path of paths) {
      const read = await readFrameIndex(path)
      expect(await cachedFrameIndex(path, { cache })).toEqual(read)
      expect(await cachedFrameIndex(path, { cache })).toEqual(read)
    }
    expect(await entries()).toHaveLength(2)
  })

  it('is taken from disk, is ignored where damaged, and is written anew when the file changes', async () => {
    const path = await renderClip(folder.path('b.ts'), { seconds: 1 })
    const own = folder.path('own cache')
    const first = await cachedFrameIndex(path, { cache: own })
    const [entry] = (await readdir(own, { recursive: true, withFileTypes: true })).filter((each) =>
      each.isFile(),
    )
    const place = join(entry!.parentPath, entry!.name)
    const kept = await readFile(place, 'utf8')

    // Proof that it is read: what is kept of another video, under this one's name, state and all.
    const changed = kept
      .slice(kept.indexOf('\n') + 1)
      .replace(/"duration":[\d.]+,"pts"/, '"duration":7,"pts"')
    const { createHash } = await import('node:crypto')
    const sum = createHash('sha256').update(changed).digest('hex').slice(0, 16)
    await writeFile(place, `mn-video frame index 2 ${sum}\n${changed}`)
    expect((await cachedFrameIndex(path, { cache: own })).duration).toBeGreaterThan(6)

    for (const damaged of ['', 'x', kept.slice(0, 100), kept.replace('"pts":[', '"pts":[1')]) {
      await writeFile(place, damaged)
      expect(await cachedFrameIndex(path, { cache: own })).toEqual(first)
      expect(await readFile(place, 'utf8')).toBe(kept)
    }
    await copyFile(await renderClip(folder.path('longer.ts'), { seconds: 2 }), path)
    await utimes(path, 1, 1)
    expect((await cachedFrameIndex(path, { cache: own })).pts).toHaveLength(60)
  })

  it('is no error where it cannot be written', async () => {
    const path = folder.path('b.ts')
    await writeFile(folder.path('a file'), '')
    expect((await cachedFrameIndex(path, { cache: folder.path('a file') })).pts).toHaveLength(60)
  })
})
