import { readFile, writeFile } from 'node:fs/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { examine, judge } from '../../src/data/curation/check.ts'
import { decodeClip } from '../../src/video/decode.ts'
import { decodeClips } from '../../src/video/decode-many.ts'
import { decodeWhole } from '../../src/video/decode-whole.ts'
import { readFrameIndex } from '../../src/video/frame-index.ts'
import { ffmpeg, renderClip, testFolder } from '../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)

/** A video without its table of keyframes: every frame then counts as one. */
async function withoutKeyframes(path: string): Promise<string> {
  const bytes = await readFile(path)
  bytes.write('free', bytes.indexOf('stss'), 'latin1')
  const stripped = path.replace('.mp4', '-flagged.mp4')
  await writeFile(stripped, bytes)
  return stripped
}

const x265 = (parameters: string) => [
  ...['-c:v', 'libx265', '-preset', 'ultrafast', '-tag:v', 'hvc1'],
  ...['-x265-params', `log-level=error:${parameters}`],
]
const codecs = {
  'H.265': x265('keyint=250:bframes=0'),
  'H.265 with B-frames and open GOPs': x265('keyint=20:bframes=3:open-gop=1'),
  'MPEG-4': ['-c:v', 'mpeg4', '-g', '200', '-bf', '0', '-q:v', '3'],
  'MPEG-4 with B-frames': ['-c:v', 'mpeg4', '-g', '200', '-bf', '2', '-q:v', '3'],
  'H.264': ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '200'],
} as const
const containers = { mp4: [], mkv: [], 'fragmented.mp4': ['-movflags', 'frag_keyframe+empty_moov'] } as const
const requests = [{ times: [1.21, 1.3, 1.5] }, { times: { frames: 4, stride: 3, start: 1 }, shortSide: 48 }]

describe.concurrent('a file whose every frame is said to be a keyframe', () => {
  for (const [codec, output] of Object.entries(codecs)) {
    it(`gives the pictures that decoding from the start gives: ${codec}`, async () => {
      const name = codec.replace(/\W/g, '')
      const good = await renderClip(folder.path(`${name}.mp4`), {
        ...{ seconds: 2, size: '96x64', output },
        filters: 'noise=alls=20:all_seed=1:allf=t',
      })
      const flagged = await withoutKeyframes(good)
      const expected = await Promise.all(requests.map((request) => decodeClip(good, request)))
      for (const [ending, options] of Object.entries(containers)) {
        const path = flagged.replace('mp4', ending)
        if (path !== flagged) await ffmpeg('-i', flagged, '-c', 'copy', ...options, path)
        const index = await readFrameIndex(path)
        // Some containers are written with flags that FFmpeg has mended.
        if (path === flagged) expect(index.keyframes.length).toBe(60)
        const together = await decodeClips(requests.map((request) => ({ path, request, index })))
        for (const [i, request] of requests.entries()) {
          const alone = await decodeClip(path, request, { index })
          const many = together[i]!
          if (many instanceof Error) throw many
          expect(Buffer.compare(alone.data, expected[i]!.data)).toBe(0)
          expect(Buffer.compare(many.data, expected[i]!.data)).toBe(0)
        }
      }
    })
  }

  it('is called odd when it is decoded to be checked, and can be used', async () => {
    const output = codecs['MPEG-4']
    const path = await withoutKeyframes(await renderClip(folder.path('checked.mp4'), { output }))
    const [examined] = (await examine([path], { decode: true, jobs: 1, cache: 'off' })).values()
    expect(judge(examined!, { minSeconds: 0.5 })).toMatchObject({
      verdict: 'odd',
      reason: expect.stringMatching(/^29 frames are marked as keyframes and are none/),
    })
  })
})

describe.concurrent('a file whose keyframes are what they are called', () => {
  for (const [name, output] of Object.entries({
    'open.mp4': ['-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-x264-params', 'open-gop=1:keyint=15:bframes=3'],
    'open-h265.mp4': x265('keyint=15:bframes=3:open-gop=1'),
    'vp9.webm': ['-c:v', 'libvpx-vp9', '-cpu-used', '8', '-deadline', 'realtime', '-g', '15'],
    'mpeg2.ts': ['-c:v', 'mpeg2video', '-bf', '2', '-q:v', '3', '-g', '15'],
    'mjpeg.mov': ['-c:v', 'mjpeg', '-q:v', '3', '-pix_fmt', 'yuvj420p'],
  })) {
    it(`has no false ones: ${name}`, async () => {
      const path = await renderClip(folder.path(name), { seconds: 2, output })
      const index = await readFrameIndex(path)
      expect(index.keyframes.length).toBeGreaterThan(3)
      expect(await decodeWhole(path, index)).toMatchObject({ frames: 60, falseKeyframes: 0 })
    })
  }
})
