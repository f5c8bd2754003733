/**
 * Writes what `torch.save` and `pickle.dump` write, in miniature, so that tests can make any checkpoint,
 * right or wrong. Protocol 2, no memo.
 */
import { crc32 } from 'node:zlib'

/** What a pickle can be told to hold besides null, booleans, numbers, text, bytes, lists and maps. */
export class Tuple {
  readonly items: readonly unknown[]
  constructor(...items: readonly unknown[]) {
    this.items = items
  }
}
export class Global {
  readonly module: string
  readonly name: string
  constructor(module: string, name: string) {
    this.module = module
    this.name = name
  }
}
/** `callable(*args)`, then `state` set on it where given. */
export class Call {
  readonly callable: Global
  readonly args: readonly unknown[]
  readonly state: unknown
  constructor(callable: Global, args: readonly unknown[], state?: unknown) {
    this.callable = callable
    this.args = args
    this.state = state
  }
}
export class Persistent {
  readonly id: Tuple
  constructor(id: Tuple) {
    this.id = id
  }
}
/** A Python 2 byte string. */
export class ByteString {
  readonly bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

export function pickle(value: unknown): Buffer {
  return Buffer.concat([Buffer.from([0x80, 2]), ...encode(value), Buffer.from('.')])
}

const op = (text: string) => Buffer.from(text, 'latin1')
const u32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function encode(value: unknown): Buffer[] {
  if (value === null) return [op('N')]
  if (typeof value === 'boolean') return [op(value ? '\x88' : '\x89')]
  if (typeof value === 'bigint')
    return [op('\x8a\x0a'), Buffer.from(value.toString(16).padStart(20, '0'), 'hex').reverse()]
  if (typeof value === 'number') {
    if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) {
      const bytes = Buffer.alloc(4)
      bytes.writeInt32LE(value)
      return [op('J'), bytes]
    }
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleBE(value)
    return [op('G'), bytes]
  }
  if (typeof value === 'string') {
    const text = Buffer.from(value)
    return [op('X'), u32(text.length), text]
  }
  if (value instanceof Uint8Array) return [op('B'), u32(value.length), Buffer.from(value)]
  if (value instanceof ByteString) return [op('T'), u32(value.bytes.length), Buffer.from(value.bytes)]
  if (Array.isArray(value)) return [op(']('), ...value.flatMap(encode), op('e')]
  if (value instanceof Map) return [op('}('), ...[...value].flat().flatMap(encode), op('u')]
  if (value instanceof Tuple) return [op('('), ...value.items.flatMap(encode), op('t')]
  if (value instanceof Global) return [op(`c${value.module}\n${value.name}\n`)]
  if (value instanceof Persistent) return [...encode(value.id), op('Q')]
  if (value instanceof Call) {
    const state = value.state === undefined ? [] : [...encode(value.state), op('b')]
    return [...encode(value.callable), ...encode(new Tuple(...value.args)), op('R'), ...state]
  }
  throw new Error(`cannot pickle ${String(value)}`)
}

/** A tensor to save: a view of a storage. */
export interface TensorSpec {
  readonly type: string
  readonly key: string
  readonly bytes: Uint8Array
  readonly length: number
  readonly shape: readonly number[]
  readonly strides: readonly number[]
  readonly offset?: number
}

/** A contiguous float32 tensor with a storage of its own. */
export function float32(key: string, shape: readonly number[], values: ArrayLike<number>): TensorSpec {
  const data = Float32Array.from(values)
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1))
  return { type: 'Float', key, bytes: new Uint8Array(data.buffer), length: data.length, shape, strides }
}

export function tensor(spec: TensorSpec, legacy = false): Call {
  const { type, key, length, shape, strides, offset = 0 } = spec
  const id = ['storage', new Global('torch', `${type}Storage`), key, 'cpu', length, ...(legacy ? [null] : [])]
  return new Call(new Global('torch._utils', '_rebuild_tensor_v2'), [
    new Persistent(new Tuple(...id)),
    offset,
    new Tuple(...shape),
    new Tuple(...strides),
    false,
    new Call(new Global('collections', 'OrderedDict'), []),
  ])
}

/** What `torch.save` writes since 1.6. `build` makes the value of the tensors; storages are taken from `specs`. */
export function torchZip(
  value: unknown,
  specs: readonly TensorSpec[],
  options: { readonly zip64?: boolean } = {},
): Buffer {
  const entries = new Map<string, Uint8Array>([
    ['archive/data.pkl', pickle(value)],
    ['archive/byteorder', Buffer.from('little')],
    ...specs.map(({ key, bytes }) => [`archive/data/${key}`, bytes] as const),
    ['archive/version', Buffer.from('3\n')],
  ])
  return zip(entries, options)
}

