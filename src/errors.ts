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

/**
 * A failure that its message explains: one to three lines naming the file or key, what was expected and
 * the way out.
 */
export class MnVideoError extends Error {
  override readonly name = 'MnVideoError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
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
