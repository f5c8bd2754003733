/**
 * The names that a weights pickle may mention, and what each makes: the storages, dtypes and constructors
 * that PyTorch writes, and a few of Python's own. Any other name is refused before anything is made of it.
 */
import type { MnVideoError } from '../../errors.ts'
import type { SafetensorsDtype } from '../safetensors.ts'
import { quote } from '../safetensors-header.ts'
import { NUMPY_CONSTRUCTORS } from './numpy.ts'
import { isDictionary, Tensor } from './values.ts'

export type Fail = (what: string) => MnVideoError

/** Bytes that constructors may still make. */
export interface Budget {
  left: number
}

export type Constructor = (args: readonly unknown[], fail: Fail, budget: Budget) => unknown

/** A name that a pickle mentions: known, or refused when it is read. */
export class GlobalName {
  readonly name: string

  constructor(module: string, name: string, fail: Fail) {
    this.name = `${module}.${name}`
    if (!CONSTRUCTORS.has(this.name) && !this.storageDtype && !PLAIN.test(this.name)) {
      throw fail(
        `its pickle names ${quote(this.name)}, which is not something that weights consist of; nothing of it was run. ` +
          'Save the state dict alone: torch.save(model.state_dict(), …)',
      )
    }
  }

  /** The dtype of a storage type. */
  get storageDtype(): SafetensorsDtype | undefined {
    return STORAGES.get(this.name)
  }

  construct(args: readonly unknown[], fail: Fail, budget: Budget): unknown {
    const make = CONSTRUCTORS.get(this.name)
    if (!make) throw fail(`its pickle calls ${quote(this.name)}, which is no constructor`)
    return make(args, fail, budget)
  }
}

/** Names that are values in themselves: dtypes, layouts, and the classes that constructors are told. */
const PLAIN =
  /^torch\.(?:u?int(?:8|16|32|64)|b?float(?:16|32|64)|half|float|double|long|int|short|bool|strided|preserve_format|contiguous_format|Tensor|nn\.parameter\.Buffer)$/

/** torch's storage types; those of a GPU are written with the module `torch.cuda`. */
const STORAGES: ReadonlyMap<string, SafetensorsDtype> = new Map(
  Object.entries({
    Float: 'F32',
    Double: 'F64',
    Half: 'F16',
    BFloat16: 'BF16',
    Long: 'I64',
    Int: 'I32',
    Short: 'I16',
    Char: 'I8',
    Byte: 'U8',
    Bool: 'BOOL',
  } satisfies Record<string, SafetensorsDtype>).flatMap(([type, dtype]) => [
    [`torch.${type}Storage`, dtype] as const,
    [`torch.cuda.${type}Storage`, dtype] as const,
  ]),
)

const tensor: Constructor = ([storage, offset, shape, strides], fail) => {
  if (!isStorage(storage) || typeof offset !== 'number' || !isNumbers(shape) || !isNumbers(strides)) {
    throw fail('a tensor lacks its storage, shape or strides')
  }
  return new Tensor(storage, offset, [...shape], [...strides], fail)
}

/** A parameter is its tensor. */
const parameter: Constructor = ([data], fail) => {
  if (data instanceof Tensor) return data
  throw fail('a parameter has no tensor')
}

/** A tensor with Python attributes: they say nothing about weights. */
const tensorOfType: Constructor = ([rebuild, , args], fail, budget) => {
  const known =
    rebuild instanceof GlobalName && /^torch\._utils\._rebuild_(?:tensor|parameter)/.test(rebuild.name)
  if (!known || !Array.isArray(args)) throw fail('a tensor of a class is not made from a tensor')
  return rebuild.construct(args, fail, budget)
}

const dictionary: Constructor = ([from], fail, budget) => {
  if (from === undefined) return new Map()
  const pairs: unknown[] = isDictionary(from) ? [...from] : Array.isArray(from) ? from : [undefined]
  budget.left -= 64 * pairs.length
  const whole = pairs.every((pair) => Array.isArray(pair) && pair.length === 2)
  if (budget.left < 0 || !whole) throw fail('a dictionary is not made from pairs')
  return new Map(pairs as [unknown, unknown][])
}

const list: Constructor = ([items = []], fail, budget) => {
  if (!Array.isArray(items)) throw fail('a set is not made from a list')
  budget.left -= 16 * items.length
  if (budget.left < 0) throw fail('its pickle copies more than it holds')
  return [...items]
}

/** Bytes as pickles of protocol 2 have them: text whose characters are bytes, and the name of that encoding. */
const bytes: Constructor = ([text, encoding], fail, budget) => {
  if (text === undefined) return new Uint8Array(0)
  if (text instanceof Uint8Array) return text
  if (typeof text !== 'string' || (encoding !== 'latin1' && encoding !== 'latin-1')) {
    throw fail('bytes are not written as latin-1 text')
  }
  budget.left -= text.length
  if (budget.left < 0) throw fail('its pickle copies more than it holds')
  return new Uint8Array(Buffer.from(text, 'latin1'))
}

const CONSTRUCTORS: ReadonlyMap<string, Constructor> = new Map<string, Constructor>([
  ['torch._utils._rebuild_tensor', tensor],
  ['torch._utils._rebuild_tensor_v2', tensor],
  ['torch._utils._rebuild_parameter', parameter],
  ['torch._utils._rebuild_parameter_with_state', parameter],
  // Before PyTorch 0.4, followed by a state that says whether it is trained.
  ['torch.nn.parameter.Parameter', parameter],
  ['torch._tensor._rebuild_from_type_v2', tensorOfType],
  ['torch.Size', list],
  ['torch.device', ([name = 'cpu']) => name],
  ['collections.OrderedDict', dictionary],
  ['collections.Counter', dictionary],
  ['_codecs.encode', bytes],
  ...['builtins', '__builtin__'].flatMap((module): [string, Constructor][] => [
    [`${module}.set`, list],
    [`${module}.frozenset`, list],
    [`${module}.bytes`, bytes],
    [`${module}.bytearray`, bytes],
  ]),
  ...NUMPY_CONSTRUCTORS,
])

function isStorage(value: unknown): value is Tensor['storage'] {
  return typeof value === 'object' && value !== null && 'dtype' in value && 'bytes' in value
}

const isNumbers = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'number')
