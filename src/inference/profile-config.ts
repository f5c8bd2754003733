/** The cost of a configuration file's network, for callers that have no graph in hand. */
import { type Config, checkConfig, loadConfig } from '../config/index.ts'
import { buildNetwork } from '../models/index.ts'
import type { Configuration } from '../network/graph.ts'
import { type Profile, profile } from '../network/profile.ts'
import { fullConfiguration, resolve } from '../network/resolve.ts'
import * as option from '../options.ts'
import { checkOptions } from '../options.ts'

/**
 * Shapes, parameters and multiply-adds of a network at a configuration, layer by layer. No weights are needed.
 *
 * @param config a configuration, its file, or the name of a recipe (`x3d`)
 * @param at what differs from the full width, frames and size
 * @throws MnVideoError `config` or `network` when the file is wrong or the network cannot run so
 */
export async function profileConfig(
  config: Config | string,
  at: Partial<Configuration> = {},
): Promise<Profile> {
  if (typeof config !== 'string') checkConfig(config, 'profile')
  checkOptions('profile', at, { width: option.any, frames: option.any, size: option.any })
  const network = buildNetwork(typeof config === 'string' ? await loadConfig(config) : config)
  const { width, frames, size } = { ...fullConfiguration(network), ...at }
  return profile(resolve(network, { width, frames, size }))
}
