/** Starts programs: directly, or through a launcher where this process is about to grow large. */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Order, Report } from './launcher.ts'

/** A program that runs. */
export interface Launched {
  /** Takes nothing when the program was started by a launcher. */
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /** Resolves when it has ended and all it printed has been read; rejects when it could not be started. */
  readonly closed: Promise<void>
  /** Ends it and what it started, at once. Nothing more is read from it. */
  kill(): void
}

export interface LaunchOptions {
  readonly cwd?: string
  /** Whether something will be written to its standard input. */
  readonly input?: boolean
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
  return launcher && !options.input
    ? launchThrough(launcher, program, args, options)
    : launchHere(program, args, options)
}

function launchThrough(
  through: ChildProcess,
  program: string,
  args: readonly string[],
  { cwd }: LaunchOptions,
): Launched {
  const id = next++
  const order = (message: Order) => through.connected && through.send(message)
  const stdout = new Readable({ read() {} })
  const stderr = new Readable({ read() {} })
  const closed = new Promise<void>((settle, fail) => {
    const ended = new Set<Readable>()
    let failure: string | undefined
    const end = (stream: Readable) => {
      if (ended.add(stream).size < 2) return
      if (failure === undefined) settle()
      else fail(new Error(failure))
    }
    for (const stream of [stdout, stderr]) stream.on('close', () => end(stream))
    started.set(id, (report) => {
      if ('output' in report) stdout.push(report.output)
      else if ('errors' in report) stderr.push(report.errors)
      else {
        failure = report.failure
        started.delete(id)
        rest()
        stdout.push(null)
        stderr.push(null)
      }
    })
  })
  through.ref()
  through.channel?.ref()
  order({ id, start: [program, ...args], ...(cwd !== undefined && { cwd }) })
  return {
    stdin: new Writable({ write: (_chunk, _encoding, done) => done() }),
    stdout,
    stderr,
    closed,
    kill() {
      order({ id, kill: true })
      stdout.destroy()
      stderr.destroy()
    },
  }
}

function launchHere(program: string, args: readonly string[], { cwd }: LaunchOptions): Launched {
  // In a process group of its own, so that a wrapper script dies together with what it started.
  const child = spawn(program, args, {
    stdio: 'pipe',
    ...(cwd !== undefined && { cwd }),
    windowsHide: true,
    detached: !onWindows,
  })
  alive.add(child)
  if (alive.size === 1) process.on('exit', killAll)
  const closed = new Promise<void>((settle, fail) => child.once('error', fail).once('close', () => settle()))
  const gone = () => {
    alive.delete(child)
    if (alive.size === 0) process.off('exit', killAll)
  }
  closed.then(gone, gone)
  const { stdin, stdout, stderr } = child
  return {
    stdin,
    stdout,
    stderr,
    closed,
    kill() {
      kill(child)
      // What escaped the group could hold these open; nothing more is read from them.
      for (const stream of [stdin, stdout, stderr]) stream.destroy()
    },
  }
}

const alive = new Set<ChildProcess>()

function killAll(): void {
  for (const child of alive) kill(child)
}

function kill(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    if (onWindows) child.kill('SIGKILL')
    else process.kill(-child.pid, 'SIGKILL')
  } catch {
    // Already gone.
  }
}
