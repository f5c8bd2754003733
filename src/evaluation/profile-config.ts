/** The cost of a configuration file's network, for callers that have no graph in hand. */
import { type Config, loadConfig } from '../config/index.ts'
import { MnVideoError } from '../errors.ts'
import { buildNetwork } from '../models/index.ts'
import type { Configuration } from '../network/graph.ts'
import { type Profile, profile } from '../network/profile.ts'
import { fullConfiguration, resolve } from '../network/resolve.ts'

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
  const network = buildNetwork(typeof config === 'string' ? await loadConfig(config) : config)
  const { width, frames, size, ...unknown } = { ...fullConfiguration(network), ...at }
  const [name] = Object.keys(unknown)
  if (name !== undefined)
    throw new MnVideoError('usage', `profile takes width, frames and size, not "${name}".`)
  return profile(resolve(network, { width, frames, size }))
}
