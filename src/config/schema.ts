/**
 * Every configuration key, from `keys/`: its kind and range, its default, the models it is for, and what
 * it means. These tables are the documentation; parsing, defaults, printing and the generated reference
 * all read them. A default may depend on keys that stand before its own.
 */
import type { Changes, Key } from './key.ts'
import { input } from './keys/input.ts'
import { network } from './keys/network.ts'
import { run, training } from './keys/training.ts'

/** The keys by the heading that they are printed under. */
export const sections = { Network: network, Input: input, Training: training, Run: run } as const

/** Every key, in the order in which defaults are filled in. */
export const keys = { ...network, ...input, ...training, ...run } as const

/** MutualNet keys that are accepted and change nothing, each with the reason. */
export const ignoredKeys: Readonly<Record<string, string>> = {
  data_loader: "the loader follows from dataset (a key of MutualNet's first files)",
  model_profiling_verbose: '`mn-video profile` always has the layers',
  profiling: '`mn-video profile` prints the profile; it needs no device',
  reset_parameters: "weights always start from the network's own initialisation",
}

export type KeyName = keyof typeof keys

/** A complete configuration: every key has a value. */
export type Config = {
  readonly [K in KeyName]: (typeof keys)[K] extends Key<infer T> ? T : never
}

/**
 * What the keys of each section change of what is measured of given weights, unless a key says otherwise. So a new
 * key counts until somebody says that it does not: at worst something is measured once more.
 */
const sectionChanges: Readonly<Record<keyof typeof sections, Changes>> = {
  Network: 'evaluation',
  Input: 'evaluation',
  Training: 'calibration',
  Run: 'nothing',
}

/** What another value of a key may change. */
export function changesOf(name: KeyName): Changes {
  const [title] = Object.entries(sections).find(([, section]) => Object.hasOwn(section, name))!
  return (keys[name] as Key<unknown>).changes ?? sectionChanges[title as keyof typeof sections]
}
