/** What a checkpoint's pickle holds besides plain numbers and text: dictionaries, and tensors in storages. */
import type { MnVideoError } from '../../errors.ts'
import type { SafetensorsDtype, SafetensorsTensor } from '../safetensors.ts'
import { arrays } from '../safetensors-header.ts'

/** A dictionary of a pickle. Lists, tuples and sets are arrays. */
export type Dictionary = ReadonlyMap<unknown, unknown>

/** Memory that tensors are views of. Its bytes may arrive after the tensors (legacy streams). */
export interface Storage {
  readonly dtype: SafetensorsDtype
  /** Values it has room for. */
  readonly length: number
  bytes(): Uint8Array
}

/** A view of a storage, in elements: value [i, j, …] is at offset + i·strides[0] + j·strides[1] + … */
export class Tensor {
  readonly storage: Storage
  readonly offset: number
  readonly shape: readonly number[]
  readonly strides: readonly number[]

  constructor(
    storage: Storage,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
    fail: (what: string) => MnVideoError,
  ) {
    const whole = (value: number) => Number.isSafeInteger(value) && value >= 0
    if (shape.length > MAX_DIMENSIONS || shape.length !== strides.length) {
      throw fail(`a tensor has ${shape.length} dimensions and ${strides.length} strides`)
    }
    if (![offset, ...shape, ...strides].every(whole)) {
      throw fail(`a tensor of shape [${shape}] has offset ${offset} and strides [${strides}]`)
    }
    const size = shape.reduce((product, length) => product * length, 1)
    if (size > 0) {
      const last = shape.reduce((at, length, axis) => at + (length - 1) * strides[axis]!, offset)
      if (last >= storage.length) {
        throw fail(`a tensor of shape [${shape}] reaches value ${last} of a storage of ${storage.length}`)
      }
      // Expanded views would let a small file ask for any amount of memory.
      if (size > storage.length) {
        throw fail(
          `a tensor of shape [${shape}] repeats a storage of ${storage.length} values (save a copy of it)`,
        )
      }
    }
    this.storage = storage
    this.offset = offset
    this.shape = shape
    this.strides = strides
  }

  /** A contiguous, row-major copy. */
  read(): SafetensorsTensor {
    const { storage, shape, strides, offset } = this
    const { dtype } = storage
    const array = arrays[dtype]
    const size = shape.reduce((product, length) => product * length, 1)
    const data = new array(size)
    if (size > 0) {
      const width = array.BYTES_PER_ELEMENT
      const span = shape.reduce((at, length, axis) => at + (length - 1) * strides[axis]!, 1)
      const bytes = storage.bytes().subarray(offset * width, (offset + span) * width)
      // A copy is aligned, which a place in a file need not be.
      const source = new array(new Uint8Array(bytes).buffer)
      copyStrided(source, data, shape, strides)
    }
    return { dtype, shape, data } as SafetensorsTensor
  }
}

/** PyTorch's own limit. */
const MAX_DIMENSIONS = 64

type Numbers = { [index: number]: number | bigint; readonly length: number }

function copyStrided(
  source: Numbers,
  target: Numbers,
  shape: readonly number[],
  strides: readonly number[],
): void {
  const position = shape.map(() => 0)
  let from = 0
  for (let to = 0; to < target.length; to++) {
    target[to] = source[from]!
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!
      if (++position[axis]! < shape[axis]!) break
      from -= strides[axis]! * shape[axis]!
      position[axis] = 0
    }
  }
}

/** Row-major strides of a shape. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length)
  let step = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step
    step *= shape[axis]!
  }
  return strides
}

export const isDictionary = (value: unknown): value is Dictionary => value instanceof Map
