/** MAT-files that say more than they hold, or hold less than they decompress to. */
import { deflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { readMatFile } from '../../../src/data/prepare/mat-file.ts'

const header = Buffer.alloc(128)
header.write('IM', 126, 'latin1')

function element(type: number, body: Buffer): Buffer {
  const tag = Buffer.alloc(8)
  tag.writeUInt32LE(type)
  tag.writeUInt32LE(body.length, 4)
  return Buffer.concat([tag, body, Buffer.alloc((8 - (body.length % 8)) % 8)])
}

const int32 = (...values: number[]) => Buffer.from(Int32Array.from(values).buffer)
const double = (...values: number[]) => Buffer.from(Float64Array.from(values).buffer)

/** A variable of a class (2: structures, 6: doubles) whose dimensions are `count` × 1. */
const matrix = (kind: number, dimensions: Buffer, ...parts: Buffer[]) =>
  element(14, Buffer.concat([element(6, int32(kind, 0)), dimensions, element(1, Buffer.from('a')), ...parts]))

const compressed = (body: Buffer) => {
  const packed = deflateSync(body)
  const tag = Buffer.alloc(8)
  tag.writeUInt32LE(15)
  tag.writeUInt32LE(packed.length, 4)
  return Buffer.concat([tag, packed])
}

const refused = expect.objectContaining({
  code: 'data',
  message: expect.stringContaining('is not a MAT-file'),
})

describe('a MAT-file', () => {
  const dimensions = element(5, int32(1, 1))

  it('of numbers is read', () => {
    const file = Buffer.concat([header, compressed(matrix(6, dimensions, element(9, double(3))))])
    expect(readMatFile(file, 'a.mat').get('a')).toEqual([3])
  })

  it.each<[string, Buffer[]]>([
    [
      'decompresses to 255 MB of numbers',
      [compressed(matrix(6, dimensions, element(1, Buffer.alloc(255e6))))],
    ],
    [
      'decompresses to much in many parts',
      Array<Buffer>(40).fill(compressed(matrix(6, dimensions, element(1, Buffer.alloc(2 ** 20))))),
    ],
    [
      'counts 1e18 structures of no field',
      [matrix(2, element(9, double(1e9, 1e9)), element(5, int32(32)), element(1, Buffer.alloc(0)))],
    ],
    [
      'counts 1e18 structures of a field',
      [matrix(2, element(9, double(1e9, 1e9)), element(5, int32(32)), element(1, Buffer.alloc(32, 'f')))],
    ],
    [
      'names fields without end',
      [matrix(2, element(5, int32(0, 1)), element(5, int32(1)), element(1, Buffer.alloc(8e6, 'f')))],
    ],
  ])('that %s is refused', (_, variables) => {
    expect(() => readMatFile(Buffer.concat([header, ...variables]), 'a.mat')).toThrow(refused)
  })
})
