import { afterAll, describe, expect, it } from 'vitest'
import { decodeClip } from '../../src/video/decode.ts'
import { decodeViews } from '../../src/video/decode-views.ts'
import { readFrameIndex } from '../../src/video/frame-index.ts'
import { TIME_TOLERANCE } from '../../src/video/sampling.ts'
import {
  ffmpeg,
  frameNumbers,
  probedTimes,
  type Rendering,
  renderClip,
  testFolder,
} from '../support/render.ts'

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
/** Frame intervals of 1, 2 and 4 thirtieths of a second, and a pause of a whole second every 25 frames. */
const unevenTimes = "setpts='(N+floor(N/2)+2*floor(N/6)+30*floor(N/25))/30/TB'"

interface Case {
  readonly title: string
  readonly name: string
  readonly rendering: Rendering
}

const cases: readonly Case[] = [
  {
    title: 'B-frames and one long GOP, mp4',
    name: 'a.mp4',
    rendering: { output: x264('-bf', '3', '-g', '250') },
  },
  {
    title: '29.97 frames a second with short GOPs, mp4',
    name: 'b.mp4',
    rendering: { fps: '30000/1001', output: x264('-bf', '2', '-g', '12') },
  },
  {
    title: 'open GOPs, mp4',
    name: 'c.mp4',
    rendering: { output: x264('-bf', '3', '-x264-params', 'open-gop=1:keyint=15:b-adapt=0') },
  },
  {
    title: 'keyframes that need the frames before them (intra refresh), mp4',
    name: 'd.mp4',
    rendering: { output: x264('-x264-params', 'intra-refresh=1:keyint=20') },
  },
  {
    title: 'variable frame rate, mp4',
    name: 'e.mp4',
    rendering: {
      filters: unevenTimes,
      output: x264('-bf', '2', '-g', '12', '-video_track_timescale', '90000'),
    },
  },
  {
    title: 'variable frame rate, mkv',
    name: 'f.mkv',
    rendering: { filters: unevenTimes, output: x264('-g', '10') },
  },
  {
    title: 'first frame after 5 s, mkv',
    name: 'g.mkv',
    rendering: { output: x264('-bf', '2', '-g', '10', '-output_ts_offset', '5') },
  },
  {
    title: 'first frame after 100 s, mpegts',
    name: 'h.ts',
    rendering: { output: x264('-bf', '2', '-g', '10', '-output_ts_offset', '100') },
  },
  { title: 'mov with sound', name: 'i.mov', rendering: { output: x264('-g', '8'), audio: true } },
  {
    title: 'H.265 with open GOPs, mp4',
    name: 'j.mp4',
    rendering: {
      output: [
        '-c:v',
        'libx265',
        '-preset',
        'ultrafast',
        '-x265-params',
        'log-level=error:keyint=15:bframes=3:open-gop=1',
      ],
    },
  },
  {
    title: 'VP9, webm',
    name: 'k.webm',
    rendering: { output: ['-c:v', 'libvpx-vp9', '-cpu-used', '8', '-deadline', 'realtime', '-g', '15'] },
  },
  {
    title: 'VP8 with hidden frames, webm',
    name: 'l.webm',
    rendering: {
      output: [
        '-c:v',
        'libvpx',
        '-cpu-used',
        '5',
        '-deadline',
        'good',
        '-b:v',
        '300k',
        '-auto-alt-ref',
        '1',
        '-lag-in-frames',
        '10',
        '-g',
        '20',
      ],
    },
  },
  {
    title: 'MPEG-4 with B-frames, avi',
    name: 'm.avi',
    rendering: { output: ['-c:v', 'mpeg4', '-bf', '2', '-q:v', '3', '-g', '12'] },
  },
  { title: 'H.264, avi', name: 'n.avi', rendering: { output: x264('-bf', '0', '-g', '12') } },
  {
    title: 'MPEG-2 program stream',
    name: 'o.mpg',
    rendering: { fps: 25, output: ['-c:v', 'mpeg2video', '-bf', '2', '-q:v', '3', '-g', '10'] },
  },
  { title: 'raw H.264', name: 'q.h264', rendering: { fps: 25, output: x264('-bf', '2', '-g', '10') } },
]

