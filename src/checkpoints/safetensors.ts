/**
 * The safetensors format: named tensors and a map of strings in one file. An 8-byte length, a JSON header
 * of that length (dtype, shape and data_offsets of each tensor, strings in `__metadata__`), then the data.
 * Files are taken as hostile: everything is checked against the size of the file before anything of that
 * size is allocated. What the tensors mean is the caller's business.
 */
import type { FileHandle } from 'node:fs/promises'
import { MnVideoError, reasonOf } from '../errors.ts'
import { openFile } from '../files/read.ts'
import { writeAtomically } from '../files/write.ts'
import { halfToSingle } from './half.ts'
import {
  arrays,
  type DtypeArrays,
  type Fail,
  failure,
  type Header,
  headerLength,
  parseHeader,
  quote,
  type SafetensorsDtype,
  sizeOf,
} from './safetensors-header.ts'

export type { SafetensorsDtype }

/** A tensor, row-major. */
export type SafetensorsTensor = {
  [D in SafetensorsDtype]: {
    readonly dtype: D
    readonly shape: readonly number[]
    readonly data: DtypeArrays[D]
  }
}[SafetensorsDtype]

/** The content of a file. Tensors are in the order of their data and may share one buffer. */
export interface SafetensorsFile {
  readonly metadata: Readonly<Record<string, string>>
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>
}

/** A read of more than 2 GiB at once fails. */
const chunkBytes = 2 ** 28

/** Reads a file; the data are read once, into one buffer that the tensors share. */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  const fail = failure(path)
  try {
    const file = await openFile(path)
    try {
      const { size } = await file.stat()
      const start = await readExactly(file, 0, Math.min(8, size), fail)
      const headerBytes = headerLength(start, size, fail)
      const header = parseHeader(await readExactly(file, 8, headerBytes, fail), size - 8 - headerBytes, fail)
      const data = await readExactly(file, 8 + headerBytes, size - 8 - headerBytes, fail)
      if ((await file.stat()).size !== size) throw fail('its size changed while it was read. Read it again.')
      return withData(header, data)
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof MnVideoError) throw error
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    throw fail(
      code === 'ENOENT' ? 'no such file.' : `cannot be read: ${reasonOf(error)}. Give a safetensors file.`,
      error,
    )
  }
}

/** The content of a file that is in memory; `name` stands for it in messages. Tensors share its bytes where aligned. */
export function parseSafetensors(bytes: Uint8Array, name: string): SafetensorsFile {
  const fail = failure(name)
  const headerBytes = headerLength(bytes.subarray(0, 8), bytes.length, fail)
  const data = bytes.subarray(8 + headerBytes)
  return withData(parseHeader(bytes.subarray(8, 8 + headerBytes), data.length, fail), data)
}

/**
 * Writes a file in one step: readers see the old file or the whole new one, also after a power failure.
 * The same content gives the same bytes, whatever its order.
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { header, parts } = encode(tensors, metadata)
  await writeAtomically(path, [header, ...parts]).catch((error: unknown) => {
    throw failure(path)(`cannot be written: ${reasonOf(error)}.`, error)
  })
}

/** The values of a floating-point tensor as 32-bit floats; F32 data are returned as they are, not copied. */
export function toFloat32(tensor: SafetensorsTensor, name = 'tensor'): Float32Array {
  switch (tensor.dtype) {
    case 'F32':
      return tensor.data
    case 'F64':
      return new Float32Array(tensor.data)
    case 'BF16':
      return widen(tensor.data, (bits) => bits << 16)
    case 'F16':
      return widen(tensor.data, halfToSingle)
    default:
      throw new MnVideoError(
        'weights',
        `${name}: has ${tensor.dtype} values where floating-point ones are needed.`,
      )
  }
}

function withData({ metadata, entries }: Header, data: Uint8Array): SafetensorsFile {
  const tensors = entries.map(([name, { dtype, shape, start, end }]) => {
    const array = arrays[dtype]
    const aligned = (data.byteOffset + start) % array.BYTES_PER_ELEMENT === 0
    const view = data.subarray(start, end)
    // A copy by constructor: a Buffer's own `slice` would not copy.
    const bytes = aligned ? view : new Uint8Array(view)
    const length = (end - start) / array.BYTES_PER_ELEMENT
    const values = new array(bytes.buffer as ArrayBuffer, bytes.byteOffset, length)
    return [name, { dtype, shape, data: values } as SafetensorsTensor] as const
  })
  return { metadata, tensors: new Map(tensors) }
}

function encode(tensors: ReadonlyMap<string, SafetensorsTensor>, metadata: Readonly<Record<string, string>>) {
  // Wide types first keeps every tensor aligned; then by name.
  const ordered = [...tensors].sort(
    ([a, left], [b, right]) =>
      right.data.BYTES_PER_ELEMENT - left.data.BYTES_PER_ELEMENT || (a < b ? -1 : Number(a > b)),
  )
  const fields: string[] = []
  const strings = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1))
  if (strings.length > 0) {
    const pairs = strings.map(([key, value]) => `${nameText(key)}:${nameText(value)}`)
    fields.push(`"__metadata__":{${pairs.join(',')}}`)
  }
  const parts: Uint8Array[] = []
  let offset = 0
  for (const [name, { dtype, shape, data }] of ordered) {
    if (name === '__metadata__') throw new TypeError('a tensor cannot be called __metadata__')
    if (!(data instanceof arrays[dtype]) || data.byteLength !== sizeOf(dtype, shape)) {
      throw new TypeError(`tensor ${quote(name)}: its data are not ${dtype} of shape [${shape}]`)
    }
    const end = offset + data.byteLength
    fields.push(`${nameText(name)}:{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${offset},${end}]}`)
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    offset = end
  }
  const json = Buffer.from(`{${fields.join(',')}}`)
  // Spaces up to a multiple of 8: the data start aligned.
  const length = 8 * Math.ceil(json.length / 8)
  const header = Buffer.alloc(8 + length, ' ')
  header.writeBigUInt64LE(BigInt(length))
  json.copy(header, 8)
  return { header, parts }
}

function nameText(value: string): string {
  if (/\p{Surrogate}/u.test(value)) throw new TypeError(`${quote(value)} is not well-formed Unicode`)
  return JSON.stringify(value)
}

async function readExactly(
  file: FileHandle,
  position: number,
  length: number,
  fail: Fail,
): Promise<Uint8Array> {
  // Not zeroed first: every byte is read, or nothing is returned.
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(chunkBytes, length - done), position + done)
    if (bytesRead === 0) throw fail('became shorter while it was read. Read it again when it is complete.')
    done += bytesRead
  }
  return bytes
}

function widen(data: Uint16Array, bitsOf: (bits: number) => number): Float32Array {
  const words = new Int32Array(data.length)
  for (let i = 0; i < data.length; i++) words[i] = bitsOf(data[i]!)
  return new Float32Array(words.buffer)
}
