import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  parseSafetensors,
  readSafetensors,
  type SafetensorsDtype,
  type SafetensorsTensor,
  toFloat32,
  writeSafetensors,
} from '../../src/checkpoints/safetensors.ts'
import { MnVideoError } from '../../src/errors.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'safetensors-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** A file from any header (text or value) and data, right or wrong. */
function file(header: unknown, data: number | Uint8Array = 0, length?: bigint): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const start = Buffer.alloc(8)
  start.writeBigUInt64LE(length ?? BigInt(json.length))
  return new Uint8Array(Buffer.concat([start, json, typeof data === 'number' ? Buffer.alloc(data) : data]))
}

function messageFor(bytes: Uint8Array): string {
  try {
    parseSafetensors(bytes, 'm.safetensors')
  } catch (error) {
    expect(error).toBeInstanceOf(MnVideoError)
    expect((error as MnVideoError).code).toBe('weights')
    return (error as MnVideoError).message
  }
  throw new Error('no error')
}

const example = new Map<string, SafetensorsTensor>([
  ['b', { dtype: 'BOOL', shape: [3], data: Uint8Array.of(1, 0, 1) }],
  ['f', { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, -2, 0.5, 1e-40) }],
  ['a', { dtype: 'F32', shape: [], data: Float32Array.of(7) }],
  ['empty', { dtype: 'F16', shape: [0, 5], data: new Uint16Array(0) }],
  ['d', { dtype: 'F64', shape: [1], data: Float64Array.of(Math.PI) }],
  ['n', { dtype: 'I64', shape: [2], data: BigInt64Array.of(-1n, 2n ** 62n) }],
  ['__proto__', { dtype: 'I8', shape: [1], data: Int8Array.of(-8) }],
  ['größe "x"\n', { dtype: 'U16', shape: [1], data: Uint16Array.of(65535) }],
])
const exampleMetadata = { format: 'mn-video', note: 'ü "quoted"' }

describe('writing and reading', () => {
  it('gives back what was written', async () => {
    const path = join(folder, 'a.safetensors')
    await writeSafetensors(path, example, exampleMetadata)
    const { tensors, metadata } = await readSafetensors(path)
    expect({ ...metadata }).toEqual(exampleMetadata)
    expect(new Map([...tensors].sort())).toEqual(new Map([...example].sort()))
    expect(parseSafetensors(await readFile(path), path).tensors).toEqual(tensors)
  })

  it('gives back random tensors, at any alignment of the bytes', () => {
    const arrays = { F32: Float32Array, F64: Float64Array, U8: Uint8Array, I16: Int16Array } as const
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.constantFrom('F32', 'F64', 'U8', 'I16'), fc.array(fc.nat(4), { maxLength: 4 })),
          { maxLength: 6 },
        ),
        fc.nat(15),
        (list, shift) => {
          const header: Record<string, unknown> = {}
          const parts: Uint8Array[] = []
          let offset = 0
          for (const [i, [dtype, shape]] of list.entries()) {
            const size = shape.reduce((a, b) => a * b, 1)
            const values = new arrays[dtype](size)
            for (let j = 0; j < size; j++) values[j] = (i + j) % 100
            parts.push(new Uint8Array(values.buffer))
            header[`t${i}`] = { dtype, shape, data_offsets: [offset, offset + values.byteLength] }
            offset += values.byteLength
          }
          const bytes = file(header, Buffer.concat(parts))
          const shifted = new Uint8Array(new ArrayBuffer(bytes.length + shift), shift)
          shifted.set(bytes)
          const { tensors } = parseSafetensors(shifted, 'x')
          expect(tensors.size).toBe(list.length)
          for (const [i, [dtype, shape]] of list.entries()) {
            const tensor = tensors.get(`t${i}`)!
            expect([tensor.dtype, tensor.shape]).toEqual([dtype, shape])
            expect([...tensor.data]).toEqual([...tensor.data.keys()].map((j) => (i + j) % 100))
          }
        },
      ),
      { seed: 7, numRuns: 200 },
    )
  })

  it('writes the same bytes for the same content in any order, data aligned to 8', async () => {
    const [one, two] = [join(folder, '1'), join(folder, '2')]
    await writeSafetensors(one, example, exampleMetadata)
    await writeSafetensors(two, new Map([...example].reverse()), {
      note: exampleMetadata.note,
      format: 'mn-video',
    })
    const bytes = await readFile(one)
    expect(await readFile(two)).toEqual(bytes)
    expect(Number(bytes.readBigUInt64LE()) % 8).toBe(0)
    expect((await readSafetensors(one)).tensors.keys().next().value).toBe('d')
  })

  it('writes views of larger buffers', async () => {
    const path = join(folder, 'view')
    const data = Float32Array.of(1, 2, 3, 4).subarray(1, 3)
    await writeSafetensors(path, new Map([['v', { dtype: 'F32', shape: [2], data }]]))
    expect((await readSafetensors(path)).tensors.get('v')!.data).toEqual(Float32Array.of(2, 3))
  })

  it('replaces an old file whole, and leaves nothing behind when it cannot', async () => {
    const path = join(folder, 'replace', 'm')
    await mkdir(join(folder, 'replace', 'taken'), { recursive: true })
    await writeFile(path, 'old')
    await writeSafetensors(path, example)
    expect((await readSafetensors(path)).tensors.size).toBe(example.size)
    await expect(writeSafetensors(join(folder, 'replace', 'taken'), example)).rejects.toThrow(
      'cannot be written: ',
    )
    await expect(writeSafetensors(join(folder, 'nowhere', 'm'), example)).rejects.toThrow(MnVideoError)
    expect((await readdir(join(folder, 'replace'))).sort()).toEqual(['m', 'taken'])
  })

  it('refuses to write what could not be read', async () => {
    const write = (name: string, tensor: SafetensorsTensor) =>
      writeSafetensors(join(folder, 'no'), new Map([[name, tensor]]))
    const data = Float32Array.of(1, 2)
    await expect(write('a', { dtype: 'F32', shape: [3], data })).rejects.toThrow(TypeError)
    await expect(write('__metadata__', { dtype: 'F32', shape: [2], data })).rejects.toThrow(TypeError)
    await expect(write('\ud800', { dtype: 'F32', shape: [2], data })).rejects.toThrow(TypeError)
    expect(existsSync(join(folder, 'no'))).toBe(false)
  })
})

