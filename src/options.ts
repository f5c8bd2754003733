/**
 * Checks the options that callers of the library give, who may write plain JavaScript: a misspelt or mistaken one must
 * not quietly be left out. One table per call says which options there are and what each must be.
 */
import { fileURLToPath } from 'node:url'
import { MnVideoError } from './errors.ts'
import { suggestion } from './suggestion.ts'

/** What an option must be, and how messages say so. */
export interface OptionKind {
  readonly expected: string
  readonly accepts: (value: unknown) => boolean
}

const kind = (expected: string, accepts: (value: unknown) => boolean): OptionKind => ({ expected, accepts })

/** The longest wait for progress that makes sense; what is larger was meant in milliseconds. */
const MAX_SECONDS = 3600

export const text = kind('a string', (value) => typeof value === 'string')
export const flag = kind('true or false', (value) => typeof value === 'boolean')
export const count = kind(
  'a whole number of at least 1',
  (value) => Number.isSafeInteger(value) && Number(value) >= 1,
)
export const numbers = kind(
  'a list of numbers above 0',
  (value) => Array.isArray(value) && value.every((each) => Number.isFinite(each) && each > 0),
)
export const texts = kind(
  'a list of strings',
  (value) => Array.isArray(value) && value.every((each) => typeof each === 'string'),
)
export const signal = kind('an AbortSignal', (value) => value instanceof AbortSignal)
export const callback = kind('a function', (value) => typeof value === 'function')
export const object = kind('an object', (value) => typeof value === 'object' && value !== null)
/** Time without progress. */
export const seconds = kind(
  `seconds, above 0 and at most ${MAX_SECONDS}`,
  (value) => typeof value === 'number' && value > 0 && value <= MAX_SECONDS,
)
/** Checked where it is used, with a better message. */
export const any = kind('anything', () => true)

/** Every option of a call, none forgotten. */
export type OptionTable<T> = Readonly<Record<keyof Required<T>, OptionKind>>

/**
 * @param what the call, as messages name it
 * @throws MnVideoError `usage` naming the option that does not exist, with the nearest that does, or is of another kind
 */
export function checkOptions<T extends object>(what: string, options: T, table: OptionTable<T>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new MnVideoError('usage', `options of ${what} must be an object, not ${show(options)}.`)
  }
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(table, name)) {
      throw new MnVideoError(
        'usage',
        `options of ${what}: there is no "${name.slice(0, 64)}". ${suggestion(name, Object.keys(table), 'option')}`,
      )
    }
    const { expected, accepts } = table[name as keyof T]
    if (value === undefined || accepts(value)) continue
    throw new MnVideoError('usage', `options of ${what}: ${name} must be ${expected}, not ${show(value)}.`)
  }
}

/** A value on one line, short. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 64))
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return String(value).slice(0, 64)
  return Array.isArray(value) ? 'a list' : `an object of ${value.constructor?.name ?? 'no class'}`
}

/** A path, or the `file:` URL of one. */
export function checkPath(value: string | URL, what: string): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value
  if (value instanceof URL && value.protocol === 'file:') return fileURLToPath(value)
  throw new MnVideoError('usage', `${what} must be a path or a file: URL.`)
}
