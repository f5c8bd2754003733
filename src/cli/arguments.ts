/** Readers of option values; each refuses what it cannot read with the option's name and what was expected. */
import { InvalidArgumentError } from 'commander'

/** A number above 0. */
export function positiveNumber(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value > 0 && Number.isFinite(value)) return value
  throw new InvalidArgumentError('Give a number above 0.')
}

/** Collects the values of an option that may be repeated. */
export const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
]

/** A whole number from 1. */
export function count(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text.trim()) && value >= 1 && Number.isSafeInteger(value)) return value
  throw new InvalidArgumentError('Give a whole number from 1.')
}
