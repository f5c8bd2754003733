import { readFile, writeFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import sharp, { type Colour, type Sharp } from 'sharp'
import { afterAll, describe, expect, it } from 'vitest'
import { decodeImage, decodeImageRegion, probeImage } from '../../src/image/decode.ts'
import { ffmpeg, testFolder } from '../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)

/** A picture 6 wide and 4 high, red on its left half and blue on its right. */
const halves = sharp({ create: { width: 6, height: 4, channels: 3, background: 'red' } }).composite([
  { input: { create: { width: 3, height: 4, channels: 3, background: 'blue' } }, left: 3, top: 0 },
])
const halvesPath = folder.path('halves.png')
await halves.clone().png().toFile(halvesPath)
const [red, blue] = [
  [255, 0, 0],
  [0, 0, 255],
]

async function made(name: string, colour: Sharp): Promise<string> {
  await colour.toFile(folder.path(name))
  return folder.path(name)
}

/** An SVG that shows another file of its folder. */
const svgOf = async (path: string): Promise<Buffer> =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><image href="${path}" width="8" height="8"/></svg>`,
  )

async function firstPixel(path: string): Promise<number[]> {
  const { data, width, height } = await decodeImage(path)
  expect(data.length).toBe(width * height * 3)
  return [...data.subarray(0, 3)]
}

const plain = (background: Colour, channels: 3 | 4 = 3) =>
  sharp({ create: { width: 8, height: 8, channels, background } })

describe('decoding an image', () => {
  it('gives one frame of RGB at its own size', async () => {
    const image = await decodeImage(halvesPath)
    expect(image).toMatchObject({ frames: 1, width: 6, height: 4, times: [0] })
    expect([...image.data.subarray(0, 18)]).toEqual([red, red, red, blue, blue, blue].flat())
  })

  it('turns it upright as its EXIF orientation says', async () => {
    const path = await made('turned.png', halves.clone().withMetadata({ orientation: 6 }))
    const image = await decodeImage(path, { crop: { size: 3, position: 'start' } })
    expect(image).toMatchObject({ width: 3, height: 3 })
    expect([...image.data.subarray(0, 3)]).toEqual(red)
    expect(await decodeImage(path)).toMatchObject({ width: 4, height: 6 })
  })

  it('lays transparency on black', async () => {
    expect(await firstPixel(await made('clear.png', plain({ r: 200, g: 100, b: 50, alpha: 0 }, 4)))).toEqual([
      0, 0, 0,
    ])
    const half = await firstPixel(await made('half.png', plain({ r: 200, g: 100, b: 50, alpha: 0.5 }, 4)))
    expect(half[0]).toBeGreaterThan(95)
    expect(half[0]).toBeLessThan(105)
  })

  it('brings grey, 16-bit and CMYK pictures to 8-bit RGB', async () => {
    const grey = await made('grey.png', plain({ r: 90, g: 90, b: 90 }).toColourspace('b-w'))
    expect(await firstPixel(grey)).toEqual([90, 90, 90])
    const deep = await made('deep.png', plain({ r: 10, g: 20, b: 30 }).toColourspace('rgb16'))
    expect(await firstPixel(deep)).toEqual([10, 20, 30])
    const deepGrey = folder.path('deep-grey.png')
    await ffmpeg('-f', 'lavfi', '-i', 'color=gray:s=8x8,format=gray16be', '-frames:v', '1', deepGrey)
    const [shade] = await firstPixel(deepGrey)
    expect(Math.abs(shade! - 128)).toBeLessThanOrEqual(1)
    const inks = await firstPixel(await made('inks.jpg', plain('white').toColourspace('cmyk')))
    expect(Math.min(...inks)).toBeGreaterThan(250)
  })

  it('takes the first frame of an animation', async () => {
    const path = folder.path('moving.gif')
    const frames = 'color=red:s=8x8:d=0.2:r=10[a];color=blue:s=8x8:d=0.2:r=10[b];[a][b]concat'
    await ffmpeg('-f', 'lavfi', '-i', `${frames}`, path)
    expect(await decodeImage(path)).toMatchObject({ frames: 1, width: 8, height: 8 })
    expect((await firstPixel(path))[2]).toBeLessThan(10)
  })

  it('scales, crops and mirrors as for video', async () => {
    const wide = await made('wide.png', halves.clone().png())
    const request = { shortSide: 8, crop: { size: 8, position: 'end' as const } }
    const image = await decodeImage(wide, request)
    expect(image).toMatchObject({ width: 8, height: 8 })
    expect([...image.data.subarray(21, 24)]).toEqual(blue)
    expect([...image.data.subarray(0, 3)][0]).toBeGreaterThan(200)
    const mirrored = await decodeImage(wide, { ...request, flip: true })
    expect([...mirrored.data.subarray(0, 3)]).toEqual(blue)
  })
})

describe('an image that cannot be read', () => {
  it.each([
    ['text.png', () => Buffer.from('a line of text')],
    ['cut.png', (bytes: Buffer) => bytes.subarray(0, bytes.length - 40)],
    ['garbage.jpg', () => Buffer.alloc(3000, 'mn\x01')],
  ])('is refused in one line: %s', async (name, spoil) => {
    await writeFile(folder.path(name), spoil(await readFile(halvesPath)))
    const error = await decodeImage(folder.path(name)).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ name: 'MnVideoError', code: 'media' })
    expect((error as Error).message).toContain(`${name}: is not an image that can be read (`)
    expect((error as Error).message).not.toContain('\n')
  })

  it.each<[string, () => Promise<Buffer>]>([
    ['an SVG', async () => svgOf(halvesPath)],
    [
      'an SVG after a declaration',
      async () => Buffer.from(`<?xml version="1.0"?>\n<!-- a -->${await svgOf(halvesPath)}`),
    ],
    ['a compressed SVG', async () => gzipSync(await svgOf(halvesPath))],
    ['a PDF', async () => Buffer.from('%PDF-1.4\n')],
    ["libvips's own", async () => Buffer.from('\xb6\xa6\xf2\x08'.padEnd(200, '\0'), 'latin1')],
    ['a PostScript', async () => Buffer.from('%!PS-Adobe-3.0\n')],
    ['an image list', async () => Buffer.from(`push graphic-context\nimage over 0,0 0,0 '${halvesPath}'\n`)],
    ['an HTML page', async () => Buffer.from('<html><svg xmlns="http://www.w3.org/2000/svg"/></html>')],
  ])('is refused by its content, whatever its name: %s', async (_, content) => {
    const path = folder.path('pointer.jpg')
    await writeFile(path, await content())
    const refusal = 'pointer.jpg: is not an image that can be read (its content is not JPEG'
    await expect(decodeImage(path)).rejects.toThrow(refusal)
    await expect(
      decodeImageRegion(path, () => ({ region: { left: 0, top: 0, width: 1, height: 1 }, size: 1 })),
    ).rejects.toThrow(refusal)
    for (const decode of [false, true]) await expect(probeImage(path, { decode })).rejects.toThrow(refusal)
  })

  it.each(['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif'] as const)(
    'is not one for its format: %s',
    async (format) => {
      const path = folder.path(`any-${format}.bin`)
      await plain('red').toFormat(format).toFile(path)
      expect(await decodeImage(path)).toMatchObject({ width: 8, height: 8 })
    },
  )

  it('in the time there is, is given up', async () => {
    const path = await made(
      'slow.png',
      sharp({ create: { width: 4000, height: 4000, channels: 3, background: 'red' } }),
    )
    await expect(decodeImage(path, {}, { deadline: 0.001 })).rejects.toMatchObject({
      ...{ name: 'MnVideoError', code: 'media' },
      message: expect.stringContaining('slow.png: was not decoded in 0.001 s'),
    })
  })

  it('when its caller gives up, is given up', async () => {
    const path = await made(
      'long.png',
      sharp({ create: { width: 4000, height: 4000, channels: 3, background: 'red' } }),
    )
    const controller = new AbortController()
    const decoding = decodeImage(path, {}, { signal: controller.signal })
    setTimeout(() => controller.abort(), 1)
    await expect(decoding).rejects.toMatchObject({ name: 'MnVideoError', code: 'cancelled' })
  })

  it('is refused when its name is no file', async () => {
    await expect(decodeImage('-')).rejects.toThrow('-: standard input')
    await expect(decodeImage(folder.path('none.png'))).rejects.toThrow('none.png: no such file.')
    await expect(decodeImage(folder.path('.'))).rejects.toThrow('is a folder')
  })

  it('is refused when it is enormous', async () => {
    const path = await made(
      'huge.png',
      sharp({ create: { width: 16500, height: 10, channels: 3, background: 'red' } }),
    )
    await expect(decodeImage(path)).rejects.toThrow('is 16500x10; pictures of at most 16384 pixels a side')
    await expect(decodeImage(halvesPath, { shortSide: 12000 })).rejects.toThrow(
      'would be scaled to 18000x12000',
    )
  })
})