describe('toFloat32', () => {
  it('is exact for half precision, with subnormals, infinities and NaN', () => {
    const half = (bits: number) => toFloat32({ dtype: 'F16', shape: [1], data: Uint16Array.of(bits) })[0]!
    for (let bits = 0; bits < 65536; bits++) {
      const exponent = (bits >> 10) & 31
      const fraction = bits & 1023
      const sign = bits & 0x8000 ? -1 : 1
      const expected =
        exponent === 31
          ? fraction
            ? Number.NaN
            : sign * Number.POSITIVE_INFINITY
          : sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024))
      if (!Object.is(half(bits), expected)) throw new Error(`${bits}: ${half(bits)}, expected ${expected}`)
    }
  })

  it('converts the other floating-point types and refuses integers', () => {
    const bits = Uint16Array.of(0x3f80, 0xc000, 0x7f80)
    expect(toFloat32({ dtype: 'BF16', shape: [3], data: bits })).toEqual(
      Float32Array.of(1, -2, Number.POSITIVE_INFINITY),
    )
    expect(toFloat32({ dtype: 'F64', shape: [1], data: Float64Array.of(0.1) })).toEqual(Float32Array.of(0.1))
    const data = Float32Array.of(3)
    expect(toFloat32({ dtype: 'F32', shape: [1], data })).toBe(data)
    expect(() => toFloat32({ dtype: 'I8', shape: [1], data: Int8Array.of(1) }, 'a.steps')).toThrow(
      'a.steps: has I8 values where floating-point ones are needed.',
    )
  })
})

