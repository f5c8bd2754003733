/** Scaling against PIL and PyTorch. */
import { writeFile } from 'node:fs/promises'
import sharp from 'sharp'
import { afterAll, describe, expect, it } from 'vitest'
import type { Rectangle, Scaling, Size } from '../../src/frames/geometry.ts'
import { createScaler } from '../../src/frames/scale.ts'
import { decodeImage, decodeImageRegion } from '../../src/image/decode.ts'
import { testFolder } from '../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)

/** A picture of (7x² + 13y + 5xy + 40c) mod 256. */
function pattern({ width, height }: Size): Uint8Array {
  return Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)]
    return 7 * x * x + 13 * y + 5 * x * y + 40 * (i % 3)
  })
}

/** A picture whose one column is 200, all others 0. */
const lit = (side: number, column: number): Uint8Array =>
  Uint8Array.from({ length: side * side * 3 }, (_, i) => (Math.floor(i / 3) % side === column ? 200 : 0))

/** The rows of the red channel. */
function red(data: Uint8Array, width: number): number[][] {
  const values = [...data].filter((_, i) => i % 3 === 0)
  return Array.from({ length: values.length / width }, (_, row) =>
    values.slice(row * width, (row + 1) * width),
  )
}

function scaled(
  source: Uint8Array,
  native: Size,
  size: Size,
  scaling: Scaling,
  crop?: Rectangle,
): Uint8Array {
  const { width, height } = crop ?? size
  const target = new Uint8Array(width * height * 3)
  createScaler({ native, scaled: size, scaling, crop })(source, target)
  return target
}

const [nine, four] = [
  { width: 9, height: 6 },
  { width: 4, height: 3 },
]
const [five, eight] = [
  { width: 5, height: 3 },
  { width: 8, height: 6 },
]

describe('scaling', () => {
  // Pillow 13.0: Image.resize(size, Image.BILINEAR).
  it.each([
    [
      'reducing',
      nine,
      five,
      [
        [16, 52, 139, 154, 158],
        [45, 94, 168, 129, 132],
        [73, 136, 139, 130, 126],
      ],
    ],
    [
      'enlarging',
      four,
      eight,
      [
        [0, 2, 5, 12, 23, 37, 54, 63],
        [3, 6, 9, 17, 29, 43, 61, 70],
        [10, 13, 18, 27, 40, 55, 74, 84],
        [16, 20, 26, 37, 50, 67, 88, 98],
        [23, 27, 35, 46, 61, 79, 101, 112],
        [26, 30, 39, 51, 66, 85, 108, 119],
      ],
    ],
  ])("is PIL's when antialiased, %s", (_, native, size, expected) => {
    expect(red(scaled(pattern(native), native, size, 'antialiased'), size.width)).toEqual(expected)
  })

  // PyTorch 2.15: interpolate(…, mode='bilinear', align_corners=False).round().
  it.each([
    [
      'reducing',
      nine,
      five,
      [
        [10, 47, 128, 155, 175],
        [40, 95, 194, 111, 124],
        [70, 143, 132, 170, 123],
      ],
    ],
    [
      'enlarging',
      four,
      eight,
      [
        [0, 2, 5, 12, 23, 37, 54, 63],
        [3, 5, 9, 17, 28, 43, 61, 70],
        [10, 12, 18, 27, 39, 55, 74, 84],
        [16, 20, 26, 36, 50, 67, 88, 98],
        [23, 27, 35, 46, 61, 79, 101, 112],
        [26, 30, 39, 51, 66, 85, 108, 119],
      ],
    ],
  ])("is PyTorch's when bilinear, %s", (_, native, size, expected) => {
    // float32 may end on the other side of a half.
    const found = red(scaled(pattern(native), native, size, 'bilinear'), size.width).flat()
    const differences = found.map((value, i) => value - expected.flat()[i]!)
    expect(differences.every((difference) => Math.abs(difference) <= 1)).toBe(true)
    expect(Math.abs(differences.reduce((sum, each) => sum + each, 0)) / found.length).toBeLessThan(0.2)
  })

  it.each(['antialiased', 'bilinear'] as const)(
    'computes of a %s picture only what a crop keeps',
    (scaling) => {
      const crop = { left: 2, top: 1, width: 2, height: 2 }
      const whole = red(scaled(pattern(nine), nine, five, scaling), 5)
      const part = red(scaled(pattern(nine), nine, five, scaling, crop), 2)
      expect(part).toEqual(whole.slice(1, 3).map((row) => row.slice(2, 4)))
    },
  )
})

