/**
 * Starts programs that cannot outlive this process, however it ends: a shell beside it waits for the end of a pipe
 * that only this process holds open, and then kills what is still running. It costs a megabyte. (Windows has no
 * such shell; there what was started ends with its pipes.) It is told of a program right after the start: a death
 * within those microseconds is all that it would miss.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { stdioFor } from './stdio.ts'

export interface SpawnOptions {
  /** Standard output and how many pipes besides. */
  readonly outputs: number
  readonly cwd?: string
  /** Whether something will be written to its standard input. */
  readonly input: boolean
}

const onWindows = process.platform === 'win32'

/** Runs a program with an address space of at most so many KiB, where the system has such a limit. */
const LIMITED = 'ulimit -v "$0" 2>/dev/null; exec "$@"'
let mostBytes: number | undefined

/** From now on no program that this process starts may take more memory: for files that anybody may send. */
export function limitMemory(bytes: number): void {
  mostBytes = bytes
}

/** Starts a program in a process group of its own, so that a wrapper script dies together with what it started. */
export function spawnGuarded(
  program: string,
  args: readonly string[],
  { outputs, cwd, input }: SpawnOptions,
): ChildProcessWithoutNullStreams {
  const tell = onWindows ? undefined : guard()
  const [command, rest] =
    mostBytes === undefined || onWindows
      ? [program, args]
      : ['/bin/sh', ['-c', LIMITED, String(Math.floor(mostBytes / 1024)), program, ...args]]
  const child = spawn(command, rest, {
    stdio: stdioFor(input ? 'pipe' : 'ignore', outputs),
    ...(cwd !== undefined && { cwd }),
    windowsHide: true,
    detached: !onWindows,
  })
  const { pid } = child
  if (pid !== undefined && tell) {
    running.add(pid)
    tell.write(`+ ${pid}\n`)
    child.once('exit', () => {
      running.delete(pid)
      current?.write(`- ${pid}\n`)
    })
  }
  return child
}

/** Ends a program and what it started, at once. */
export function killGroup(child: ChildProcessWithoutNullStreams): void {
  if (child.pid === undefined) return
  try {
    if (onWindows) child.kill('SIGKILL')
    else process.kill(-child.pid, 'SIGKILL')
  } catch {
    // Already gone.
  }
}

/** Keeps a list of process groups, told line by line; kills them when there is nobody left who could tell more. */
const SCRIPT = `
groups=
while read -r change group; do
  others=
  for each in $groups; do [ "$each" = "$group" ] || others="$others $each"; done
  groups=$others
  [ "$change" = + ] && groups="$groups $group"
done
for each in $groups; do kill -9 "-$each"; done
`

const running = new Set<number>()
let current: Socket | undefined

/** The pipe to the guard, which is started when there is none (the first time, or after somebody killed it). */
function guard(): Socket {
  if (current) return current
  // In a session of its own: what a terminal or a group of processes is sent must not reach it.
  const shell = spawn('/bin/sh', ['-c', SCRIPT], {
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    detached: true,
  })
  const pipe = shell.stdin as unknown as Socket
  const gone = () => {
    if (current === pipe) current = undefined
  }
  shell.on('error', gone).on('exit', gone)
  pipe.on('error', gone)
  // It does not keep this process alive.
  shell.unref()
  pipe.unref()
  for (const pid of running) pipe.write(`+ ${pid}\n`)
  current = pipe
  return pipe
}
