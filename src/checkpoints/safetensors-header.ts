/**
 * The header of a safetensors file: which tensors the data hold, and where. Everything is checked against the
 * size of the file before anything of that size is allocated.
 */
import { MnVideoError } from '../errors.ts'

/** The array of each dtype; 16-bit floats stay bits (see `toFloat32`). Files and hosts are little-endian. */
export const arrays = {
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

/** The array type that holds each dtype. */
export interface DtypeArrays {
  readonly F64: Float64Array
  readonly I64: BigInt64Array
  readonly U64: BigUint64Array
  readonly F32: Float32Array
  readonly I32: Int32Array
  readonly U32: Uint32Array
  readonly F16: Uint16Array
  readonly BF16: Uint16Array
  readonly I16: Int16Array
  readonly U16: Uint16Array
  readonly I8: Int8Array
  readonly U8: Uint8Array
  readonly BOOL: Uint8Array
}

/** The reference implementation's limit. */
const maxHeaderBytes = 100_000_000
/** Far above any network; they keep a hostile header from becoming far more memory than its own size. */
const maxEntries = 2 ** 17
const maxDimensions = 64
const damaged = 'The file is damaged or cut short; copy or create it again.'

/** Makes the error for something wrong with a file; the caller throws it. */
export type Fail = (what: string, cause?: unknown) => MnVideoError

export interface Entry {
  readonly dtype: SafetensorsDtype
  readonly shape: readonly number[]
  readonly start: number
  readonly end: number
}

export interface Header {
  readonly metadata: Readonly<Record<string, string>>
  /** In the order of the data. */
  readonly entries: readonly (readonly [string, Entry])[]
}

export function failure(name: string): Fail {
  return (what, cause) =>
    new MnVideoError('weights', `${name}: ${what}`, cause === undefined ? undefined : { cause })
}

/** The length of the JSON header, from the first 8 bytes. */
export function headerLength(start: Uint8Array, fileBytes: number, fail: Fail): number {
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
export function parseHeader(bytes: Uint8Array, dataBytes: number, fail: Fail): Header {
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
export function sizeOf(dtype: SafetensorsDtype, shape: readonly number[]): number {
  if (shape.includes(0)) return 0
  const size = shape.reduce((product, length) => product * length, arrays[dtype].BYTES_PER_ELEMENT)
  return Number.isSafeInteger(size) ? size : Number.POSITIVE_INFINITY
}

/** A name from a file as a message shows it. */
export function quote(name: string): string {
  const json = JSON.stringify(name).replace(/[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '?')
  return json.length > 100 ? `${json.slice(0, 98)}…"` : json
}