/** What `torch.save` wrote before, and writes with `_use_new_zipfile_serialization=False`. */
export function torchLegacy(value: unknown, specs: readonly TensorSpec[]): Buffer {
  const byKey = new Map(specs.map((spec) => [spec.key, spec]))
  const machine = new Map<string, unknown>([
    ['protocol_version', 1001],
    ['little_endian', true],
  ])
  return Buffer.concat([
    pickle(0x1950a86a20f9469cfc6cn),
    pickle(1001),
    pickle(machine),
    pickle(value),
    pickle([...byKey.keys()]),
    ...[...byKey.values()].flatMap(({ length, bytes }) => [u32(length), u32(0), Buffer.from(bytes)]),
  ])
}

/** A NumPy array as protocol 2 has it. */
export function numpyArray(
  code: string,
  shape: readonly number[],
  data: unknown,
  { fortran = false, order = '<' } = {},
): Call {
  const dtype = new Call(
    new Global('numpy', 'dtype'),
    [code, 0, 1],
    new Tuple(3, order, null, null, null, -1, -1, 0),
  )
  return new Call(
    new Global('numpy.core.multiarray', '_reconstruct'),
    [new Global('numpy', 'ndarray'), new Tuple(0), new ByteString(Buffer.from('b'))],
    new Tuple(1, new Tuple(...shape), dtype, fortran, data),
  )
}

/** A zip archive of stored entries, their data aligned to 64 bytes as torch does. */
export function zip(
  entries: ReadonlyMap<string, Uint8Array>,
  { zip64 = false, method = 0 }: { readonly zip64?: boolean; readonly method?: number } = {},
): Buffer {
  const parts: Buffer[] = []
  const central: Buffer[] = []
  let at = 0
  for (const [name, content] of entries) {
    const path = Buffer.from(name)
    const padding = (64 - ((at + 30 + path.length) % 64)) % 64
    const local = Buffer.alloc(30)
    local.writeUInt32LE(0x04034b50, 0)
    local.writeUInt16LE(method, 8)
    local.writeUInt32LE(crc32(content), 14)
    local.writeUInt32LE(content.length, 18)
    local.writeUInt32LE(content.length, 22)
    local.writeUInt16LE(path.length, 26)
    local.writeUInt16LE(padding, 28)
    parts.push(local, path, Buffer.alloc(padding), Buffer.from(content))
    central.push(directoryEntry(path, content, at, method, zip64))
    at += 30 + path.length + padding + content.length
  }
  const directory = Buffer.concat(central)
  return Buffer.concat([
    ...parts,
    directory,
    ...(zip64 ? end64(entries.size, directory.length, at) : []),
    end(zip64 ? 0xffff : entries.size, zip64 ? 0xffffffff : directory.length, zip64 ? 0xffffffff : at),
  ])
}

function directoryEntry(
  path: Buffer,
  content: Uint8Array,
  at: number,
  method: number,
  wide: boolean,
): Buffer {
  const extra = Buffer.alloc(wide ? 28 : 0)
  if (wide) {
    extra.writeUInt16LE(1, 0)
    extra.writeUInt16LE(24, 2)
    extra.writeBigUInt64LE(BigInt(content.length), 4)
    extra.writeBigUInt64LE(BigInt(content.length), 12)
    extra.writeBigUInt64LE(BigInt(at), 20)
  }
  const entry = Buffer.alloc(46)
  entry.writeUInt32LE(0x02014b50, 0)
  entry.writeUInt16LE(method, 10)
  entry.writeUInt32LE(crc32(content), 16)
  entry.writeUInt32LE(wide ? 0xffffffff : content.length, 20)
  entry.writeUInt32LE(wide ? 0xffffffff : content.length, 24)
  entry.writeUInt16LE(path.length, 28)
  entry.writeUInt16LE(extra.length, 30)
  entry.writeUInt32LE(wide ? 0xffffffff : at, 42)
  return Buffer.concat([entry, path, extra])
}

function end64(count: number, size: number, start: number): Buffer[] {
  const record = Buffer.alloc(56)
  record.writeUInt32LE(0x06064b50, 0)
  record.writeBigUInt64LE(44n, 4)
  record.writeBigUInt64LE(BigInt(count), 24)
  record.writeBigUInt64LE(BigInt(count), 32)
  record.writeBigUInt64LE(BigInt(size), 40)
  record.writeBigUInt64LE(BigInt(start), 48)
  const locator = Buffer.alloc(20)
  locator.writeUInt32LE(0x07064b50, 0)
  locator.writeBigUInt64LE(BigInt(start + size), 8)
  locator.writeUInt32LE(1, 16)
  return [record, locator]
}

function end(count: number, size: number, start: number): Buffer {
  const record = Buffer.alloc(22)
  record.writeUInt32LE(0x06054b50, 0)
  record.writeUInt16LE(count, 8)
  record.writeUInt16LE(count, 10)
  record.writeUInt32LE(size, 12)
  record.writeUInt32LE(start, 16)
  return record
}
