/**
 * NumPy's arrays, dtypes and scalars as pickles hold them: made empty by a constructor, then given their
 * state. Arrays become tensors over their own bytes.
 */
import type { MnVideoError } from '../../errors.ts'
import type { SafetensorsDtype } from '../safetensors.ts'
import { arrays, quote } from '../safetensors-header.ts'
import { contiguousStrides, Tensor } from './values.ts'

type Fail = (what: string) => MnVideoError
type Constructor = (args: readonly unknown[], fail: Fail, budget: { left: number }) => unknown

const DTYPES: Readonly<Record<string, SafetensorsDtype>> = {
  f2: 'F16',
  f4: 'F32',
  f8: 'F64',
  i1: 'I8',
  i2: 'I16',
  i4: 'I32',
  i8: 'I64',
  u1: 'U8',
  u2: 'U16',
  u4: 'U32',
  u8: 'U64',
  b1: 'BOOL',
}

/** What a dtype's code stands for; the byte order comes with its state. */
export class NumpyDtype {
  readonly code: string
  bigEndian = false

  constructor(code: string) {
    this.code = code
  }

  setState(state: unknown, fail: Fail): void {
    const order: unknown = Array.isArray(state) ? state[1] : undefined
    if (typeof order !== 'string' || !/^[<>=|]$/.test(order)) throw fail('a NumPy dtype has no byte order')
    this.bigEndian = order === '>'
  }

  dtype(fail: Fail): SafetensorsDtype {
    const dtype = DTYPES[this.code]
    if (!dtype) throw fail(`NumPy values of type ${quote(this.code)} are not numbers that can be read`)
    if (this.bigEndian && arrays[dtype].BYTES_PER_ELEMENT > 1) {
      throw fail(`NumPy values of type ">${this.code}" are big-endian; save them as "<${this.code}"`)
    }
    return dtype
  }
}

/** An array, empty until its state is set. */
export class NumpyArray {
  tensor: Tensor | undefined

  setState(state: unknown, fail: Fail, budget: { left: number }): void {
    const [, shape, dtype, fortran, data] = Array.isArray(state) ? state : []
    if (!(dtype instanceof NumpyDtype) || !Array.isArray(shape))
      throw fail('a NumPy array has no shape or dtype')
    this.tensor = tensorOf(data, dtype, shape, fortran === true, fail, budget)
  }
}

const array: Constructor = () => new NumpyArray()

/** `numpy.dtype('f4', align, copy)`; in Python 3 the code may come with its byte order. */
const dtype: Constructor = ([code], fail) => {
  if (typeof code !== 'string') throw fail('a NumPy dtype has no code')
  const made = new NumpyDtype(code.replace(/^[<>=|]/, ''))
  made.bigEndian = code.startsWith('>')
  return made
}

/** A number: what `numpy.float64(0.1)` is saved as. */
const scalar: Constructor = ([type, data], fail, budget) => {
  if (!(type instanceof NumpyDtype)) throw fail('a NumPy number has no dtype')
  const [value] = tensorOf(data, type, [], false, fail, budget).read().data
  return value
}

/** Protocol 5's arrays: bytes, dtype, shape and order at once. */
const arrayFromBuffer: Constructor = ([data, type, shape, order], fail, budget) => {
  if (!(type instanceof NumpyDtype) || !Array.isArray(shape))
    throw fail('a NumPy array has no shape or dtype')
  const made = new NumpyArray()
  made.tensor = tensorOf(data, type, shape, order === 'F', fail, budget)
  return made
}

/** NumPy 2 renamed `numpy.core`. */
export const NUMPY_CONSTRUCTORS: readonly (readonly [string, Constructor])[] = [
  ['numpy.dtype', dtype],
  // Named as an argument of `_reconstruct`; called by nothing.
  ['numpy.ndarray', array],
  ...['numpy.core', 'numpy._core'].flatMap((core): [string, Constructor][] => [
    [`${core}.multiarray._reconstruct`, array],
    [`${core}.multiarray.scalar`, scalar],
    [`${core}.numeric._frombuffer`, arrayFromBuffer],
  ]),
]

function tensorOf(
  data: unknown,
  type: NumpyDtype,
  shape: readonly unknown[],
  fortran: boolean,
  fail: Fail,
  budget: { left: number },
): Tensor {
  const dtype = type.dtype(fail)
  if (!shape.every((length) => typeof length === 'number'))
    throw fail('the shape of a NumPy array is not numbers')
  const bytes = typeof data === 'string' ? fromText(data, fail, budget) : data
  if (!(bytes instanceof Uint8Array)) throw fail('a NumPy array has no bytes')
  const length = bytes.length / arrays[dtype].BYTES_PER_ELEMENT
  const size = shape.reduce((product, axis) => product * axis, 1)
  if (length !== size) throw fail(`a NumPy array of shape [${shape}] has ${length} values`)
  const strides = fortran ? contiguousStrides([...shape].reverse()).reverse() : contiguousStrides(shape)
  return new Tensor({ dtype, length, bytes: () => bytes }, 0, shape, strides, fail)
}

/** Python 2's byte strings, read as latin-1. */
function fromText(text: string, fail: Fail, budget: { left: number }): Uint8Array {
  budget.left -= text.length
  if (budget.left < 0) throw fail('its pickle copies more than it holds')
  return new Uint8Array(Buffer.from(text, 'latin1'))
}
