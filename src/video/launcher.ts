/**
 * A process that starts programs for another one, which sends it commands and gets back what they print. It stays
 * small: starting a program copies the page tables of the process that starts it, which takes a training with
 * gigabytes of values a tenth of a second in which nothing else runs. When the other process ends, all that was
 * started is killed.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import type { Readable } from 'node:stream'
import { killGroup, spawnGuarded } from './spawn-guarded.ts'
import { outputsOf } from './stdio.ts'

/** What the launcher is told; `id` is the caller's number for a program. */
export type Order =
  | {
      readonly id: number
      readonly start: readonly [program: string, ...args: string[]]
      /** Standard output and how many pipes besides. */
      readonly outputs: number
      readonly cwd?: string
    }
  | { readonly id: number; readonly kill: true }

/** What it tells of a program, in order. */
export type Report =
  /** Stream 0 is standard error, the others are the outputs. */
  | { readonly id: number; readonly stream: number; readonly piece: Uint8Array }
  | { readonly id: number; readonly closed: true; readonly failure?: string }

const running = new Map<number, ChildProcessWithoutNullStreams>()

/** Sends a report; the stream that it came from waits until it has gone, so that nothing piles up. */
function send(report: Report, source?: Readable): void {
  source?.pause()
  process.send?.(report, undefined, undefined, () => source?.resume())
}

function start({ id, start: [program, ...args], outputs, cwd }: Extract<Order, { start: unknown }>): void {
  const child = spawnGuarded(program, args, { outputs, input: false, ...(cwd !== undefined && { cwd }) })
  running.set(id, child)
  let failure: string | undefined
  child.on('error', (error) => {
    failure = error.message
  })
  for (const [stream, source] of [child.stderr, ...outputsOf(child)].entries()) {
    source.on('data', (piece: Buffer) => send({ id, stream, piece }, source))
  }
  child.on('close', () => {
    running.delete(id)
    send({ id, closed: true, ...(failure !== undefined && { failure }) })
  })
}

function kill(child: ChildProcessWithoutNullStreams | undefined): void {
  if (!child) return
  killGroup(child)
  for (const stream of child.stdio) stream?.destroy()
}

process.on('message', (order: Order) => {
  if ('start' in order) start(order)
  else kill(running.get(order.id))
})
process.on('disconnect', () => {
  for (const child of running.values()) kill(child)
  process.exit()
})
// Ctrl-C reaches the whole group of a terminal; when to stop is the other process's decision.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
