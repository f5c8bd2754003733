/**
 * The one error class of the program: something the caller can put right. Anything else that is thrown
 * is a bug and keeps its stack.
 */

/** Stable codes that a program may test for. */
export type ErrorCode =
  /** A configuration file or value is wrong. */
  | 'config'
  /** A network cannot be built or run at the width, size or frame count asked for. */
  | 'network'
  /** An image or video cannot be read. */
  | 'media'
  /** A data set or a list of it cannot be read, or too many of its files cannot. */
  | 'data'
  /** A weights file is damaged or does not fit the network. */
  | 'weights'
  /** A run folder lacks what is needed. */
  | 'run'
  /** No configuration fits the budget. */
  | 'budget'
  /** An engine or one of its backends cannot be used. */
  | 'engine'
  /** Training cannot go on: losses that are no numbers, too little memory. */
  | 'training'
  /** The caller's signal ended a run. */
  | 'cancelled'
  /** A program that is needed (FFmpeg) is missing. */
  | 'missing'
  /** The command line is wrong. */
  | 'usage'

/** Characters that move the cursor, change colours or turn the direction of writing, but for the line break. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to replace
const HARMFUL = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** Text that a terminal shows as it is written: control characters become escapes, line breaks stay. */
export const harmless = (text: string): string =>
  text.replace(HARMFUL, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** Text of at most so many characters: its start and its end, which tell most of a path. */
export function bounded(text: string, longest: number): string {
  if (text.length <= longest) return text
  const end = Math.floor(longest / 2)
  return `${text.slice(0, longest - end - 1)}…${text.slice(text.length - end)}`
}

/** The longest name that a message quotes whole. */
const LONGEST_NAME = 300

/**
 * A name or value that came from outside, as messages quote it: on one line, harmless to a terminal and not endless. One
 * with control characters is written as JSON.
 */
export function shown(name: string, longest = LONGEST_NAME): string {
  const text = bounded(name, longest)
  return text.includes('\n') || text !== harmless(text) ? harmless(JSON.stringify(text)) : text
}

/** The longest line of a message. */
export const LONGEST_LINE = 600
const MOST_LINES = 6

/** A message whose parts came from anywhere: a few lines, harmless to a terminal. */
export function asMessage(text: string): string {
  const lines = harmless(text).split('\n')
  return lines
    .slice(0, MOST_LINES)
    .map((line) => bounded(line, LONGEST_LINE))
    .join('\n')
}

/**
 * A failure that its message explains: one to three lines naming the file or key, what was expected and
 * the way out. Whatever is quoted in it, the message is harmless to a terminal and not endless (`asMessage`).
 */
export class MnVideoError extends Error {
  override readonly name = 'MnVideoError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(asMessage(message), options)
    this.code = code
  }
}

/** What came, or the error that a file cannot be read as; anything else that goes wrong is thrown. */
export async function orMediaError<T>(result: Promise<T>): Promise<T | MnVideoError> {
  try {
    return await result
  } catch (error) {
    if (error instanceof MnVideoError && error.code === 'media') return error
    throw error
  }
}

/**
 * Ends what a caller's signal asks to end. An error of ours that the signal carries is passed on as it is.
 *
 * @throws MnVideoError `cancelled`; the signal's reason is its cause
 */
export function throwIfCancelled(signal: AbortSignal | undefined, what = 'the call'): void {
  if (!signal?.aborted) return
  if (signal.reason instanceof MnVideoError) throw signal.reason
  const { reason } = signal
  // What abort() gives when its caller gives nothing tells nothing.
  const isTelling = reason instanceof Error && reason.name !== 'AbortError'
  const why = isTelling ? ` (${reason.message.split('\n')[0]!.slice(0, 200)})` : ''
  throw new MnVideoError('cancelled', `${what} was cancelled by its signal${why}.`, { cause: reason })
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

const SYSTEM_REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the disk is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: "the user's disk quota is used up",
  EFBIG: 'it would be larger than a file may be (ulimit -f)',
  EISDIR: 'it is a folder',
  ENOTDIR: 'part of the path is a file, not a folder',
  ENAMETOOLONG: 'the name is too long',
  EMFILE: 'too many files are open',
}

/** Why the system refused something, in words; other errors in their own. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return SYSTEM_REASONS[code] ?? messageOf(error)
}
