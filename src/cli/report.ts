/** How a failure is told: one to three lines on standard error, and the exit code. */
import { CommanderError } from 'commander'
import { asMessage, MnVideoError, messageOf } from '../errors.ts'
import { shellQuoted } from '../shell.ts'
import { warn } from './progress.ts'

export { shellQuoted }

/**
 * Done, failed, or used wrongly (an unknown option, or a value that can never be); interrupted and terminated are
 * what a shell calls a process that SIGINT or SIGTERM ended.
 */
export const EXIT = { done: 0, failed: 1, wrongUsage: 2, interrupted: 130, terminated: 143 } as const

/** Prints what went wrong; with `debug` also where. */
export function report(error: unknown, debug: boolean): void {
  // Commander has printed its own.
  if (error instanceof CommanderError) return
  if (debug && error instanceof Error) warn(error.stack ?? error.message)
  else if (error instanceof MnVideoError) warn(`mn-video: ${error.message}`)
  else warn(`mn-video: ${asMessage(messageOf(error))}\nThis is a bug. Run again with --debug for its stack.`)
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.wrongUsage
  const wrong = error instanceof MnVideoError && (error.code === 'usage' || error.code === 'network')
  return wrong ? EXIT.wrongUsage : EXIT.failed
}

/** The same for a script that reads JSON. */
export function errorJson(error: unknown): { error: string; code: string } {
  return { error: asMessage(messageOf(error)), code: error instanceof MnVideoError ? error.code : 'bug' }
}

/** The command that is running, to be run again. */
export const sameCommand = (): string => ['mn-video', ...process.argv.slice(2)].map(shellQuoted).join(' ')