describe.concurrent('decoding by presentation time', () => {
  for (const { title, name, rendering } of cases) {
    it(`gives the frame shown at each moment: ${title}`, async () => {
      const path = await renderClip(folder.path(name), { seconds: 2, ...rendering })
      await expectExact(path)
    })
  }

  it('gives the frame shown at each moment: start cut away by an edit list, mp4', async () => {
    const whole = await renderClip(folder.path('whole.mp4'), {
      seconds: 3,
      output: x264('-bf', '2', '-g', '40'),
    })
    const path = folder.path('cut.mp4')
    await ffmpeg('-ss', '0.7', '-i', whole, '-c', 'copy', path)
    await expectExact(path, (frame) => 21 + frame)
  })

  it('gives the frame shown at each moment: frame rate changes midway', async () => {
    const slow = await renderClip(folder.path('slow.mp4'), { fps: 10, seconds: 2 })
    const fast = await renderClip(folder.path('fast.mp4'), { fps: 50, seconds: 1 })
    const path = folder.path('joined.mp4')
    await ffmpeg(
      ...[
        '-i',
        slow,
        '-i',
        fast,
        '-filter_complex',
        '[0:v][1:v]concat,settb=1/1000',
        '-fps_mode',
        'passthrough',
      ],
      ...x264('-g', '12'),
      path,
    )
    await expectExact(path, (frame) => (frame < 20 ? frame : frame - 20))
  })
})

describe('long videos', () => {
  it('are sought in, not decoded from end to end', async () => {
    const path = await renderClip(folder.path('long.mp4'), {
      seconds: 100,
      fps: 8,
      size: '80x48',
      output: x264('-g', '16'),
    })
    const views = await decodeViews(path, {
      frames: 4,
      stride: 15,
      size: 48,
      views: { temporal: 3, spatial: 1 },
    })
    expect(views.map((view) => view.times)).toEqual([
      [0, 0.625, 1.25, 1.875],
      [49, 49.625, 50.25, 50.875],
      [98, 98.625, 99.25, 99.875],
    ])
    const clip = await decodeClip(path, { times: [99.5, 0.2, 60, 60.4] })
    expect(frameNumbers(clip)).toEqual([796, 1, 480, 483])
  })
})

/**
 * Compares clips at the start, in the middle and at the end with what ffprobe's frame times say. The frames
 * are numbered from 0 in the order of their times unless told otherwise.
 */
async function expectExact(path: string, numberOf = (frame: number) => frame): Promise<void> {
  const index = await readFrameIndex(path)
  const times = await probedTimes(path, 1 / (index.info.frameRate ?? 25))
  const starts = times.map((time) => time - times[0]!)
  const end = starts.at(-1)!
  const between = (k: number) => (starts[k]! + starts[k + 1]!) / 2
  const middle = Math.floor(starts.length * 0.55)
  const last = starts.length - 1
  const clips = [
    [-1, 0, 0.01, starts[1]!, between(1), starts[2]!, starts[3]!, starts[3]! - 0.003],
    [
      ...Array.from({ length: 8 }, (_, i) => starts[middle]! + i / 15),
      starts[middle]!,
      between(middle),
      starts[middle + 1]!,
      starts[middle + 3]!,
      starts[middle + 4]! - 0.003,
    ],
    [
      starts[last - 2]!,
      between(last - 2),
      starts[last - 1]!,
      between(last - 1),
      end - 0.003,
      end,
      end + 0.02,
      end + 9,
    ],
  ]
  // Where nothing can be sought, every clip is decoded from the start: one run does for all.
  for (const moments of index.keyframes.length > 0 ? clips : [clips.flat()]) {
    const clip = await decodeClip(path, { times: moments }, { index })
    const shown = moments.map((moment) => starts.findLastIndex((start) => start <= moment + TIME_TOLERANCE))
    const expected = shown.map((frame) => Math.max(0, frame))
    expect(frameNumbers(clip)).toEqual(expected.map((frame) => numberOf(frame)))
    const timesExpected = expected.map((frame) => starts[frame]!)
    expect(Math.max(...clip.times.map((time, i) => Math.abs(time - timesExpected[i]!)))).toBeLessThan(1e-5)
  }
}
