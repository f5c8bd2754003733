/**
 * The models that a configuration can name and how per-model defaults are written. The networks themselves
 * are in `src/models`.
 */

export const videoModels = ['x3d', 'slow', 'slowfast'] as const
export const resnetModels = ['resnet50', 'resnet101', 'resnet152'] as const
export const imageModels = ['mobilenet_v1', 'mobilenet_v2', ...resnetModels, 'wideresnet'] as const
export const models = [...videoModels, ...imageModels] as const

export type Model = (typeof models)[number]

/** Whether a model takes clips; the others take images. */
export function isVideo(model: Model): boolean {
  return (videoModels as readonly Model[]).includes(model)
}

/** Whether a model is one of MutualNet's `models.resnet`, which its `depth` key tells apart. */
export function isResnet(model: Model): boolean {
  return (resnetModels as readonly Model[]).includes(model)
}

/** What the default of a key may depend on: keys that stand before it in the schema. */
export interface Known {
  readonly model: Model
  readonly variant: 'xs' | 's' | 'm' | 'l'
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

type Value<T> = T | ((known: Known) => T)

/**
 * A default that differs between models. The most specific entry counts: the model's own, then `resnet`,
 * then `video` or `image`, then `other`.
 */
export function byModel<const T>(
  table: Partial<Record<Model | 'resnet' | 'video' | 'image', Value<T>>> & { readonly other: Value<T> },
): (known: Known) => T {
  return (known) => {
    const { model } = known
    const value =
      table[model] ??
      (isResnet(model) ? table.resnet : undefined) ??
      (isVideo(model) ? table.video : table.image) ??
      table.other
    return typeof value === 'function' ? (value as (known: Known) => T)(known) : value
  }
}

/** A default that differs between the variants of X3D. */
export function byVariant<T>(table: Record<Known['variant'], T>): (known: Known) => T {
  return ({ variant }) => table[variant]
}

/** MutualNet's names (`models.mobilenet_v1`, `models.us_resnet` with `depth`) as ours; others unchanged. */
export function normaliseModel(name: unknown, depth: unknown): unknown {
  if (typeof name !== 'string') return name
  const bare = name.replace(/^models\./, '').replace(/^us_/, '')
  if (bare !== 'resnet') return bare
  return depth === 101 || depth === 152 ? `resnet${depth}` : 'resnet50'
}
