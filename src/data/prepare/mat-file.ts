/**
 * Reads MATLAB's MAT-files of level 5, as far as ImageNet's `meta.mat` goes: arrays of structures of numbers and
 * text. Layout: "MAT-File Format", The MathWorks. Every length is checked against what is there, and what is there
 * against what such a file can hold: a few compressed bytes may stand for gigabytes.
 */
import { inflateSync } from 'node:zlib'
import { MnVideoError } from '../../errors.ts'

export type MatValue = string | readonly number[] | readonly Readonly<Record<string, MatValue>>[]

/** All of a file's content, decompressed; ImageNet's `meta.mat` has 3 MB. */
const MAX_BYTES = 2 ** 24
/** Fields of a structure; those of `meta.mat` have 8. */
const MAX_FIELDS = 256
const ELEMENT = { int8: 1, compressed: 15, matrix: 14 } as const
const CLASS = { cell: 1, structure: 2, text: 4 } as const
const MAX_DEPTH = 16

/** @throws MnVideoError 'data' for what is not such a file */
export function readMatFile(bytes: Buffer, name: string): ReadonlyMap<string, MatValue> {
  const fail = () =>
    new MnVideoError('data', `${name}: is not a MAT-file that can be read. Give the owner's file unchanged.`)
  if (bytes.length < 128 || bytes.toString('latin1', 126, 128) !== 'IM') throw fail()
  const variables = new Map<string, MatValue>()
  let left = MAX_BYTES
  try {
    for (const { type, body } of elements(bytes.subarray(128))) {
      const content = type === ELEMENT.compressed ? inflateSync(body, { maxOutputLength: left }) : body
      left -= content.length
      if (left <= 0) throw new RangeError('too long')
      const inner = type === ELEMENT.compressed ? elements(content).next().value : { type, body }
      if (inner?.type !== ELEMENT.matrix) continue
      const { label, value } = matrix(inner.body, 0)
      variables.set(label, value)
    }
  } catch (error) {
    if (error instanceof MnVideoError) throw error
    throw fail()
  }
  return variables
}

interface Element {
  readonly type: number
  readonly body: Buffer
}

function* elements(bytes: Buffer): Generator<Element> {
  for (let at = 0; at + 8 <= bytes.length; ) {
    const first = bytes.readUInt32LE(at)
    // Up to four bytes of content may lie in the tag itself.
    const isSmall = first >>> 16 !== 0
    const type = isSmall ? first & 0xffff : first
    const length = isSmall ? first >>> 16 : bytes.readUInt32LE(at + 4)
    const start = at + (isSmall ? 4 : 8)
    if (start + length > bytes.length || (isSmall && length > 4)) throw new RangeError('cut off')
    yield { type, body: bytes.subarray(start, start + length) }
    at = isSmall ? at + 8 : start + length
    // All but compressed elements are padded to eight bytes.
    if (type !== ELEMENT.compressed) at = Math.ceil(at / 8) * 8
  }
}

function matrix(body: Buffer, depth: number): { label: string; value: MatValue } {
  if (depth > MAX_DEPTH) throw new RangeError('too deep')
  const [flags, dimensions, label, ...parts] = [...elements(body)]
  // An empty matrix has no parts at all.
  if (!flags || !dimensions || !label) return { label: '', value: [] }
  const name = label.body.toString('latin1')
  const kind = flags.body[0]!
  const count = numbers(dimensions).reduce((product, each) => product * each, 1)
  if (kind === CLASS.structure) return { label: name, value: structures(parts, count, depth) }
  if (kind === CLASS.text) return { label: name, value: String.fromCharCode(...numbers(parts[0])) }
  if (kind === CLASS.cell) return { label: name, value: [] }
  return { label: name, value: numbers(parts[0]) }
}

function structures(parts: readonly Element[], count: number, depth: number): Record<string, MatValue>[] {
  const [nameLength, names, ...values] = parts
  const width = numbers(nameLength)[0] ?? 0
  if (!names || width < 1) return []
  // Structures without fields would take no bytes, however many there are said to be.
  const most = Math.ceil(names.body.length / width)
  if (most < 1 || most > MAX_FIELDS || count * most > values.length) throw new RangeError('cut off')
  const fields: string[] = []
  for (let at = 0; at < names.body.length; at += width) {
    fields.push(names.body.toString('latin1', at, at + width).replace(/\0.*$/s, ''))
  }
  return Array.from({ length: count }, (_, i) =>
    Object.fromEntries(
      fields.map(
        (field, k) => [field, matrix(values[i * fields.length + k]!.body, depth + 1).value] as const,
      ),
    ),
  )
}

type Read = (bytes: Buffer, at: number) => number
const NUMBERS: Readonly<Record<number, readonly [number, Read]>> = {
  1: [1, (bytes, at) => bytes.readInt8(at)],
  2: [1, (bytes, at) => bytes.readUInt8(at)],
  3: [2, (bytes, at) => bytes.readInt16LE(at)],
  4: [2, (bytes, at) => bytes.readUInt16LE(at)],
  5: [4, (bytes, at) => bytes.readInt32LE(at)],
  6: [4, (bytes, at) => bytes.readUInt32LE(at)],
  7: [4, (bytes, at) => bytes.readFloatLE(at)],
  9: [8, (bytes, at) => bytes.readDoubleLE(at)],
  12: [8, (bytes, at) => Number(bytes.readBigInt64LE(at))],
  13: [8, (bytes, at) => Number(bytes.readBigUInt64LE(at))],
  // Text in UTF-8 and UTF-16.
  16: [1, (bytes, at) => bytes.readUInt8(at)],
  17: [2, (bytes, at) => bytes.readUInt16LE(at)],
}

function numbers(element: Element | undefined): number[] {
  if (!element) return []
  const known = NUMBERS[element.type]
  if (!known) throw new RangeError('unknown type of numbers')
  const [width, read] = known
  return Array.from({ length: Math.floor(element.body.length / width) }, (_, i) =>
    read(element.body, i * width),
  )
}
