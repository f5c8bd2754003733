/** Starts programs: directly, or through a launcher where this process is about to grow large. */
import { type ChildProcess, type ChildProcessWithoutNullStreams, fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Order, Report } from './launcher.ts'
import { killGroup, spawnGuarded } from './spawn-guarded.ts'
import { outputsOf } from './stdio.ts'

/** A program that runs. */
export interface Launched {
  /** Takes nothing when the program was started by a launcher. */
  readonly stdin: Writable
  /** Standard output, then `pipe:3` and so on. */
  readonly outputs: readonly Readable[]
  readonly stderr: Readable
  /** Resolves when it has ended and all it printed has been read; rejects when it could not be started. */
  readonly closed: Promise<void>
  /** Ends it and what it started, at once. Nothing more is read from it. */
  kill(): void
}

export interface LaunchOptions {
  /** Standard output and how many pipes besides are read; 1 by default. */
  readonly outputs?: number
  readonly cwd?: string
  /** Whether something will be written to its standard input. */
  readonly input?: boolean
  /** Not through the launcher: only then does it wait for a reader that does. */
  readonly isDirect?: boolean
}

/** Compiled beside this file; sources alone have none. */
const LAUNCHER = fileURLToPath(new URL('./launcher.js', import.meta.url))
const onWindows = process.platform === 'win32'

let launcher: ChildProcess | undefined
const started = new Map<number, (report: Report) => void>()
let next = 0

/**
 * Starts the launcher, unless it runs: from now on programs are started through it. Worth its 40 MiB where hundreds
 * of programs will be started while this process holds gigabytes. Without fork (Windows) it is not needed.
 */
export function useLauncher(): void {
  if (launcher || onWindows || !existsSync(LAUNCHER)) return
  const child = fork(LAUNCHER, [], {
    // Not this process's own, among which a script (-e) or a debugger's port may be.
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  child.on('message', (report: Report) => started.get(report.id)?.(report))
  child.on('exit', () => {
    launcher = undefined
    for (const [id, tell] of started) tell({ id, closed: true, failure: 'the launcher has ended' })
  })
  launcher = child
  rest()
}

/** The launcher does not keep this process alive while nothing runs. */
function rest(): void {
  if (started.size > 0) return
  launcher?.unref()
  launcher?.channel?.unref()
}

export function launch(program: string, args: readonly string[], options: LaunchOptions = {}): Launched {
  return launcher && !options.input && !options.isDirect
    ? launchThrough(launcher, program, args, options)
    : launchHere(program, args, options)
}

function launchThrough(
  through: ChildProcess,
  program: string,
  args: readonly string[],
  { cwd, outputs: count = 1 }: LaunchOptions,
): Launched {
  const id = next++
  const order = (message: Order) => through.connected && through.send(message)
  const pipe = () => new Readable({ read() {} })
  const stderr = pipe()
  const outputs = Array.from({ length: count }, pipe)
  const streams = [stderr, ...outputs]
  const closed = new Promise<void>((settle, fail) => {
    let open = streams.length
    let failure: string | undefined
    for (const stream of streams) {
      stream.on('close', () => {
        if (--open > 0) return
        if (failure === undefined) settle()
        else fail(new Error(failure))
      })
    }
    started.set(id, (report) => {
      if ('piece' in report) {
        streams[report.stream]!.push(report.piece)
        return
      }
      failure = report.failure
      started.delete(id)
      rest()
      for (const stream of streams) stream.push(null)
    })
  })
  through.ref()
  through.channel?.ref()
  order({ id, start: [program, ...args], outputs: count, ...(cwd !== undefined && { cwd }) })
  return {
    stdin: new Writable({ write: (_chunk, _encoding, done) => done() }),
    outputs,
    stderr,
    closed,
    kill() {
      order({ id, kill: true })
      for (const stream of streams) stream.destroy()
    },
  }
}

function launchHere(
  program: string,
  args: readonly string[],
  { outputs = 1, isDirect: _, ...options }: LaunchOptions,
): Launched {
  const child = spawnGuarded(program, args, { ...options, outputs, input: true })
  alive.add(child)
  if (alive.size === 1) process.on('exit', killAll)
  const closed = new Promise<void>((settle, fail) => child.once('error', fail).once('close', () => settle()))
  const gone = () => {
    alive.delete(child)
    if (alive.size === 0) process.off('exit', killAll)
  }
  closed.then(gone, gone)
  const { stdin, stderr } = child
  const pipes = outputsOf(child)
  return {
    stdin,
    outputs: pipes,
    stderr,
    closed,
    kill() {
      killGroup(child)
      // What escaped the group could hold these open; nothing more is read from them.
      for (const stream of [stdin, stderr, ...pipes]) stream.destroy()
    },
  }
}

const alive = new Set<ChildProcessWithoutNullStreams>()

function killAll(): void {
  for (const child of alive) killGroup(child)
}
