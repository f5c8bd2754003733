/**
 * Composes FFmpeg commands and runs FFmpeg programs under watch: a deadline without progress, an abort signal,
 * nothing left behind. It knows nothing of clips; the only file that imports fluent-ffmpeg.
 */
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import compose from 'fluent-ffmpeg'
import { MnVideoError, throwIfCancelled } from '../errors.ts'
import type { MediaFile } from '../files/media-file.ts'
import { shortened } from './ffmpeg-name.ts'
import { launch } from './launch.ts'

/** What every call that runs FFmpeg accepts. */
export interface RunOptions {
  /** Seconds without any output after which the program is killed; 60 by default. */
  readonly deadline?: number
  /** Kills the program; the call then fails with `cancelled`. */
  readonly signal?: AbortSignal
}

export interface CommandParts {
  readonly inputOptions: readonly string[]
  readonly input: string
  /** A filter chain, without spaces. */
  readonly filters: string
  readonly outputOptions: readonly string[]
  readonly format: 'rawvideo' | 'null' | 'mp4'
  /** FFmpeg's name of the file to write; standard output where left out. */
  readonly output?: string
}

/**
 * The arguments of an ffmpeg command. fluent-ffmpeg only composes them: running through it would first ask
 * ffmpeg for its formats and encoders, outside any deadline, and parse lists whose layout has since changed.
 */
export function ffmpegArguments(parts: CommandParts): string[] {
  return compose(parts.input)
    .inputOptions('-hide_banner', '-nostdin', '-nostats', '-loglevel', 'level+info', ...parts.inputOptions)
    .videoFilters(parts.filters)
    .outputOptions('-f', parts.format, ...parts.outputOptions)
    .output(parts.output ?? 'pipe:1')
    ._getArguments()
}

export interface Running extends RunOptions {
  readonly program: string
  readonly args: readonly string[]
  /** The file read, for messages. */
  readonly file: MediaFile
  /** The folder to run in. */
  readonly cwd?: string
  /** What to write to standard input, piece by piece as the program reads it; nothing by default. */
  readonly input?: Iterable<Uint8Array>
  /** What to pass on to standard input in place of that. */
  readonly stdin?: NodeJS.ReadableStream
  /** Each line of standard error. */
  readonly onLine?: (line: string) => void
  /** Each piece of standard output; returning false stops the program. */
  readonly onOutput: (piece: Buffer) => boolean
  /** The same in place of it, one piece after the other: the program waits until the promise is kept, and is not read ahead. */
  readonly onPacedOutput?: (piece: Buffer) => Promise<boolean>
  /** It has ended; what it printed last may still be on its way to `onPacedOutput`. */
  readonly onClosed?: () => void
  /** Each piece of further outputs, `pipe:3` and so on; returning false stops the program. */
  readonly onPipes?: readonly ((piece: Buffer) => boolean)[]
}

/**
 * Runs a program to its end.
 *
 * @returns the lines it marked as errors (the last 20), oldest first; its exit status is left to the output to judge
 * @throws MnVideoError 'media' at the deadline, 'missing' when it cannot be started, 'cancelled' by the signal
 */
