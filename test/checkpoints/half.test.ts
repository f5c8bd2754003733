import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { asHalves, roundedToHalf, toHalf } from '../../src/checkpoints/half.ts'
import { parseSafetensors, toFloat32, writeSafetensors } from '../../src/checkpoints/safetensors.ts'
import { temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()

/** What half precision's bits mean, by its definition (IEEE 754-2019, section 3.4). */
function numberOf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >> 10) & 31
  const fraction = half & 1023
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024))
}

const halves = Array.from({ length: 0x10000 }, (_, half) => half)
const finite = halves.filter((half) => Number.isFinite(numberOf(half)))

it('keeps every half as it is', () => {
  const values = Float32Array.from(finite, numberOf)
  expect(roundedToHalf(values)).toEqual(values)
  expect([...asHalves(values)!]).toEqual(finite)
})

it('rounds to the nearest half, of two to the even one', () => {
  const positive = finite.filter((half) => half < 0x8000)
  for (const [i, half] of positive.slice(0, -1).entries()) {
    const next = positive[i + 1]!
    const middle = (numberOf(half) + numberOf(next)) / 2
    const above = middle + (numberOf(next) - numberOf(half)) / 4096
    const below = middle - (numberOf(next) - numberOf(half)) / 4096
    const found = [below, middle, above, -middle].map(toHalf)
    expect(found).toEqual([half, half % 2 ? next : half, next, 0x8000 + (half % 2 ? next : half)])
  }
})

it('says what half precision cannot hold', () => {
  expect([65519, 65520, 1e38, -1e38].map(toHalf)).toEqual([0x7bff, 0x7c00, 0x7c00, 0xfc00])
  expect(numberOf(toHalf(Number.NaN))).toBeNaN()
  expect(asHalves(Float32Array.of(1, 1.0001))).toBeUndefined()
})

it('is read from files as it was written', async () => {
  const file = join(folder, 'halves')
  const data = Uint16Array.from(finite)
  await writeSafetensors(file, new Map([['a', { dtype: 'F16', shape: [data.length], data }]]))
  const { tensors } = parseSafetensors(await readFile(file), file)
  expect(toFloat32(tensors.get('a')!)).toEqual(Float32Array.from(finite, numberOf))
})
