import { execFileSync, spawnSync } from 'node:child_process'
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { MnVideoError } from '../../src/errors.ts'
import { mediaFile } from '../../src/files/media-file.ts'
import { decodeClip } from '../../src/video/decode.ts'
import { type FrameIndex, readFrameIndex, readPlainIndex } from '../../src/video/frame-index.ts'
import { probeVideo } from '../../src/video/probe.ts'
import { ffmpeg, frameNumbers, renderClip, testFolder } from '../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)
afterEach(() => vi.unstubAllEnvs())

const good = await renderClip(folder.path('good.mp4'), {
  seconds: 3,
  output: ['-c:v', 'libx264', '-bf', '2', '-g', '30', '-pix_fmt', 'yuv420p', '-movflags', '+faststart'],
})
const goodBytes = await readFile(good)
const pixelsBegin = goodBytes.indexOf('mdat') + 4

describe('a file that gives no frames', () => {
  const refused: [string, string | RegExp, () => Promise<unknown>][] = [
    [
      'zeros.mp4',
      'no frame of its video stream (h264) can be decoded',
      () => writeFile(folder.path('zeros.mp4'), damaged(0, 1)),
    ],
    [
      'cut.mp4',
      'FFmpeg finds no video in it',
      () => writeFile(folder.path('cut.mp4'), goodBytes.subarray(0, 600)),
    ],
    [
      'garbage.mp4',
      'FFmpeg finds no video in it',
      () => writeFile(folder.path('garbage.mp4'), Buffer.alloc(5000, 'mn\x01')),
    ],
    ['text.mp4', 'FFmpeg finds no video in it', () => writeFile(folder.path('text.mp4'), 'a line of text\n')],
    ['empty.mp4', 'is empty (0 bytes).', () => writeFile(folder.path('empty.mp4'), '')],
    [
      'sound.mp4',
      'no video stream (found: audio aac). Give a file with video.',
      () => ffmpeg('-f', 'lavfi', '-i', 'sine=d=0.2', folder.path('sound.mp4')),
    ],
    ['absent.mp4', 'no such file.', async () => {}],
    ['http://localhost/a.mp4', 'no such file. Addresses are not opened', async () => {}],
    ['folder', 'is a folder. Give a file.', () => mkdir(folder.path('folder'))],
    ['queue', 'is a pipe', async () => execFileSync('mkfifo', [folder.path('queue')])],
    [
      'list.mp4',
      // FFmpeg before 7.1 takes it for what it is, whatever its name.
      /its format \(hls\) is not one|Not detecting m3u8\/hls with non standard extension/,
      () => writeFile(folder.path('list.mp4'), `#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n${good}\n`),
    ],
    [
      'script.mp4',
      'its format (concat) is not one',
      () => writeFile(folder.path('script.mp4'), 'ffconcat version 1.0\nfile good.mp4\n'),
    ],
    ['a\nb.mp4', 'no such file.', async () => {}],
  ]

  it.each(refused)('is refused in one line: %j, %s', async (name, reason, make) => {
    await make()
    const path = name.includes('://') ? name : folder.path(name)
    const error = await decodeClip(path, { times: [0] }).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(MnVideoError)
    const { message, code } = error as MnVideoError
    expect(code).toBe('media')
    if (typeof reason === 'string') expect(message).toContain(reason)
    else expect(message).toMatch(reason)
    expect(message).toContain(name.replace('\n', '\\n'))
    expect(message).not.toMatch(/\n|0x/)
  })

  it.each([
    ['-', '-: standard input cannot be read'],
    ['', 'the path of a video or image is empty'],
    ['/dev/null', '/dev/null: is a device'],
    ['a\0b', '"a\\u0000b": a path cannot hold a null byte'],
  ])('is refused when its path is %j', async (path, message) => {
    await expect(probeVideo(path)).rejects.toThrow(message)
  })
})

describe('a file whose name looks like something else', () => {
  it.each([
    '-i.mp4',
    `it's "quoted" é 日本.mp4`,
    'concat:a|b.mp4',
    'http:a.mp4',
    'pipe:0',
    'frame%03d.mp4',
    'new\nline.mp4',
  ])('is read as a plain file: %j', async (name) => {
    await mkdir(folder.path('names'), { recursive: true })
    await copyFile(good, folder.path(`names/${name}`))
    const before = process.cwd()
    process.chdir(folder.path('names'))
    try {
      expect(frameNumbers(await decodeClip(name, { times: [0, 1.5] }))).toEqual([0, 45])
    } finally {
      process.chdir(before)
    }
  })
})

