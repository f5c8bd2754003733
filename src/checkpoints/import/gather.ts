/** From a file's named tensors to values under our names, still in PyTorch's layouts. */
import { MnVideoError } from '../../errors.ts'
import type { Scaling } from '../../frames/geometry.ts'
import type { Network } from '../../network/graph.ts'
import { sizeOf } from '../../network/parameters.ts'
import { parametersOf } from '../../network/store.ts'
import { detectScheme } from '../names/index.ts'
import type { NameScheme } from '../names/scheme.ts'
import { toFloat32 } from '../safetensors.ts'
import type { WeightsFile } from '../weights-file.ts'
import { foldShortcutNorms } from './fold-shortcut.ts'

export interface Gathered {
  /** The naming scheme of the file. */
  readonly scheme: string
  /** What all of the file's names of weights began with, beside it: `module.`. */
  readonly wrapper: string
  /** How the scheme's project scales the pictures that such a network sees; undefined where that is not known. */
  readonly scaling: Scaling | undefined
  /** Whether the values are a 2D network's, for a 3D one. */
  readonly inflates: boolean
  /** By our names. Parameters that are larger than ours are not read: they cannot fit. */
  readonly values: ReadonlyMap<string, Float32Array>
  /** The file's name and shape of each, by our names. */
  readonly sources: ReadonlyMap<string, { readonly name: string; readonly shape: readonly number[] }>
  /** The file's names that mean nothing to the network. */
  readonly unexpected: readonly string[]
  /** Our names of batch norms whose effect is now in the layers around them. */
  readonly folded: readonly string[]
  /** How many counters and optimiser tensors were left out. */
  readonly ignored: number
}

/** A batch norm that PySlowFast's X3D has and ours can do without. */
const FOLDABLE = /^(.+\.branch1_norm)\./

/** @throws MnVideoError `weights` when no scheme knows the names, or two of them are one of ours */
export function gather(network: Network, file: WeightsFile, name: string): Gathered {
  const { scheme, mapping, wrapper } = detectScheme(new Set(file.tensors.keys()), network, name)
  const room = roomIn(network)
  const values = new Map<string, Float32Array>()
  const sources = new Map<string, { name: string; shape: readonly number[] }>()
  const unexpected: string[] = []
  let ignored = 0
  for (const [source, tensor] of file.tensors) {
    const ours = mapping.translate(source)
    const other = ours === undefined ? undefined : sources.get(ours)
    if (other) {
      throw new MnVideoError(
        'weights',
        `${name}: "${other.name}" and "${source}" are both "${ours}". Save the file again without one of them.`,
      )
    }
    if (mapping.isBookkeeping(source)) ignored++
    else {
      const size = sizeOf(tensor.shape)
      const place = ours === undefined ? undefined : room(ours)
      if (ours === undefined || !place || (size > place.size && !place.parameter)) {
        unexpected.push(source)
        continue
      }
      sources.set(ours, { name: source, shape: tensor.shape })
      if (size <= place.size) values.set(ours, sound(toFloat32(tensor.read(), name), source, name))
    }
  }
  const folded = foldShortcutNorms(network, values)
  const nodes = new Set(network.nodes.map((node) => node.name))
  for (const ours of [...values.keys()]) {
    const norm = FOLDABLE.exec(ours)?.[1]
    if (norm === undefined || nodes.has(norm)) continue
    unexpected.push(sources.get(ours)!.name)
    values.delete(ours)
  }
  const { title } = scheme
  const scaling = scalingOf(scheme, file, network)
  return {
    scheme: title,
    scaling,
    wrapper,
    inflates: mapping.inflates,
    values,
    sources,
    unexpected,
    folded,
    ignored,
  }
}

/** A network with one value that is no number answers nonsense, so none is taken; the root of a variance is needed. */
function sound(values: Float32Array, source: string, name: string): Float32Array {
  const isVariance = source.endsWith('running_var')
  const bad = values.reduce(
    (sum, value) => (Number.isFinite(value) && !(isVariance && value < 0) ? sum : sum + 1),
    0,
  )
  if (bad === 0) return values
  throw new MnVideoError(
    'weights',
    `${name}: "${source}" has ${bad} of ${values.length} values that are ${isVariance ? 'negative, ' : ''}NaN or infinite. ` +
      'Its training had diverged, or the file is damaged.\nGive a checkpoint from before that, or copy the file again.',
  )
}

/** How a network's pictures were scaled: this program's files say it or had the recipe's, whatever their names are. */
function scalingOf({ preprocessing }: NameScheme, { metadata }: WeightsFile, { media }: Network) {
  if (metadata.preprocessing !== undefined) {
    return /"scaling": *"bilinear"/.test(metadata.preprocessing) ? 'bilinear' : 'antialiased'
  }
  if (metadata.format?.startsWith('mn-video') || metadata.layout === 'channels last') return undefined
  return preprocessing.media === media ? preprocessing.scaling : undefined
}

/**
 * What a tensor may be at most: a parameter, running statistics of one of the network's nodes, or a batch norm
 * that may be folded away. Undefined for anything else.
 */
function roomIn(network: Network): (ours: string) => { size: number; parameter: boolean } | undefined {
  const parameters = new Map(parametersOf(network).map(({ name, shape }) => [name, sizeOf(shape)]))
  const widest = Math.max(...parameters.values())
  return (ours) => {
    const size = parameters.get(ours)
    if (size !== undefined) return { size, parameter: true }
    if (FOLDABLE.test(ours)) return { size: widest, parameter: false }
    const [, norm] = /^(.+?)(?:\.bn\.\d+)?\.running_(?:mean|var)$/.exec(ours) ?? []
    const channels = norm === undefined ? undefined : parameters.get(`${norm}.weight`)
    const isNorm = channels !== undefined && parameters.get(`${norm}.bias`) === channels
    return isNorm ? { size: channels, parameter: false } : undefined
  }
}
