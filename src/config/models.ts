/** The models that a configuration can name, as `models/` lists them, and how per-model defaults are written. */
import { MODELS, type Model, specOf } from '../models/index.ts'
import type { Default, EarlierValues, ModelDefaults, ModelKey } from '../models/spec.ts'

export type { Model } from '../models/index.ts'
export type { EarlierValues } from '../models/spec.ts'

export const models: readonly Model[] = MODELS.map(({ name }) => name)
export const videoModels = models.filter(isVideo)
export const imageModels = models.filter((model) => !isVideo(model))

/** Whether a model takes clips; the others take images. */
export function isVideo(model: string): boolean {
  return specOf(model).media === 'video'
}

/** Whether a model is one of MutualNet's `models.resnet`, which its `depth` key tells apart. */
export function isResnet(model: string): boolean {
  return specOf(model).family === 'resnet'
}

/** The models that have a key which not all have. */
export const modelsWith = (key: ModelKey): readonly Model[] =>
  models.filter((model) => specOf(model).keys.includes(key))

/** The values of a default. */
type Value<T> = T extends (known: EarlierValues) => infer R ? R : T

/** A default that differs between media; `other` where one has none of its own. */
interface ByMedia<T> {
  readonly video?: Default<T>
  readonly image?: Default<T>
  readonly other?: Default<T>
}

/** The default that a model gives for a key, else its media's. */
export function byModel<K extends keyof ModelDefaults>(
  key: K,
  others: ByMedia<Value<NonNullable<ModelDefaults[K]>>>,
): (known: EarlierValues) => Value<NonNullable<ModelDefaults[K]>> {
  const general = byMedia(others)
  return (known) => {
    const own = specOf(known.model).defaults[key] as Default<Value<NonNullable<ModelDefaults[K]>>> | undefined
    return own === undefined ? general(known) : evaluated(own, known)
  }
}

/** A default that differs between media alone. */
export function byMedia<const T>({ video, image, other }: ByMedia<T>): (known: EarlierValues) => T {
  return (known) => evaluated(((isVideo(known.model) ? video : image) ?? other) as Default<T>, known)
}

const evaluated = <T>(value: Default<T>, known: EarlierValues): T =>
  typeof value === 'function' ? (value as (known: EarlierValues) => T)(known) : value

/** MutualNet's names (`models.mobilenet_v1`, `models.us_resnet` with `depth`) as ours; others unchanged. */
export function normaliseModel(name: unknown, depth: unknown): unknown {
  if (typeof name !== 'string') return name
  const bare = name.replace(/^models\./, '').replace(/^us_/, '')
  if (bare !== 'resnet') return bare
  return depth === 101 || depth === 152 ? `resnet${depth}` : 'resnet50'
}