describe('damaged and hostile files', () => {
  const f32 = (shape: unknown, data_offsets: unknown) => ({ dtype: 'F32', shape, data_offsets })

  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), 'has 0 bytes, too few for a safetensors file.'],
    ['seven bytes', new Uint8Array(7), 'has 7 bytes, too few for a safetensors file.'],
    ['a header beyond the file', file('{}', 0, 100n), 'the header ends at byte 108, the file has 10.'],
    [
      'a header beyond the limit',
      file('{}', 0, 100_000_001n),
      'it claims a header of 100000001 bytes (at most 100000000).',
    ],
    ['the largest header', file('{}', 0, 2n ** 64n - 1n), 'it claims a header of 18446744073709551615 bytes'],
    ['a header of nothing', file('', 0), 'expected "{"'],
    ['another kind of file', file('\x80PNG', 0), 'expected "{"'],
    [
      'a header that is no UTF-8',
      file('{"\xff', 0).map((byte) => (byte === 0xc3 ? 0xff : byte)),
      'the header is not UTF-8 text.',
    ],
    ['a header that is a list', file([]), 'expected "{"'],
    ['deep nesting', file(`{"a":${'['.repeat(1e6)}`), 'expected "{"'],
    ['deep objects', file('{"a":'.repeat(1e5)), 'unknown field "a"'],
    ['text after the header', file('{} x'), 'expected the end of the header'],
    ['an unfinished string', file('{"a'), 'expected the end of a string'],
    ['an unfinished escape', file('{"a\\'), 'expected the end of a string'],
    ['a trailing comma', file('{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},}', 1), 'expected """'],
    [
      'a tensor twice',
      file(
        '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        1,
      ),
      'the header has "a" twice.',
    ],
    ['a field twice', file('{"a":{"dtype":"U8","dtype":"I8"}}'), 'tensor "a" has "dtype" twice.'],
    ['metadata twice', file('{"__metadata__":{"a":"","a":""}}'), '__metadata__ has "a" twice.'],
    ['metadata that are no strings', file({ __metadata__: { a: 1 } }), 'expected """'],
    ['metadata that are a list', file({ __metadata__: [] }), 'expected "{"'],
    [
      'an unknown field',
      file({ a: { ...f32([1], [0, 4]), strides: [1] } }, 4),
      'tensor "a" has an unknown field "strides" in the header.',
    ],
    [
      'a missing field',
      file({ a: { dtype: 'F32', shape: [] } }, 4),
      'tensor "a" lacks dtype, shape or data_offsets in the header.',
    ],
    [
      'an unknown dtype',
      file({ a: { ...f32([1], [0, 4]), dtype: 'F8_E4M3' } }, 4),
      'tensor "a" has dtype "F8_E4M3"; known are F64,',
    ],
    [
      'a dtype of every object',
      file({ a: { ...f32([1], [0, 4]), dtype: 'constructor' } }, 4),
      'has dtype "constructor"',
    ],
    ['a negative length', file({ a: f32([-1], [0, 4]) }, 4), 'expected an integer below 2^53'],
    ['a fraction', file({ a: f32([1.5], [0, 4]) }, 4), 'expected an integer below 2^53'],
    [
      'an exponent',
      file('{"a":{"dtype":"U8","shape":[1e9],"data_offsets":[0,1]}}', 1),
      'expected an integer below 2^53',
    ],
    [
      'a leading zero',
      file('{"a":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}}', 1),
      'the header is not as it should be',
    ],
    [
      '2^53',
      file('{"a":{"dtype":"U8","shape":[9007199254740992],"data_offsets":[0,1]}}', 1),
      'expected an integer below 2^53',
    ],
    ['a shape whose product overflows', file({ a: f32([2 ** 32, 2 ** 32], [0, 0]) }), 'takes Infinity.'],
    ['very many dimensions', file({ a: f32(Array(65).fill(1), [0, 4]) }, 4), 'expected at most 64 integers'],
    ['three offsets', file({ a: f32([1], [0, 4, 8]) }, 4), 'expected at most 2 integers'],
    ['one offset', file({ a: f32([1], [0]) }, 4), 'tensor "a" has data_offsets [0], expected [start, end].'],
    [
      'offsets upside down',
      file({ a: f32([1], [4, 0]) }, 4),
      'tensor "a" has data_offsets [4,0], expected [start, end].',
    ],
    [
      'a tensor beyond the file',
      file({ 'a.weight': f32([100], [0, 400]) }, 300),
      'm.safetensors: tensor "a.weight" ends at byte 400 of the data, the file has 300. The file is damaged or cut short; copy or create it again.',
    ],
    [
      'a shape that is not its bytes',
      file({ a: f32([2], [0, 4]) }, 4),
      'tensor "a" has bytes 0 to 4, but F32 of shape [2] takes 8.',
    ],
    [
      'overlapping tensors',
      file({ a: f32([2], [0, 8]), b: f32([1], [4, 8]) }, 8),
      'tensor "b" starts at byte 4, inside the tensor before it.',
    ],
    [
      'two tensors on the same bytes',
      file({ a: f32([1], [0, 4]), b: f32([1], [0, 4]) }, 4),
      'starts at byte 0, inside the tensor before it.',
    ],
    [
      'a hole',
      file({ a: f32([1], [0, 4]), b: f32([1], [8, 12]) }, 12),
      'bytes 4 to 8 of the data belong to no tensor.',
    ],
    ['a hole in front', file({ a: f32([1], [4, 8]) }, 8), 'bytes 0 to 4 of the data belong to no tensor.'],
    [
      'data after the last tensor',
      file({ a: f32([1], [0, 4]) }, 6),
      'bytes 4 to 6 of the data belong to no tensor.',
    ],
    [
      'too many entries',
      file(`{"__metadata__":{${Array.from({ length: 140_000 }, (_, i) => `"${i}":""`).join()}}}`),
      'the header has more than 131072 entries.',
    ],
  ])('%s', (_, bytes, message) => {
    expect(messageFor(bytes)).toContain(message)
  })

  it('accepts what is unusual but right', () => {
    const zero = { dtype: 'F32', shape: [2 ** 40, 0, 2 ** 40], data_offsets: [4, 4] }
    const { tensors, metadata } = parseSafetensors(
      file(
        ` {"z" : ${JSON.stringify(zero)} ,"":{"shape":[],"data_offsets":[0,4],"dtype":"I32"},"__metadata__":{"__proto__":"p"}}\n `,
        4,
      ),
      'x',
    )
    expect([...tensors.keys()]).toEqual(['', 'z'])
    expect(Object.entries(metadata)).toEqual([['__proto__', 'p']])
    expect(metadata.constructor).toBeUndefined()
    expect(parseSafetensors(file('{}'), 'x').tensors.size).toBe(0)
  })

  it('files, too: missing, folders, pipes, cut short, or with a hole for their data', async () => {
    const path = join(folder, 'bad')
    await expect(readSafetensors(path)).rejects.toThrow(`${path}: no such file.`)
    await expect(readSafetensors(folder)).rejects.toThrow('not a file. Give a safetensors file.')
    await writeSafetensors(path, example)
    await truncate(path, (await readFile(path)).length - 1)
    await expect(readSafetensors(path)).rejects.toThrow(
      /of the data, the file has \d+\. The file is damaged or cut short/,
    )
    await writeFile(path, file('{}'))
    await truncate(path, 2 ** 42).catch(() => truncate(path, 2 ** 33))
    await expect(readSafetensors(path)).rejects.toThrow('of the data belong to no tensor.')
    await rm(path)
    if (process.platform !== 'win32') {
      execFileSync('mkfifo', [path])
      await expect(readSafetensors(path)).rejects.toThrow('not a file. Give a safetensors file.')
    }
  })

  it('any mutation of a file is read or refused, and nothing else', async () => {
    const path = join(folder, 'seed')
    await writeSafetensors(path, example, exampleMetadata)
    const seed = await readFile(path)
    const inserts = [
      '"',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '\\',
      '0',
      '9',
      '-',
      'e',
      '1e9',
      '\0',
      '\xff',
      '"__proto__"',
      '18446744073709551616',
    ]
    const edit = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      remove: fc.nat(6),
      insert: fc.oneof(fc.constantFrom(...inserts, ''), fc.string({ maxLength: 4 })),
      keepLength: fc.boolean(),
    })
    let read = 0
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
        let bytes: Buffer = seed
        for (const { at, remove, insert, keepLength } of edits) {
          const from = Math.floor(at * bytes.length)
          const before = bytes.length
          bytes = Buffer.concat([
            bytes.subarray(0, from),
            Buffer.from(insert, 'latin1'),
            bytes.subarray(from + remove),
          ])
          // The length field follows, so that the mutated header is reached.
          if (keepLength && bytes.length >= 8) {
            const length = bytes.readBigInt64LE() + BigInt(bytes.length - before)
            bytes.writeBigInt64LE(BigInt.asIntN(64, length))
          }
        }
        try {
          parseSafetensors(bytes, 'x')
          read++
        } catch (error) {
          if (!(error instanceof MnVideoError) || error.code !== 'weights') throw error
        }
      }),
      { seed: 1995, numRuns: 5000 },
    )
    expect(read).toBeGreaterThan(0)
  })
})