describe('pictures in files', () => {
  const save = async (name: string, data: Uint8Array, { width, height }: Size) => {
    await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(folder.path(name))
    return folder.path(name)
  }
  const [forty, eighty] = [
    { width: 40, height: 40 },
    { width: 80, height: 80 },
  ]
  // Pillow 13.0 and PyTorch 2.15, as above.
  const columns: [string, Uint8Array, Size, number, Scaling, number[]][] = [
    ['enlarged', lit(40, 20), forty, 80, 'antialiased', [0, 50, 150, 150, 50, 0]],
    ['enlarged bilinear', lit(40, 20), forty, 80, 'bilinear', [0, 50, 150, 150, 50, 0]],
    ['reduced', lit(80, 40), eighty, 40, 'antialiased', [0, 25, 75, 0]],
    ['reduced bilinear', lit(80, 40), eighty, 40, 'bilinear', [0, 0, 100, 0]],
  ]

  it.each(columns)(
    'are not shifted when %s, in test views and training regions',
    async (name, data, native, side, scaling, expected) => {
      const path = await save(`${name}.png`, data, native)
      const first = side === 80 ? 38 : 18
      const seen = ({ data }: { data: Uint8Array }) =>
        red(data, side)[3]!.slice(first, first + expected.length)
      expect(seen(await decodeImage(path, { shortSide: side, scaling }))).toEqual(expected)
      const region = { left: 0, top: 0, ...native }
      expect(seen(await decodeImageRegion(path, () => ({ region, size: side, scaling })))).toEqual(expected)
    },
  )

  it("are cut and scaled as torchvision's RandomResizedCrop does", async () => {
    const path = await save('region.png', pattern(nine), nine)
    const region = { left: 1, top: 2, width: 7, height: 3 }
    // Pillow 13.0: Image.crop((1, 2, 8, 5)).resize((4, 4), Image.BILINEAR).
    expect(red((await decodeImageRegion(path, () => ({ region, size: 4 }))).data, 4)).toEqual([
      [60, 127, 197, 143],
      [73, 145, 137, 164],
      [89, 166, 115, 143],
      [101, 183, 139, 87],
    ])
  })

  it('have the same pixels from a JPEG as from what it decodes to, however much they are reduced', async () => {
    const size = { width: 901, height: 675 }
    let state = 1
    const noise = Uint8Array.from({ length: size.width * size.height * 3 }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state >>> 24
    })
    const jpeg = folder.path('noise.jpg')
    await writeFile(
      jpeg,
      await sharp(noise, { raw: { ...size, channels: 3 } })
        .jpeg({ quality: 95 })
        .toBuffer(),
    )
    const png = folder.path('noise.png')
    await sharp(jpeg).png().toFile(png)
    for (const shortSide of [256, 84]) {
      expect((await decodeImage(jpeg, { shortSide })).data).toEqual(
        (await decodeImage(png, { shortSide })).data,
      )
    }
  })

  it("are cropped at the centre as torchvision's CenterCrop does", async () => {
    // int(round(room / 2)) in Python, which rounds halves to the even number: 5 → 2, 7 → 4.
    for (const [width, left] of [
      [13, 2],
      [15, 4],
    ] as const) {
      const path = await save(`${width}.png`, pattern({ width, height: 8 }), { width, height: 8 })
      const crop = { size: 8, position: 'centre', halves: 'even' } as const
      const whole = red((await decodeImage(path)).data, width)
      expect(red((await decodeImage(path, { crop })).data, 8)[0]).toEqual(whole[0]!.slice(left, left + 8))
    }
  })
})
