/**
 * The kinds of value that a configuration key may have: each is a zod schema and the words that an error
 * message uses for it. Which key has which kind is in `schema.ts`.
 */
import { z } from 'zod'

/** A kind of value: how to check it and what to call it after "must be". */
export interface Kind<T> {
  readonly schema: z.ZodType<T>
  readonly expected: string
  /** The values of a closed set, for suggestions. */
  readonly choices?: readonly string[]
  /** Of a number, or of each number of a list. */
  readonly bounds?: Bounds
  /** Free text: a command-line override takes it as it is, not as YAML. */
  readonly text?: true
}

/**
 * Bounds of a number; `above` and `below` are exclusive. `most` is no property of the value but out of all proportion:
 * it is refused before something of its size is built, and only then spoken of. Every number has an upper bound.
 */
export type Bounds = ({ readonly min: number } | { readonly above: number }) &
  ({ readonly max: number } | { readonly below: number } | { readonly most: number })

/** An integer within bounds. */
export function integer(bounds: Bounds): Kind<number> {
  return { schema: bounded(z.int(), bounds), expected: `an integer ${words(bounds)}`, bounds }
}

/** A finite number within bounds. */
export function number(bounds: Bounds): Kind<number> {
  return { schema: bounded(z.number(), bounds), expected: `a number ${words(bounds)}`, bounds }
}

/** True or false. */
export const flag: Kind<boolean> = { schema: z.boolean(), expected: 'true or false' }

/** One word of a closed set. */
export function oneOf<const T extends string>(...choices: readonly T[]): Kind<T> {
  const expected = choices.length === 1 ? `${choices[0]}` : `one of ${choices.join(', ')}`
  return { schema: z.enum(choices), expected, choices }
}

/** A line of text, mostly a path; an empty value means none. */
export const text: Kind<string> = {
  schema: z.preprocess(
    (value) => value ?? '',
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to refuse
    z.string().regex(/^[^\x00-\x1f\x7f]*$/),
  ),
  expected: 'text on one line (in quotes if it looks like a number)',
  text: true,
}

/** Text of a given form. */
export function pattern(form: RegExp, expected: string): Kind<string> {
  return { schema: z.string().regex(form), expected }
}

/** One or more values of a kind. */
export function list<T>(kind: Kind<T>): Kind<readonly T[]> {
  return {
    schema: z.array(kind.schema).min(1).max(1000).readonly(),
    expected: `a list, each entry ${kind.expected}`,
    ...(kind.bounds && { bounds: kind.bounds }),
  }
}

/** The two ends of a range, the smaller first. */
export function range(kind: Kind<number>): Kind<readonly [number, number]> {
  return {
    schema: z
      .tuple([kind.schema, kind.schema])
      .refine(([low, high]) => low <= high)
      .readonly(),
    expected: `[smallest, largest], each ${kind.expected}`,
    ...(kind.bounds && { bounds: kind.bounds }),
  }
}

/** Three values, for red, green and blue. */
export function rgb(kind: Kind<number>): Kind<readonly [number, number, number]> {
  return {
    schema: z.tuple([kind.schema, kind.schema, kind.schema]).readonly(),
    expected: `three values, each ${kind.expected}`,
    ...(kind.bounds && { bounds: kind.bounds }),
  }
}

/** The upper bound, inclusive or not. */
export function largestOf(bounds: Bounds): number {
  if ('most' in bounds) return bounds.most
  return 'max' in bounds ? bounds.max : bounds.below
}

function bounded(schema: z.ZodNumber, bounds: Bounds): z.ZodNumber {
  const upwards = 'min' in bounds ? schema.min(bounds.min) : schema.gt(bounds.above)
  if ('below' in bounds) return upwards.lt(bounds.below)
  return upwards.max(largestOf(bounds))
}

function words(bounds: Bounds): string {
  const lower = 'min' in bounds ? `of at least ${bounds.min}` : `above ${bounds.above}`
  if ('most' in bounds) return lower
  return `${lower} and ${'max' in bounds ? `at most ${bounds.max}` : `below ${bounds.below}`}`
}
