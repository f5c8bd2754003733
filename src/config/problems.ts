/** What is wrong with a configuration, collected and told in one error of at most three lines. */
import { harmless, MnVideoError } from '../errors.ts'

/** One thing that is wrong; `at` says where: `FILE:LINE`, `FILE` or `--set KEY=VALUE`. */
export interface Problem {
  readonly at: string
  readonly line: number
  readonly text: string
}

const shown = 3

/** Throws the first problems by line; returns when there are none. */
export function throwProblems(problems: readonly Problem[]): void {
  if (problems.length === 0) return
  const lines = [...problems]
    .sort((a, b) => a.line - b.line)
    .slice(0, shown)
    .map(({ at, text }) => `${at}: ${text}`)
  const more = problems.length - lines.length
  throw new MnVideoError('config', lines.join('\n') + (more > 0 ? ` (and ${more} more)` : ''))
}

/** A value or name as a message shows it: quoted, short, and harmless to a terminal. */
export function show(value: unknown, longest = 60): string {
  if (value === null || value === undefined) return 'an empty value'
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value === 'object' && !Array.isArray(value)) return 'a mapping'
  const json = JSON.stringify(value, (_, item) =>
    typeof item === 'number' && !Number.isFinite(item) ? String(item) : item,
  )
  return harmless(json.length > longest ? `${json.slice(0, longest - 2)}…${json.at(-1)}` : json)
}
