/**
 * This program's own files, weights of a run and training checkpoints, as PyTorch would have saved them: our names are
 * PyTorchVideo's and MutualNet's, so that only the order of the axes differs, and the rank tells which it is.
 */
import { torchShapeOfRank, toTorch, withAllAxes } from './import/layouts.ts'
import { toFloat32 } from './safetensors.ts'
import type { SourceTensor } from './weights-file.ts'

/** How the names of a checkpoint's weights begin: the moving average is what a run is of, where there is one. */
const AVERAGE = 'average/'
const WEIGHTS = 'weights/'

/** The tensors of a file of ours in PyTorch's layouts, and which part of the file they are; undefined for other files. */
export function ownTensors(
  metadata: Readonly<Record<string, string>>,
  tensors: ReadonlyMap<string, SourceTensor>,
): { readonly container: string; readonly tensors: ReadonlyMap<string, SourceTensor> } | undefined {
  const isCheckpoint = metadata.format?.startsWith('mn-video checkpoint') ?? false
  if (!isCheckpoint && metadata.layout !== 'channels last') return undefined
  const prefix = !isCheckpoint ? '' : [...tensors.keys()].some(isOf(AVERAGE)) ? AVERAGE : WEIGHTS
  const own = [...tensors].filter(([name]) => isOf(prefix)(name))
  return {
    container: prefix.replace('/', ''),
    tensors: new Map(own.map(([name, tensor]) => [name.slice(prefix.length), asTorch(tensor, name)])),
  }
}

const isOf = (prefix: string) => (name: string) => name.startsWith(prefix)

function asTorch(tensor: SourceTensor, name: string): SourceTensor {
  const shape = torchShapeOfRank(tensor.shape)
  return {
    dtype: 'F32',
    shape,
    read: () => ({ dtype: 'F32', shape, data: toTorch(toFloat32(tensor.read(), name), withAllAxes(shape)) }),
  }
}
