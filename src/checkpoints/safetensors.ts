/**
 * The safetensors format: named tensors and a map of strings in one file. An 8-byte length, a JSON header
 * of that length (dtype, shape and data_offsets of each tensor, strings in `__metadata__`), then the data.
 * Files are taken as hostile: everything is checked against the size of the file before anything of that
 * size is allocated. What the tensors mean is the caller's business.
 */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { MnVideoError, messageOf } from '../errors.ts'

/** The array of each dtype; 16-bit floats stay bits (see `toFloat32`). Files and hosts are little-endian. */
const arrays = {
  F64: Float64Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  F32: Float32Array,
  I32: Int32Array,
  U32: Uint32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const

export type SafetensorsDtype = keyof typeof arrays

/** A tensor, row-major. */
export type SafetensorsTensor = {
  [D in SafetensorsDtype]: {
    readonly dtype: D
    readonly shape: readonly number[]
    readonly data: InstanceType<(typeof arrays)[D]>
  }
}[SafetensorsDtype]

/** The content of a file. Tensors are in the order of their data and may share one buffer. */
export interface SafetensorsFile {
  readonly metadata: Readonly<Record<string, string>>
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>
}

/** The reference implementation's limit. */
const maxHeaderBytes = 100_000_000
/** Far above any network; they keep a hostile header from becoming far more memory than its own size. */
const maxEntries = 2 ** 17
const maxDimensions = 64
/** Reads and writes of more than 2 GiB at once fail. */
const chunkBytes = 2 ** 28

const damaged = 'The file is damaged or cut short; copy or create it again.'

/** Reads a file; the data are read once, into one buffer that the tensors share. */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  const fail = failure(path)
  try {
    // Not blocking, so that a named pipe is refused below rather than waited for.
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    try {
      const { size, ...stat } = await file.stat().then((s) => ({ size: s.size, isFile: s.isFile() }))
      if (!stat.isFile) throw fail('not a file. Give a safetensors file.')
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
    throw fail(code === 'ENOENT' ? 'no such file.' : `cannot be read: ${messageOf(error)}.`, error)
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
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.${randomUUID()}.tmp`)
  try {
    const file = await open(temporary, 'wx')
    try {
      let position = 0
      for (const part of [header, ...parts]) {
        await writeAll(file, part, position)
        position += part.length
      }
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(folder)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw failure(path)(`cannot be written: ${messageOf(error)}.`, error)
  }
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

type Fail = (what: string, cause?: unknown) => MnVideoError

interface Entry {
  readonly dtype: SafetensorsDtype
  readonly shape: readonly number[]
  readonly start: number
  readonly end: number
}

interface Header {
  readonly metadata: Readonly<Record<string, string>>
  /** In the order of the data. */
  readonly entries: readonly (readonly [string, Entry])[]
}

function failure(name: string): Fail {
  return (what, cause) =>
    new MnVideoError('weights', `${name}: ${what}`, cause === undefined ? undefined : { cause })
}

function headerLength(start: Uint8Array, fileBytes: number, fail: Fail): number {
  if (start.length < 8) throw fail(`has ${start.length} bytes, too few for a safetensors file. ${damaged}`)
  const length = new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true)
  if (length > maxHeaderBytes) {
    throw fail(
      `not a safetensors file, or damaged: it claims a header of ${length} bytes (at most ${maxHeaderBytes}).`,
    )
  }
  if (Number(length) > fileBytes - 8) {
    throw fail(`the header ends at byte ${8 + Number(length)}, the file has ${fileBytes}. ${damaged}`)
  }
  return Number(length)
}

/** The header, checked: every tensor's bytes fit its shape, and together they cover the data exactly once. */
function parseHeader(bytes: Uint8Array, dataBytes: number, fail: Fail): Header {
  const metadata: Record<string, string> = Object.create(null)
  const entries = new Map<string, Entry>()
  const scan = scanner(decodeText(bytes, fail), fail)
  let count = 0
  const counted = () => {
    if (++count > maxEntries) throw fail(`the header has more than ${maxEntries} entries.`)
  }
  scan.object('the header', (name) => {
    counted()
    if (name !== '__metadata__') return void entries.set(name, readEntry(scan, name, fail))
    scan.object('__metadata__', (key) => {
      counted()
      metadata[key] = scan.text()
    })
  })
  scan.end()

  const ordered = [...entries].sort(([, a], [, b]) => a.start - b.start || a.end - b.end)
  let covered = 0
  for (const [name, { dtype, shape, start, end }] of ordered) {
    const tensor = `tensor ${quote(name)}`
    if (end > dataBytes)
      throw fail(`${tensor} ends at byte ${end} of the data, the file has ${dataBytes}. ${damaged}`)
    const size = sizeOf(dtype, shape)
    if (end - start !== size) {
      throw fail(
        `${tensor} has bytes ${start} to ${end}, but ${dtype} of shape [${shape}] takes ${size}. ${damaged}`,
      )
    }
    if (start < covered)
      throw fail(`${tensor} starts at byte ${start}, inside the tensor before it. ${damaged}`)
    if (start > covered)
      throw fail(`bytes ${covered} to ${start} of the data belong to no tensor. ${damaged}`)
    covered = end
  }
  if (covered < dataBytes)
    throw fail(`bytes ${covered} to ${dataBytes} of the data belong to no tensor. ${damaged}`)
  return { metadata, entries: ordered }
}

function readEntry(scan: Scanner, name: string, fail: Fail): Entry {
  const tensor = `tensor ${quote(name)}`
  let dtype: string | undefined
  let shape: number[] | undefined
  let offsets: number[] | undefined
  scan.object(tensor, (field) => {
    if (field === 'dtype') dtype = scan.text()
    else if (field === 'shape') shape = scan.integers(maxDimensions)
    else if (field === 'data_offsets') offsets = scan.integers(2)
    else throw fail(`${tensor} has an unknown field ${quote(field)} in the header.`)
  })
  if (dtype === undefined || shape === undefined || offsets === undefined) {
    throw fail(`${tensor} lacks dtype, shape or data_offsets in the header.`)
  }
  if (!Object.hasOwn(arrays, dtype)) {
    throw fail(`${tensor} has dtype ${quote(dtype)}; known are ${Object.keys(arrays).join(', ')}.`)
  }
  const [start, end] = offsets
  if (start === undefined || end === undefined || start > end) {
    throw fail(`${tensor} has data_offsets [${offsets}], expected [start, end]. ${damaged}`)
  }
  return { dtype: dtype as SafetensorsDtype, shape, start, end }
}

type Scanner = ReturnType<typeof scanner>

/**
 * Reads just the JSON that a header may consist of, and stops at the first thing it may not: JSON.parse
 * would build whatever a hostile header holds, and would hide names that occur twice.
 */
function scanner(json: string, fail: Fail) {
  let at = 0
  const unexpected = (expected: string) =>
    fail(`the header is not as it should be at character ${at}: expected ${expected}. ${damaged}`)
  const sticky = (form: RegExp): string => {
    form.lastIndex = at
    const found = form.exec(json)?.[0] ?? ''
    at += found.length
    return found
  }
  const skip = () => sticky(/[ \t\r\n]*/y)
  const accept = (character: string): boolean => {
    skip()
    if (json[at] !== character) return false
    at++
    return true
  }
  const expect = (character: string) => {
    if (!accept(character)) throw unexpected(`"${character}"`)
  }
  const text = (): string => {
    expect('"')
    const from = at - 1
    for (; json[at] !== '"'; at++) {
      if (at >= json.length) throw unexpected('the end of a string')
      if (json[at] === '\\') at++
    }
    at++
    try {
      return JSON.parse(json.slice(from, at))
    } catch {
      throw unexpected('a string')
    }
  }
  const items = (open: string, close: string, item: () => void) => {
    expect(open)
    if (accept(close)) return
    do item()
    while (accept(','))
    expect(close)
  }
  return {
    text,
    /** An object; `field` is called at each value, with its name. */
    object(what: string, field: (name: string) => void) {
      const seen = new Set<string>()
      items('{', '}', () => {
        const name = text()
        if (seen.has(name)) throw fail(`${what} has ${quote(name)} twice. ${damaged}`)
        seen.add(name)
        expect(':')
        field(name)
      })
    },
    /** An array of integers of at least 0 that a double holds exactly. */
    integers(longest: number): number[] {
      const values: number[] = []
      items('[', ']', () => {
        skip()
        const digits = sticky(/(?:0|[1-9]\d{0,15})(?![\d.eE])/y)
        const value = Number(digits)
        if (digits === '' || !Number.isSafeInteger(value)) throw unexpected('an integer below 2^53')
        if (values.push(value) > longest) throw unexpected(`at most ${longest} integers`)
      })
      return values
    },
    end() {
      skip()
      if (at !== json.length) throw unexpected('the end of the header')
    },
  }
}

function decodeText(bytes: Uint8Array, fail: Fail): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw fail(`the header is not UTF-8 text. ${damaged}`)
  }
}

/** Bytes of a tensor; infinite or inexact where they are too many, which no file's offsets equal. */
function sizeOf(dtype: SafetensorsDtype, shape: readonly number[]): number {
  if (shape.includes(0)) return 0
  const size = shape.reduce((product, length) => product * length, arrays[dtype].BYTES_PER_ELEMENT)
  return Number.isSafeInteger(size) ? size : Number.POSITIVE_INFINITY
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

/** A name from a file as a message shows it. */
function quote(name: string): string {
  const json = JSON.stringify(name).replace(/[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '?')
  return json.length > 100 ? `${json.slice(0, 98)}…"` : json
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

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(chunkBytes, bytes.length - done)
    done += (await file.write(bytes, done, length, position + done)).bytesWritten
  }
}

/** A rename lasts once its folder is on disk; some systems cannot sync a folder, and need not. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY).catch(() => undefined)
  await handle?.sync().catch(() => {})
  await handle?.close()
}

function widen(data: Uint16Array, bitsOf: (bits: number) => number): Float32Array {
  const words = new Int32Array(data.length)
  for (let i = 0; i < data.length; i++) words[i] = bitsOf(data[i]!)
  return new Float32Array(words.buffer)
}

/** IEEE 754 half to single precision, by bits. */
function halfToSingle(half: number): number {
  const sign = (half & 0x8000) << 16
  const exponent = (half >> 10) & 0x1f
  const fraction = half & 0x3ff
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13)
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13)
  if (fraction === 0) return sign
  // A subnormal half is a normal single: shift its leading one out.
  const shift = Math.clz32(fraction) - 21
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)
}
