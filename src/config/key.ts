/** What a configuration key is. The keys themselves are in `keys/`. */
import type { Kind } from './kinds.ts'
import type { EarlierValues, Model } from './models.ts'

/**
 * What another value of a key may change of what is measured of given weights: accuracies and all that comes before
 * them (`evaluation`), only the training batches that batch-norm statistics are estimated from (`calibration`), or
 * nothing.
 */
export type Changes = 'evaluation' | 'calibration' | 'nothing'

/** Of a key without which runs did what its default says. */
export const AS_DEFAULT = Symbol('as the default')

/** What is known about one key. */
export interface Key<T> {
  readonly kind: Kind<T>
  readonly doc: string
  readonly default: NoInfer<T> | ((known: EarlierValues) => NoInfer<T>)
  /**
   * What runs did that were written before there was this key, be it what the default says (`AS_DEFAULT`). A run's
   * config.yml gives every key, so one that gives all but such keys is of that time: every key that is added has it.
   */
  readonly before?: NoInfer<T> | typeof AS_DEFAULT
  /** How the default follows from other keys, in words. */
  readonly follows?: string
  /** The models that the key means something for; all when absent. */
  readonly only?: readonly Model[]
  /** Where it is not what all keys of its section change (`schema.ts`). */
  readonly changes?: Changes
}

/** An entry of the table of keys, its type taken from its kind. */
export const key = <T>(entry: Key<T>): Key<T> => entry
