/** Which sub-networks one step trains: the rule of each method. */
import type { Config } from '../config/index.ts'
import type { Configuration } from '../network/graph.ts'
import type { Random } from '../network/random.ts'

/** A sub-network of a step; the first of a step is the full one, which learns the labels. */
export interface Drawn {
  /** What logs call it. */
  readonly name: 'full' | 'narrowest' | 'random_1' | 'random_2'
  readonly configuration: Configuration
}

/** The largest configuration of a recipe: what the method `independent` trains alone. */
export const largestConfiguration = (config: Config): Configuration => ({
  width: config.width_mult_range[1],
  frames: config.frames,
  size: config.image_size,
})

/**
 * The sub-networks of one step. `mutualnet`: the full one, the narrowest and two of random width, each of the
 * three at a random size and frame count (Yang et al. 2020, algorithm 1). `us_net`: the same widths at full size
 * and frames (the sandwich rule, Yu and Huang 2019). `independent`: the full one alone.
 *
 * Widths are drawn evenly from `width_mult_range` and rounded to `width_step`.
 */
export function drawSubNetworks(config: Config, random: Random): Drawn[] {
  const full = largestConfiguration(config)
  const drawn: Drawn[] = [{ name: 'full', configuration: full }]
  if (config.method === 'independent') return drawn
  const [narrowest, widest] = config.width_mult_range
  const add = (name: Drawn['name'], width: number) =>
    drawn.push({
      name,
      configuration:
        config.method === 'us_net'
          ? { ...full, width }
          : { width, frames: one(config.frames_list, random), size: one(config.resolution_list, random) },
    })
  const anyWidth = () => {
    const width = narrowest + random.uniform() * (widest - narrowest)
    return clamp(rounded(width, config.width_step), narrowest, widest)
  }
  add('narrowest', narrowest)
  add('random_1', anyWidth())
  add('random_2', anyWidth())
  return drawn
}

const one = <T>(list: readonly T[], random: Random): T => list[random.integer(list.length)]!

/** To the nearest multiple of the step, without the dust of binary fractions. */
const rounded = (value: number, step: number): number =>
  step === 0 ? value : Number((Math.round(value / step) * step).toFixed(9))

const clamp = (value: number, min: number, max: number): number => Math.min(max, Math.max(min, value))
