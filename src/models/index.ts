/** The table of models: from a configuration to the network it describes. */
import type { Config, Model } from '../config/index.ts'
import type { Network } from '../network/graph.ts'
import { type InitialiseOptions, initialise } from '../network/initialise.ts'
import type { ParameterStore } from '../network/store.ts'
import { mobilenetV1 } from './mobilenet-v1.ts'
import { mobilenetV2 } from './mobilenet-v2.ts'
import { resnet } from './resnet.ts'
import { slow } from './slow.ts'
import { slowfast } from './slowfast.ts'
import { wideResnet } from './wide-resnet.ts'
import { x3d } from './x3d.ts'

const BUILDERS: Record<Model, (config: Config) => Network> = {
  x3d: (config) =>
    x3d({
      ...videoOptions(config),
      depthFactor: config.depth_factor,
      widthFactor: config.width_factor,
      headFeatures: config.head_features,
    }),
  slow: (config) => slow(videoOptions(config)),
  slowfast: (config) => slowfast({ ...videoOptions(config), alpha: config.alpha }),
  mobilenet_v1: (config) => mobilenetV1(imageOptions(config)),
  mobilenet_v2: (config) => mobilenetV2(imageOptions(config)),
  resnet50: (config) => resnet({ ...imageOptions(config), depth: 50 }),
  resnet101: (config) => resnet({ ...imageOptions(config), depth: 101 }),
  resnet152: (config) => resnet({ ...imageOptions(config), depth: 152 }),
  wideresnet: (config) =>
    wideResnet({
      ...imageOptions(config),
      depth: config.depth,
      widenFactor: config.widen_factor,
      dropout: config.dropoutrate,
    }),
}

/** The network that a configuration describes. */
export const buildNetwork = (config: Config): Network => BUILDERS[config.model](config)

/** How a configuration's fresh weights are drawn. */
export const initialisationOf = (config: Config): InitialiseOptions => ({
  zeroInit: config.zero_init_final_bn,
  channelwise: config.channelwise_init,
})

/** The weights that training starts from where no others are given. */
export const freshWeights = (network: Network, config: Config): ParameterStore =>
  initialise(network, config.random_seed, initialisationOf(config))

const videoOptions = (config: Config) => ({
  classes: config.num_classes,
  frames: config.frames,
  size: config.image_size,
  dropout: config.dropoutrate,
})

const imageOptions = (config: Config) => ({
  classes: config.num_classes,
  size: config.image_size,
  maxWidth: Math.max(1, config.width_mult_range[1]),
})