describe('a damaged video', () => {
  it('gives what decodes; the frame before stands in for a lost one', async () => {
    const path = folder.path('damaged.mp4')
    await writeFile(path, damaged(0.4, 0.55))
    const moments = Array.from({ length: 30 }, (_, i) => i / 10)
    const clip = await decodeClip(path, { times: moments })
    expect(clip.frames).toBe(30)
    const late = clip.times.map((time, i) => moments[i]! - time)
    expect(Math.min(...late)).toBeGreaterThan(-0.001)
    expect(Math.max(...late)).toBeGreaterThan(0.1)
    const [first, last] = [0, 29].map((i) => frameNumbers(clip)[i])
    expect([first, last]).toEqual([0, 87])
  })

  it('that ends early repeats its last frame', async () => {
    const path = folder.path('half.mp4')
    await writeFile(path, goodBytes.subarray(0, pixelsBegin + (goodBytes.length - pixelsBegin) / 2))
    const clip = await decodeClip(path, { times: [0, 2.8, 2.9] })
    expect(clip.times[0]).toBe(0)
    expect(clip.times[1]).toBe(clip.times[2])
    expect(clip.times[1]).toBeGreaterThan(0.5)
    expect(clip.times[1]).toBeLessThan(2.5)
  })
})

describe('a request that cannot be met', () => {
  it.each([
    [{ times: [] }, 'asked for no frames'],
    [{ times: [Number.NaN] }, 'asked for a moment that is no number'],
    [{ times: [0], shortSide: 0 }, 'short side: must be a whole number of pixels from 1, not 0'],
    [{ times: [0], crop: { size: 97, position: 'centre' as const } }, 'a crop of 97 does not fit in 160x96'],
    [{ times: [0], shortSide: 12000 }, 'would be scaled to 20000x12000'],
    [{ times: { frames: 90, stride: 1 }, shortSide: 5000 }, 'more than 1024. Ask for fewer or smaller ones.'],
  ])('is refused before decoding: %j', async (request, message) => {
    await expect(decodeClip(good, request)).rejects.toThrow(message)
  })

  it.each([
    [{ times: { frames: 1e9, stride: 5 } }, 'frames: at most 65536 can be decoded, not 1000000000.'],
    [{ times: { frames: 2.5, stride: 5 } }, 'frames: must be a whole number from 1'],
    [{ times: { frames: 4, stride: 1e308 } }, 'asked for a moment that is no number'],
    [{ times: { frames: 4, stride: Number.NaN } }, 'stride of a clip must be more than 0, not NaN.'],
    [{ times: { frames: 4, stride: 2, rate: 0 } }, 'rate of a clip must be more than 0, not 0.'],
    [{ times: { frames: 4, stride: 2, start: Number.NaN } }, 'asked for a moment that is no number'],
    [{ times: [0], shortSide: 1e9 }, 'would be scaled to'],
    [{ times: [0], shortSide: Number.POSITIVE_INFINITY }, 'short side: must be a whole number of pixels'],
    [{ times: [0], crop: { size: 1e9, position: 'end' as const } }, 'a crop of 1000000000 does not fit'],
    [{ times: [0], crop: { size: 32, position: { x: Number.NaN, y: 0 } } }, 'position of a crop: must be'],
    [{ times: [0], crop: { size: 32, position: { x: 0, y: -3 } } }, 'position of a crop: must be'],
    [{} as { times: number[] }, 'times must be a list of seconds, or'],
    [undefined as unknown as { times: number[] }, 'must be an object, not undefined'],
  ])('however absurd, is refused in a line: %j', async (request, message) => {
    const error = await decodeClip(good, request).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(MnVideoError)
    expect((error as MnVideoError).message).toContain(message)
    expect((error as MnVideoError).message).not.toContain('\n')
  })

  it('for a thousand repeats of a large frame is refused', async () => {
    const times = Array.from({ length: 1000 }, () => 0)
    await expect(decodeClip(good, { times, shortSide: 1000 })).rejects.toThrow('more than 1024')
  })
})