describe('reference checkpoint', () => {
  const reference = fileURLToPath(
    new URL('../../../shared/reference/checkpoints/x3d_reduced.safetensors', import.meta.url),
  )

  it.skipIf(!existsSync(reference))('has the tensors that its description lists', async () => {
    interface Description {
      readonly tensors: Readonly<
        Record<string, { dtype: string; shape: number[]; first: number[]; sum: number }>
      >
    }
    const description = JSON.parse(await readFile(`${reference}.json`, 'utf8')) as Description
    const { tensors } = await readSafetensors(reference)
    const dtypes: Record<string, SafetensorsDtype> = { float32: 'F32', int64: 'I64' }
    expect([...tensors.keys()].sort()).toEqual(Object.keys(description.tensors).sort())
    for (const [name, { dtype, shape, first, sum }] of Object.entries(description.tensors)) {
      const tensor = tensors.get(name)!
      expect([tensor.dtype, tensor.shape], name).toEqual([dtypes[dtype], shape])
      const values = Array.from(tensor.data, Number)
      for (const [i, value] of first.entries()) expect(values[i], name).toBeCloseTo(value, 6)
      const total = values.reduce((a, b) => a + b, 0)
      expect(Math.abs(total - sum), name).toBeLessThan(1e-4 * Math.max(1, Math.abs(sum)))
    }
  })
})
