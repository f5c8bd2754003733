/** Writes MAT-files of level 5 in miniature: one compressed array of structures of numbers and text. */
import { deflateSync } from 'node:zlib'

type Field = string | number

/** Variable `name`, an N×1 array of structures with the fields of the first. */
export function matFile(name: string, rows: readonly Readonly<Record<string, Field>>[]): Buffer {
  const header = Buffer.alloc(128)
  header.write('MATLAB 5.0 MAT-file, written for a test')
  header.writeUInt16LE(0x0100, 124)
  header.write('IM', 126, 'latin1')
  const fields = Object.keys(rows[0]!)
  const names = Buffer.concat(fields.map((field) => Buffer.from(field.padEnd(32, '\0'))))
  const body = matrix(2, [rows.length, 1], name, [
    small(5, [32, 0, 0, 0]),
    element(1, names),
    ...rows.flatMap((row) => fields.map((field) => fieldMatrix(row[field]!))),
  ])
  const packed = deflateSync(body)
  const tag = Buffer.alloc(8)
  tag.writeUInt32LE(15)
  tag.writeUInt32LE(packed.length, 4)
  return Buffer.concat([header, tag, packed])
}

function fieldMatrix(value: Field): Buffer {
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(2)
    bytes.writeUInt16LE(value)
    // Doubles that fit are stored as 16-bit numbers, as MATLAB does.
    return matrix(6, [1, 1], '', [small(4, [...bytes])])
  }
  const text = Buffer.from(value, 'utf16le')
  return matrix(4, [1, value.length], '', [element(17, text)])
}

function matrix(kind: number, dimensions: readonly number[], name: string, parts: readonly Buffer[]): Buffer {
  const flags = Buffer.alloc(8)
  flags[0] = kind
  const shape = Buffer.alloc(8)
  for (const [i, length] of dimensions.entries()) shape.writeInt32LE(length, 4 * i)
  return element(
    14,
    Buffer.concat([element(6, flags), element(5, shape), element(1, Buffer.from(name)), ...parts]),
  )
}

function element(type: number, body: Buffer): Buffer {
  const tag = Buffer.alloc(8)
  tag.writeUInt32LE(type)
  tag.writeUInt32LE(body.length, 4)
  return Buffer.concat([tag, body, Buffer.alloc((8 - (body.length % 8)) % 8)])
}

/** Up to four bytes inside the tag. */
function small(type: number, bytes: readonly number[]): Buffer {
  const tag = Buffer.alloc(8)
  tag.writeUInt16LE(type)
  tag.writeUInt16LE(bytes.length, 2)
  Buffer.from(bytes).copy(tag, 4)
  return tag
}
