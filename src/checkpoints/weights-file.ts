/**
 * Any file of weights, whoever wrote it, as named tensors in PyTorch's layouts: which format it is, where in
 * it the state dict lies, and what its tensors are called. What the names mean is `names/`'s business.
 */
import { MnVideoError, reasonOf } from '../errors.ts'
import { readWhole } from '../files/read.ts'
import { ownTensors } from './own-tensors.ts'
import { parseSafetensors, type SafetensorsDtype, type SafetensorsTensor } from './safetensors.ts'
import { quote } from './safetensors-header.ts'
import { NumpyArray } from './torch/numpy.ts'
import { parseTorch, type TorchFormat } from './torch/read.ts'
import { type Dictionary, isDictionary, Tensor } from './torch/values.ts'

export interface WeightsFile {
  readonly format: 'safetensors' | TorchFormat
  /** The keys that lead to the state dict: `model_state`; empty where the file is one. */
  readonly container: string
  readonly metadata: Readonly<Record<string, string>>
  readonly tensors: ReadonlyMap<string, SourceTensor>
}

/** A tensor that has not been read yet. */
export interface SourceTensor {
  readonly dtype: SafetensorsDtype
  readonly shape: readonly number[]
  /** @throws MnVideoError `weights` when its bytes are damaged */
  read(): SafetensorsTensor
}

/**
 * Where PySlowFast, Lightning, timm, MutualNet and Caffe2 keep the weights, beside their optimiser's state. Elsewhere the
 * keys on the way to a tensor are a part of its name, like a wrapper's prefix (`names/wrappers.ts`).
 */
const CONTAINERS = ['model_state', 'state_dict', 'model_state_dict', 'model', 'blobs']

/** Far above any network and its optimiser's state. */
const MAX_BYTES = 2 ** 33
const MAX_VALUES = 2 ** 18
const MAX_DEPTH = 8

/** @throws MnVideoError `weights` when there is no such file, it is damaged, or it holds no state dict */
export async function readWeightsFile(path: string): Promise<WeightsFile> {
  return parseWeightsFile(await bytesOf(path), path)
}

/** The same for a file that is in memory; `name` stands for it in messages. */
export function parseWeightsFile(bytes: Uint8Array, name: string): WeightsFile {
  if (isSafetensors(bytes)) {
    const { metadata, tensors } = parseSafetensors(bytes, name)
    const sources = new Map(
      [...tensors].map(([key, tensor]) => [key, { ...tensor, read: () => tensor }] as const),
    )
    return { format: 'safetensors', metadata, ...(ownTensors(metadata, sources) ?? plain(sources)) }
  }
  const { format, value } = parseTorch(bytes, name)
  return { format, metadata: {}, ...findStateDict(value, name) }
}

/** The tensors of a dictionary and of the dictionaries in it, their keys joined by dots. */
export function namedTensors(dictionary: Dictionary, name: string): Map<string, SourceTensor> {
  const tensors = new Map<string, SourceTensor>()
  let visited = 0
  const visit = (values: Dictionary, prefix: string, depth: number) => {
    for (const [key, value] of values) {
      if (++visited > MAX_VALUES || depth > MAX_DEPTH) {
        throw new MnVideoError(
          'weights',
          `${name}: has more values, or deeper ones, than any network's weights.`,
        )
      }
      const path = `${prefix}${String(key)}`
      const tensor = tensorOf(value)
      if (tensor) tensors.set(path, source(tensor))
      else if (isDictionary(value)) visit(value, `${path}.`, depth + 1)
    }
  }
  visit(dictionary, '', 0)
  return tensors
}

const source = (tensor: Tensor): SourceTensor => ({
  dtype: tensor.storage.dtype,
  shape: tensor.shape,
  read: () => tensor.read(),
})

function findStateDict(value: unknown, name: string): Pick<WeightsFile, 'container' | 'tensors'> {
  const path: string[] = []
  let dictionary = value
  while (isDictionary(dictionary) && path.length < MAX_DEPTH) {
    const inside: Dictionary = dictionary
    const key = CONTAINERS.find((candidate) => isDictionary(inside.get(candidate)))
    if (key === undefined) break
    path.push(key)
    dictionary = inside.get(key)
  }
  const tensors = isDictionary(dictionary) ? namedTensors(dictionary, name) : new Map()
  if (tensors.size > 0) return { container: path.join('.'), tensors }
  const found = isDictionary(dictionary)
    ? `its keys are ${
        [...dictionary.keys()]
          .slice(0, 5)
          .map((key) => quote(String(key)))
          .join(', ') || 'none'
      }`
    : 'it holds no dictionary'
  throw new MnVideoError(
    'weights',
    `${name}: has no state dict (${found}; no tensors in any of them).\nSave one: torch.save(model.state_dict(), …).`,
  )
}

function tensorOf(value: unknown): Tensor | undefined {
  if (value instanceof Tensor) return value
  return value instanceof NumpyArray ? value.tensor : undefined
}

const plain = (tensors: ReadonlyMap<string, SourceTensor>) => ({ container: '', tensors })

/** A length that fits the file, then a JSON object; neither zip archives nor pickles start so. */
function isSafetensors(bytes: Uint8Array): boolean {
  if (bytes.length < 10 || bytes[8] !== 0x7b) return false
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
  return length <= BigInt(bytes.length - 8)
}

async function bytesOf(path: string): Promise<Uint8Array> {
  try {
    return await readWhole(path, MAX_BYTES)
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const what = missing ? 'no such file.' : `cannot be read: ${reasonOf(error)}. Give a file of weights.`
    throw new MnVideoError('weights', `${path}: ${what}`, { cause: error })
  }
}
