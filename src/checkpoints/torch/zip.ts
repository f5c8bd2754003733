/**
 * The zip archives that `torch.save` writes: stored (never compressed) entries, zip64 where large. Every
 * offset and length is checked against the file, every entry against its checksum when it is read.
 */
import { crc32 } from 'node:zlib'
import type { MnVideoError } from '../../errors.ts'
import { quote } from '../safetensors-header.ts'

type Fail = (what: string) => MnVideoError

export interface Archive {
  readonly names: readonly string[]
  has(name: string): boolean
  /** The bytes of an entry, shared with the file's. */
  read(name: string): Uint8Array
}

const LOCAL = 0x04034b50
const CENTRAL = 0x02014b50
const END = 0x06054b50
const END64 = 0x06064b50
const LOCATOR64 = 0x07064b50
const END_BYTES = 22
const LONGEST_COMMENT = 0xffff
const MAX_ENTRIES = 2 ** 18

interface Entry {
  readonly size: number
  readonly checksum: number
  readonly header: number
}

/** Whether a file starts as a zip archive does. */
export const isZip = (bytes: Uint8Array): boolean =>
  bytes.length >= 4 && view(bytes).getUint32(0, true) === LOCAL

/** @throws MnVideoError `weights` when the archive is damaged, cut short or compressed */
export function openArchive(bytes: Uint8Array, fail: Fail): Archive {
  const data = view(bytes)
  const { count, start, end } = findDirectory(bytes, data, fail)
  const entries = new Map<string, Entry>()
  let at = start
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || data.getUint32(at, true) !== CENTRAL)
      throw fail(`the list of its zip entries is damaged`)
    const method = data.getUint16(at + 10, true)
    const nameLength = data.getUint16(at + 28, true)
    const extraLength = data.getUint16(at + 30, true)
    const next = at + 46 + nameLength + extraLength + data.getUint16(at + 32, true)
    if (next > end) throw fail('the list of its zip entries is damaged')
    const name = Buffer.from(bytes.subarray(at + 46, at + 46 + nameLength)).toString('utf8')
    const extra = at + 46 + nameLength
    const [size, packed, header] = wideFields(data, extra, extra + extraLength, [
      data.getUint32(at + 24, true),
      data.getUint32(at + 20, true),
      data.getUint32(at + 42, true),
    ])
    if (method !== 0 || size !== packed) {
      throw fail(
        `its entry ${quote(name)} is compressed, which torch.save never does. Save it with torch.save`,
      )
    }
    if (entries.has(name)) throw fail(`its zip archive has ${quote(name)} twice`)
    entries.set(name, { size, checksum: data.getUint32(at + 16, true), header })
    at = next
  }
  return {
    names: [...entries.keys()],
    has: (name) => entries.has(name),
    read(name) {
      const entry = entries.get(name)
      if (!entry) throw fail(`its zip archive has no ${quote(name)}`)
      return readEntry(bytes, data, name, entry, start, fail)
    },
  }
}

function readEntry(
  bytes: Uint8Array,
  data: DataView,
  name: string,
  { size, checksum, header }: Entry,
  limit: number,
  fail: Fail,
): Uint8Array {
  if (header + 30 > limit || data.getUint32(header, true) !== LOCAL) {
    throw fail(`its zip entry ${quote(name)} is not where the list says`)
  }
  const start = header + 30 + data.getUint16(header + 26, true) + data.getUint16(header + 28, true)
  if (start + size > limit) throw fail(`its zip entry ${quote(name)} is cut short`)
  const content = bytes.subarray(start, start + size)
  if (crc32(content) !== checksum) {
    throw fail(`its zip entry ${quote(name)} does not match its checksum: the file is damaged. Copy it again`)
  }
  return content
}

/** Where the list of entries is. The record that says so is the last one, before a comment. */
function findDirectory(bytes: Uint8Array, data: DataView, fail: Fail) {
  let at = bytes.length - END_BYTES
  const lowest = Math.max(0, at - LONGEST_COMMENT)
  while (at >= lowest && data.getUint32(at, true) !== END) at--
  if (at < lowest) throw fail('is a zip archive without its end: it is cut short. Copy it again')
  let count = data.getUint16(at + 10, true)
  let size = data.getUint32(at + 12, true)
  let start = data.getUint32(at + 16, true)
  const locator = at - 20
  if (locator >= 0 && data.getUint32(locator, true) === LOCATOR64) {
    const record = Number(data.getBigUint64(locator + 8, true))
    if (record + 56 > locator || data.getUint32(record, true) !== END64)
      throw fail('the end of its zip archive is damaged')
    count = Number(data.getBigUint64(record + 32, true))
    size = Number(data.getBigUint64(record + 40, true))
    start = Number(data.getBigUint64(record + 48, true))
  }
  if (start + size > at || count > MAX_ENTRIES || count * 46 > size)
    throw fail('the end of its zip archive is damaged')
  return { count, start, end: start + size }
}

/** Fields that are all ones have their 8 bytes, in this order, in the zip64 extra field. */
function wideFields(
  data: DataView,
  from: number,
  to: number,
  fields: readonly [number, number, number],
): [number, number, number] {
  for (let at = from; at + 4 <= to; ) {
    const length = data.getUint16(at + 2, true)
    if (data.getUint16(at, true) === 1) {
      let field = at + 4
      return fields.map((value) => {
        if (value !== 0xffffffff || field + 8 > Math.min(to, at + 4 + length)) return value
        field += 8
        return Number(data.getBigUint64(field - 8, true))
      }) as [number, number, number]
    }
    at += 4 + length
  }
  return [...fields]
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
