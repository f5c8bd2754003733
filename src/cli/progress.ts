/**
 * What a command is doing, for whoever waits: one line on standard error that every command has, after two seconds on a
 * terminal, now and then elsewhere. Results go to standard output by `print`, which takes that line away first.
 */
import { duration, openStatusLine } from './status-line.ts'

/** Shorter work passes without a word. */
const SILENT_MS = 2000
/** A terminal's line is drawn anew so often at most. */
const REDRAWN_MS = 100

const line = openStatusLine(process.stderr)
let running: { readonly started: number; timer: NodeJS.Timeout } | undefined
let now: { readonly text: string; readonly since: number } | undefined
let drawn = 0

/** Begins a command: what is said of it until it says more. */
export function startActivity(text: string): void {
  endActivity()
  running = { started: performance.now(), timer: setInterval(draw, 1000).unref() }
  doing(text)
}

/** What the command does from now on, such as `reading runs/x3d`. */
export function doing(text: string): void {
  now = { text, since: performance.now() }
  if (performance.now() - drawn >= REDRAWN_MS) draw()
}

/** The command has said, or says by other means, what there is to say. */
export function endActivity(): void {
  clearInterval(running?.timer)
  running = undefined
  line.clear()
}

/** Prints a line of a command's results. */
export function print(text: string): void {
  line.clear()
  console.log(text)
}

/** Prints what went wrong, or what should be known, beside the results. */
export function warn(text: string): void {
  line.clear()
  console.error(text)
}

function draw(): void {
  const time = performance.now()
  if (!running || !now || time - running.started < SILENT_MS) return
  drawn = time
  const seconds = Math.floor((time - now.since) / 1000)
  line.show(seconds > 0 ? `${now.text}, ${duration(seconds)}` : now.text)
}

export interface Progress {
  /** One more is done; `isNew` false for what was known from before and says nothing about the speed. */
  step(isNew?: boolean): void
}

/** Counts up to a total, with the rate and the time left. */
export function startProgress(what: string, total: number): Progress {
  const started = performance.now()
  let [done, renewed] = [0, 0]
  return {
    step(isNew = true) {
      done++
      if (isNew) renewed++
      const rate = renewed / ((performance.now() - started) / 1000)
      const left = rate > 0 ? `, ${duration((total - done) / rate)} left` : ''
      doing(`${what} ${done} of ${total}, ${rate.toFixed(rate < 10 ? 1 : 0)} a second${left}`)
    },
  }
}

/** Tells how much of a film is done, and how long the rest will take. */
export function startSeconds(what: string): (done: number, total: number) => void {
  const started = performance.now()
  doing(what)
  return (done, total) => {
    const spent = (performance.now() - started) / 1000
    const left = (spent * (total - done)) / done
    doing(
      `${what}: ${Math.floor(done)} of ${Math.ceil(total)} s, ${(done / spent).toFixed(1)}× its speed, ${duration(left)} left`,
    )
  }
}

/** Counts configurations whose latency is measured. */
export function countMeasured(total: number): () => void {
  let measured = 0
  const count = () => doing(`measuring latencies on this machine: ${measured++} of ${total} configurations`)
  count()
  return count
}
