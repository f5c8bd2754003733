/**
 * What a model is to the program beside its graph: the name that configurations give, the keys and defaults that are its
 * own, and how it is built of a configuration's values. Each model's file ends in one; `index.ts` lists them.
 */
import type { Network } from '../network/graph.ts'

/** The published X3Ds. */
export type Variant = 'xs' | 's' | 'm' | 'l'

/** The values of a configuration that networks are built of; what they mean is in docs/configuration.md. */
export interface NetworkValues {
  readonly num_classes: number
  readonly image_size: number
  readonly width_mult_range: readonly [number, number]
  readonly frames: number
  readonly alpha: number
  readonly dropoutrate: number
  readonly depth_factor: number
  readonly width_factor: number
  readonly head_features: number
  readonly depth: number
  readonly widen_factor: number
}

/** Keys that some models have and others of their media have not. */
export type ModelKey =
  | 'variant'
  | 'depth_factor'
  | 'width_factor'
  | 'head_features'
  | 'depth'
  | 'widen_factor'
  | 'dropoutrate'
  | 'alpha'

/** What the default of a key may follow from: keys that stand before it in the table of `config/schema.ts`. */
export interface EarlierValues {
  readonly model: string
  readonly variant: Variant
  readonly dataset: string
  readonly image_size: number
  readonly frames: number
  readonly frame_stride: number
  readonly width_mult_range: readonly [number, number]
  readonly num_epochs: number
  readonly batch_size: number
  readonly accumulate: number
  readonly lr: number
}

export type Default<T> = T | ((known: EarlierValues) => T)

/** The keys that a model may have a default of its own for; other defaults are its media's, in `config/keys`. */
export interface ModelDefaults {
  readonly depth_factor?: Default<number>
  readonly depth?: Default<number>
  readonly widen_factor?: Default<number>
  readonly width_mult_range?: Default<readonly [number, number]>
  readonly dataset?: Default<'kinetics400' | 'imagenet1k' | 'cifar10' | 'cifar100' | 'folder'>
  readonly image_size?: Default<number>
  readonly frames?: Default<number>
  readonly frame_stride?: Default<number>
  readonly alpha?: Default<number>
  readonly data_transforms?: Default<'imagenet1k_basic' | 'imagenet1k_mobile'>
  readonly num_epochs?: Default<number>
  readonly batch_size?: Default<number>
  readonly weight_decay?: Default<number>
  readonly lr?: Default<number>
  readonly warmup_epochs?: Default<number>
}

export interface ModelSpec<N extends string = string> {
  /** As configurations name it. */
  readonly name: N
  /** Models whose layers are called alike, which one name scheme serves (`checkpoints/names`). */
  readonly family: string
  readonly media: 'image' | 'video'
  /** Those of its own. */
  readonly keys: readonly ModelKey[]
  readonly defaults: ModelDefaults
  /** A value that the model cannot be built of: its key, and what is wrong as a sentence that the key begins. */
  readonly conflict?: (values: NetworkValues) => { readonly key: ModelKey; readonly text: string } | undefined
  readonly build: (values: NetworkValues) => Network
}

export const defineModel = <const N extends string>(spec: ModelSpec<N>): ModelSpec<N> => spec

/** What every video network is built of. */
export const videoOptions = (values: NetworkValues) => ({
  classes: values.num_classes,
  frames: values.frames,
  size: values.image_size,
  dropout: values.dropoutrate,
})

/** What every image network is built of. */
export const imageOptions = (values: NetworkValues) => ({
  classes: values.num_classes,
  size: values.image_size,
  maxWidth: Math.max(1, values.width_mult_range[1]),
})

/** The linear scaling rule: a rate given for one batch size, scaled to the samples of one step. */
export function scaledRate(rate: number, samples: number): (known: EarlierValues) => number {
  return ({ batch_size, accumulate }) => (rate * batch_size * accumulate) / samples
}

/** PySlowFast's warm-up, but never more than a fifth of a short run. */
export function warmupOf(epochs: number): (known: EarlierValues) => number {
  return ({ num_epochs }) => Math.min(epochs, Math.floor(num_epochs / 5))
}
