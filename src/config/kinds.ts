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
  /** Free text: a command-line override takes it as it is, not as YAML. */
  readonly text?: true
}

/** Bounds of a number; `above` and `below` are exclusive. */
interface Bounds {
  readonly min?: number
  readonly max?: number
  readonly above?: number
  readonly below?: number
}

/** An integer within bounds. */
export function integer(bounds: Bounds): Kind<number> {
  return { schema: bounded(z.int(), bounds), expected: `an integer ${words(bounds)}` }
}

/** A finite number within bounds. */
export function number(bounds: Bounds): Kind<number> {
  return { schema: bounded(z.number(), bounds), expected: `a number ${words(bounds)}` }
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
  }
}

/** Three values, for red, green and blue. */
export function rgb(kind: Kind<number>): Kind<readonly [number, number, number]> {
  return {
    schema: z.tuple([kind.schema, kind.schema, kind.schema]).readonly(),
    expected: `three values, each ${kind.expected}`,
  }
}

function bounded(schema: z.ZodNumber, { min, max, above, below }: Bounds): z.ZodNumber {
  let result = schema
  if (min !== undefined) result = result.min(min)
  if (max !== undefined) result = result.max(max)
  if (above !== undefined) result = result.gt(above)
  if (below !== undefined) result = result.lt(below)
  return result
}

function words({ min, max, above, below }: Bounds): string {
  const lower = above !== undefined ? `above ${above}` : `of at least ${min}`
  if (below !== undefined) return `${lower} and below ${below}`
  return max === undefined ? lower : `${lower} and at most ${max}`
}
