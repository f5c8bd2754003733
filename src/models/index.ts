/** Every model that a configuration can name, and the networks and fresh weights that configurations describe. */
import type { Network } from '../network/graph.ts'
import { type InitialiseOptions, initialise } from '../network/initialise.ts'
import type { ParameterStore } from '../network/store.ts'
import { mobilenetV1Model } from './mobilenet-v1.ts'
import { mobilenetV2Model } from './mobilenet-v2.ts'
import { resnet50Model, resnet101Model, resnet152Model } from './resnet.ts'
import { slowModel } from './slow.ts'
import { slowfastModel } from './slowfast.ts'
import type { ModelSpec, NetworkValues } from './spec.ts'
import { wideResnetModel } from './wide-resnet.ts'
import { x3dModel } from './x3d.ts'

/** In the order in which messages and documentation name them. */
export const MODELS = [
  x3dModel,
  slowModel,
  slowfastModel,
  mobilenetV1Model,
  mobilenetV2Model,
  resnet50Model,
  resnet101Model,
  resnet152Model,
  wideResnetModel,
] as const

export type Model = (typeof MODELS)[number]['name']

const byName: ReadonlyMap<string, ModelSpec> = new Map(MODELS.map((spec) => [spec.name, spec]))

/** What is known of a model; its name has been checked. */
export const specOf = (model: string): ModelSpec => byName.get(model)!

/** The network that a configuration describes. */
export const buildNetwork = (config: NetworkValues & { readonly model: Model }): Network =>
  specOf(config.model).build(config)

/** The keys that fresh weights follow from. */
interface InitialValues {
  readonly zero_init_final_bn: boolean
  readonly channelwise_init: NonNullable<InitialiseOptions['channelwise']>
  readonly random_seed: number
}

/** How a configuration's fresh weights are drawn. */
export const initialisationOf = (config: Omit<InitialValues, 'random_seed'>): InitialiseOptions => ({
  zeroInit: config.zero_init_final_bn,
  channelwise: config.channelwise_init,
})

/** The weights that training starts from where no others are given. */
export const freshWeights = (network: Network, config: InitialValues): ParameterStore =>
  initialise(network, config.random_seed, initialisationOf(config))
