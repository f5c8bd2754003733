/**
 * The files that `torch.save` and `pickle.dump` write: zip archives (PyTorch 1.6 and newer), legacy streams,
 * and plain pickles of NumPy arrays (Caffe2's model zoo). What is in them means nothing here.
 */
import { MnVideoError } from '../../errors.ts'
import { arrays, quote } from '../safetensors-header.ts'
import { GlobalName } from './globals.ts'
import { readPickle } from './pickle.ts'
import type { Storage } from './values.ts'
import { type Archive, isZip, openArchive } from './zip.ts'

export type TorchFormat = 'torch zip' | 'torch legacy' | 'pickle'

export interface TorchFile {
  readonly format: TorchFormat
  /** What was saved: numbers, text, arrays, maps, `Tensor`s and `NumpyArray`s. */
  readonly value: unknown
}

/** The magic number of a legacy stream: the first of its pickles. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn
const LEGACY_PROTOCOL = 1001

type Fail = (what: string) => MnVideoError

/**
 * Reads a file that is in memory; `name` stands for it in messages. Tensors share its bytes.
 *
 * @throws MnVideoError `weights` when it is damaged or holds more than weights
 */
export function parseTorch(bytes: Uint8Array, name: string): TorchFile {
  const fail: Fail = (what) => new MnVideoError('weights', `${name}: ${what}.`)
  if (isZip(bytes)) return { format: 'torch zip', value: readZip(openArchive(bytes, fail), fail) }
  if (bytes[0] !== 0x80) {
    throw fail('is neither safetensors nor anything torch.save or pickle.dump (protocol 2 or newer) writes')
  }
  const first = readPickle(bytes, 0, { fail })
  if (first.value === LEGACY_MAGIC) {
    return { format: 'torch legacy', value: readLegacy(bytes, first.end, fail) }
  }
  return { format: 'pickle', value: first.value }
}

function readZip(archive: Archive, fail: Fail): unknown {
  const pickles = archive.names.filter((name) => name.endsWith('/data.pkl'))
  if (pickles.length !== 1) throw fail('is a zip archive, but not one of torch.save (no single data.pkl)')
  const folder = pickles[0]!.slice(0, -'data.pkl'.length)
  if (archive.has(`${folder}constants.pkl`)) {
    throw fail('is a TorchScript archive. Save the weights alone: torch.save(model.state_dict(), …)')
  }
  const order = `${folder}byteorder`
  if (archive.has(order) && Buffer.from(archive.read(order)).toString() !== 'little') {
    throw fail('was saved on a big-endian machine. Save it on a little-endian one')
  }
  const storages = new Map<string, Storage>()
  const { value } = readPickle(archive.read(pickles[0]!), 0, {
    fail,
    persistent(id) {
      const { key, dtype, length } = storageOf(id, fail)
      const known = storages.get(key)
      if (known) return known
      let content: Uint8Array | undefined
      const storage: Storage = {
        dtype,
        length,
        bytes() {
          content ??= archive.read(`${folder}data/${key}`)
          if (content.length < length * arrays[dtype].BYTES_PER_ELEMENT)
            throw fail(`storage ${quote(key)} is cut short`)
          return content
        },
      }
      storages.set(key, storage)
      return storage
    },
  })
  return value
}

/**
 * Five pickles (magic number, protocol, the machine, the value, the keys of its storages), then the storages
 * in the order of the keys: a count of 8 bytes and the values.
 */
function readLegacy(bytes: Uint8Array, start: number, fail: Fail): unknown {
  const protocol = readPickle(bytes, start, { fail })
  if (protocol.value !== LEGACY_PROTOCOL)
    throw fail(`is a torch stream of protocol ${show(protocol.value)}, not 1001`)
  const machine = readPickle(bytes, protocol.end, { fail })
  if (!(machine.value instanceof Map) || machine.value.get('little_endian') !== true) {
    throw fail('was saved on a big-endian machine. Save it on a little-endian one')
  }
  const storages = new Map<string, Storage>()
  const contents = new Map<string, Uint8Array>()
  const { value, end } = readPickle(bytes, machine.end, {
    fail,
    persistent(id) {
      const { key, dtype, length, view } = storageOf(id, fail)
      const root = storages.get(key) ?? {
        dtype,
        length,
        bytes() {
          const content = contents.get(key)
          if (!content) throw fail(`storage ${quote(key)} is missing`)
          return content
        },
      }
      storages.set(key, root)
      return view ? partOf(root, view, fail) : root
    },
  })
  const keys = readPickle(bytes, end, { fail })
  if (!Array.isArray(keys.value)) throw fail('its list of storages is damaged')
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let at = keys.end
  for (const key of keys.value) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined
    if (!storage || at + 8 > bytes.length) throw fail('its storages are cut short or unknown')
    const size = Number(data.getBigUint64(at, true)) * arrays[storage.dtype].BYTES_PER_ELEMENT
    const wanted = storage.length * arrays[storage.dtype].BYTES_PER_ELEMENT
    if (size !== wanted || at + 8 + size > bytes.length)
      throw fail(`storage ${quote(String(key))} is cut short`)
    contents.set(String(key), bytes.subarray(at + 8, at + 8 + size))
    at += 8 + size
  }
  return value
}

/** `('storage', type, key, location, length)`; legacy streams add a view `(key, offset, length)` or None. */
function storageOf(id: unknown, fail: Fail) {
  const [kind, type, key, , length, view] = Array.isArray(id) ? id : []
  const dtype = type instanceof GlobalName ? type.storageDtype : undefined
  const whole = Number.isSafeInteger(length) && length >= 0
  if (kind !== 'storage' || !dtype || typeof key !== 'string' || !whole) {
    throw fail('a storage is not described as torch.save does')
  }
  return { key, dtype, length: length as number, view: Array.isArray(view) ? view : undefined }
}

/** Very old streams describe a part of a storage as a storage of its own. */
function partOf(root: Storage, [, offset, length]: readonly unknown[], fail: Fail): Storage {
  const whole = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0
  if (!whole(offset) || !whole(length) || offset + length > root.length)
    throw fail('a part of a storage lies outside it')
  const width = arrays[root.dtype].BYTES_PER_ELEMENT
  return {
    dtype: root.dtype,
    length,
    bytes: () => root.bytes().subarray(offset * width, (offset + length) * width),
  }
}

const show = (value: unknown): string => (typeof value === 'number' ? String(value) : 'unknown')