export async function run(running: Running): Promise<readonly string[]> {
  const { program, args, file, signal, deadline = 60 } = running
  throwIfCancelled(signal)
  const onPieces = [running.onOutput, ...(running.onPipes ?? [])]
  const child = launch(program, args, {
    outputs: onPieces.length,
    ...(running.cwd !== undefined && { cwd: running.cwd }),
    ...((running.input ?? running.stdin) && { input: true }),
    ...(running.onPacedOutput && { isDirect: true }),
  })

  const errors: string[] = []
  let stoppedBy: 'deadline' | 'abort' | 'output' | 'input' | undefined
  let waiting = 0
  let turn: Promise<unknown> = Promise.resolve()
  let failure: unknown
  const stop = (reason: typeof stoppedBy) => {
    stoppedBy ??= reason
    child.kill()
  }
  // While it waits for us it makes no progress, and that is not its fault.
  const late = () => (waiting > 0 ? void timer.refresh() : stop('deadline'))
  const timer = setTimeout(late, deadline * 1000)
  /** A stream that was paused may still bring a piece. */
  const pace = (output: Readable, piece: Buffer, take: (piece: Buffer) => Promise<boolean>) => {
    waiting++
    output.pause()
    turn = turn
      .then(async () => {
        if (!stoppedBy && !(await take(piece))) stop('output')
      })
      .catch((error: unknown) => {
        failure ??= error
        stop('output')
      })
      .finally(() => {
        timer.refresh()
        if (--waiting === 0) output.resume()
      })
  }
  const abort = () => stop('abort')
  signal?.addEventListener('abort', abort)
  if (running.stdin) passOn(running.stdin, child.stdin)
  const fed = running.stdin
    ? Promise.resolve()
    : feed(child.stdin, running.input ?? [], () => timer.refresh())
  fed.catch(() => stop('input'))
  for (const [i, onPiece] of onPieces.entries()) {
    const output = child.outputs[i]!
    output.on('data', (piece: Buffer) => {
      timer.refresh()
      if (stoppedBy) return
      if (i === 0 && running.onPacedOutput) pace(output, piece, running.onPacedOutput)
      else if (!onPiece(piece)) stop('output')
    })
  }
  createInterface({ input: child.stderr, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
    timer.refresh()
    if (/\[(error|fatal|panic)\] /.test(line) && errors.push(line.slice(0, MOST_KEPT)) > 20) errors.shift()
    running.onLine?.(line)
  })
  try {
    await child.closed
  } catch (cause) {
    throw new MnVideoError(
      'missing',
      `${program} could not be started. Install FFmpeg or set MN_VIDEO_FFMPEG.`,
      { cause },
    )
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
  running.onClosed?.()
  // Stopped, what is under way may wait for lines that do not come any more.
  if (!stoppedBy) await turn
  if (failure !== undefined) throw failure
  if (stoppedBy === 'abort') throwIfCancelled(signal)
  if (stoppedBy === 'input') await fed
  if (stoppedBy === 'deadline') {
    throw new MnVideoError(
      'media',
      `${file.shown}: FFmpeg made no progress for ${deadline} s and was stopped.`,
    )
  }
  return errors
}

/** A program that stops reading is no failure of what it reads. */
function passOn(from: NodeJS.ReadableStream, to: Writable): void {
  to.on('error', () => {}).on('close', () => {
    from.unpipe(to)
    from.pause()
  })
  from.pipe(to)
}

/** Writes pieces as they are taken, then ends; a program that stops reading is no failure of its input. */
async function feed(stdin: Writable, input: Iterable<Uint8Array>, onPiece: () => void): Promise<void> {
  stdin.on('error', () => {})
  for (const piece of input) {
    onPiece()
    if (!stdin.writable) return
    if (stdin.write(piece)) continue
    await new Promise<void>((settle) => {
      const go = () => {
        stdin.off('drain', go).off('close', go)
        settle()
      }
      stdin.on('drain', go).on('close', go)
    })
  }
  stdin.end()
}

/** Characters kept of an error line (a path of any length is among them), and of those quoted in a message. */
const MOST_KEPT = 8192
const MOST_QUOTED = 200

/** Why a file could not be opened, for one line of a message. */
export function whyUnreadable(errors: readonly string[], file: MediaFile): string {
  const refused = errors.join('\n').match(/\[(\S+) @ [^\]]*\] \[error\] Format not on whitelist/)
  if (refused) return `its format (${refused[1]}) is not one of the video containers that are read`
  return `FFmpeg finds no video in it (${reasonFrom(errors, file)})`
}

/** FFmpeg's most telling complaint, without addresses and paths. */
export function reasonFrom(errors: readonly string[], file: MediaFile): string {
  const texts = errors.map((line) =>
    line
      .replace(/\[[^\]]* @ 0x[0-9a-f]+\] /g, '')
      .replace(/\[(error|fatal|panic)\] /g, '')
      .replaceAll(`file:${file.path}`, '')
      .replace(/^: /, '')
      .trim()
      .replace(/\.$/, ''),
  )
  const telling = texts.find((text) => text && !/^(Conversion failed|Error while decoding)/.test(text))
  return telling === undefined ? 'no reason given' : shortened(telling, MOST_QUOTED)
}