describe('a header that counts to billions', () => {
  /** The first video's tables, saying that there are so many samples of so many bytes; 0: listed one by one. */
  function claiming(count: number, bytesEach: number): Buffer {
    const bytes = Buffer.from(goodBytes)
    const field = (box: string, at: number, value: number) => {
      bytes.writeUInt32BE(value, bytes.indexOf(box, 0, 'latin1') + 4 + at)
    }
    field('stsz', 4, bytesEach)
    field('stsz', 8, count)
    field('stts', 8, count)
    field('stsc', 12, count)
    return bytes
  }

  it.each([
    [8e6, 1],
    [8e6, 0],
    [9e7, 1],
    [2 ** 31, 1],
    [2 ** 32 - 1, 0],
  ])('is not believed: %d samples of %d bytes', async (count, bytesEach) => {
    const path = folder.path(`claims-${count}-${bytesEach}.mp4`)
    await writeFile(path, claiming(count, bytesEach))
    expect(await readPlainIndex(await mediaFile(path))).toBeUndefined()
    const index = await readFrameIndex(path).catch((caught: unknown) => caught)
    if (index instanceof Error) expect(index).toMatchObject({ code: 'media' })
    else expect((index as FrameIndex).pts.length).toBeLessThan(1000)
  })

  it('is left to FFmpeg where it stands for millions of empty Matroska elements', async () => {
    const path = await renderClip(folder.path('void.mkv'))
    expect(await readPlainIndex(await mediaFile(path))).toBeDefined()
    const bytes = await readFile(path)
    const nothing = Buffer.alloc(2 ** 22, Buffer.from('ec80', 'hex'))
    // The segment's length: a byte that tells its width, and seven of the length.
    const at = bytes.indexOf(Buffer.from('1853806701', 'hex')) + 5
    bytes.writeUIntBE(bytes.readUIntBE(at + 1, 6) + nothing.length, at + 1, 6)
    await writeFile(path, Buffer.concat([bytes, nothing]))
    expect(await readPlainIndex(await mediaFile(path))).toBeUndefined()
  })
})

describe.skipIf(process.platform === 'win32')('an ffmpeg that says very much', () => {
  it('is quoted in a few words', async () => {
    const script = folder.path('verbose-ffmpeg')
    const complain = "printf '[error] '; head -c 100000 /dev/zero | tr '\\0' x; echo"
    await writeFile(
      script,
      `#!/bin/sh\n[ "$1" = -version ] && { echo ffmpeg version 6.0; exit; }\n{ ${complain}; } >&2\n`,
      { mode: 0o755 },
    )
    vi.stubEnv('MN_VIDEO_FFMPEG', script)
    const error = await decodeClip(good, { times: [0] }).catch((caught: unknown) => caught)
    expect(error).toMatchObject({
      code: 'media',
      message: expect.stringMatching(/can be decoded: x{199}…\.$/),
    })
  })
})

describe.skipIf(process.platform === 'win32')('an ffmpeg that hangs', () => {
  const script = folder.path('hanging-ffmpeg')
  const hang = async (clip: string) => {
    // A wrapper whose child would outlive it, were only the wrapper killed.
    await writeFile(
      script,
      `#!/bin/sh\n[ "$1" = -version ] && { echo ffmpeg version 6.0; exit; }\nsleep 98765.4321 & wait\n`,
      { mode: 0o755 },
    )
    await copyFile(good, clip)
    vi.stubEnv('MN_VIDEO_FFMPEG', script)
  }
  const leftovers = () =>
    spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).stdout.match(/sleep 98765|hanging-ffmpeg/g)

  it('is killed at the deadline with all it started', async () => {
    const clip = folder.path('slow.mp4')
    await hang(clip)
    const before = await readdir(tmpdir())
    await expect(decodeClip(clip, { times: [0] }, { deadline: 0.3 })).rejects.toThrow(
      /slow\.mp4: FFmpeg made no progress for 0\.3 s and was stopped\.$/,
    )
    // What was killed may take a moment to be gone.
    await expect.poll(leftovers).toBeNull()
    expect(
      (await readdir(tmpdir())).filter(
        (name) => !before.includes(name) && /ffmpeg|mn-video-(?!test)/.test(name),
      ),
    ).toEqual([])
  })

  it('is killed when the caller gives up', async () => {
    await hang(folder.path('slow.mp4'))
    const giveUp = new AbortController()
    const index = await readFrameIndex(folder.path('slow.mp4'))
    const clip = decodeClip(folder.path('slow.mp4'), { times: [0] }, { signal: giveUp.signal, index })
    setTimeout(() => giveUp.abort(new Error('enough')), 200)
    await expect(clip).rejects.toThrow('enough')
    // What was killed may take a moment to be gone.
    await expect.poll(leftovers).toBeNull()
    await expect(probeVideo(good, { signal: giveUp.signal })).rejects.toThrow('enough')
  })

  it('or floods its output is stopped', async () => {
    await writeFile(
      script,
      '#!/bin/sh\n[ "$1" = -version ] && { echo ffmpeg version 6.0; exit; }\nexec cat /dev/zero\n',
      { mode: 0o755 },
    )
    vi.stubEnv('MN_VIDEO_FFMPEG', script)
    await expect(decodeClip(good, { times: [0] })).rejects.toThrow(/good\.mp4: /)
    expect(spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).stdout).not.toContain('cat /dev/zero')
  })
})

/** The good video with a part of its coded pixels, between two shares of them, set to zero. */
function damaged(from: number, to: number): Buffer {
  const bytes = Buffer.from(goodBytes)
  const length = bytes.length - pixelsBegin
  return bytes.fill(0, pixelsBegin + Math.floor(length * from), pixelsBegin + Math.floor(length * to))
}
