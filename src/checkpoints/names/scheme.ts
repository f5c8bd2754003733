/** What a naming scheme is: how a project's state dict calls the layers of the networks that we have. */
import type { Scaling } from '../../frames/geometry.ts'
import type { Network } from '../../network/graph.ts'

export interface NameScheme {
  /** For people: `PySlowFast`. */
  readonly title: string
  /** What it names, for messages: `video networks`. */
  readonly describes: string
  /** How the project prepares the pictures that its networks see. */
  readonly preprocessing: Preprocessing
  /** Whether a file's names are of this scheme. */
  recognises(names: ReadonlySet<string>): boolean
  /** How its names map onto a network's; undefined where the scheme has no names for such a network. */
  mapping(network: Network, names: ReadonlySet<string>): Mapping | undefined
}

/** A part of the weights' meaning, by configuration key. Where nothing is said of a key the recipe's value is the project's too. */
export interface Preprocessing {
  readonly media: 'image' | 'video'
  readonly scaling: Scaling
}

/** PySlowFast and PyTorchVideo scale frames with `torch.nn.functional.interpolate`. */
export const WITH_INTERPOLATE: Preprocessing = { media: 'video', scaling: 'bilinear' }
/** torchvision's transforms scale PIL's images. */
export const WITH_PIL: Preprocessing = { media: 'image', scaling: 'antialiased' }

export interface Mapping {
  /** Our name of a tensor (`NODE.weight`, `NODE.running_mean`), or undefined where the scheme has no such name. */
  translate(name: string): string | undefined
  /** Names that are no weights: counters, optimiser state beside them. */
  isBookkeeping(name: string): boolean
  /** Whether the names are a 2D network's and ours a 3D one's, whose kernels repeat them over time. */
  readonly inflates: boolean
}

/** PyTorch's counts: of the batches that running statistics have seen, of the models that AveragedModel has. */
export const isCounter = (name: string): boolean => /(?:^|\.)(?:num_batches_tracked|n_averaged)$/.test(name)

/**
 * A mapping by layer: the table (or rule) says what a layer is called here, its tensors keep their names
 * (`weight`, `bias`, `running_mean`, `running_var`).
 */
export function byLayer(
  layerOf: (layer: string) => string | undefined,
  options: { readonly inflates?: boolean } = {},
): Mapping {
  return {
    inflates: options.inflates ?? false,
    isBookkeeping: isCounter,
    translate(name) {
      const [, layer, tensor] = /^(.+)\.(weight|bias|running_mean|running_var)$/.exec(name) ?? []
      const ours = layer === undefined ? undefined : layerOf(layer)
      return ours === undefined ? undefined : `${ours}.${tensor}`
    },
  }
}
