/** How far a long piece of work is: one line that renews itself on a terminal, now and then a plain line elsewhere. */

export interface Progress {
  /** One more is done; `isNew` false for what was known from before and says nothing about the speed. */
  step(isNew?: boolean): void
  /** Clears the line. */
  end(): void
}

const SECONDS_BETWEEN_PLAIN_LINES = 30

/** Counts up to a total on standard error, with the rate and the time left. */
export function startProgress(what: string, total: number): Progress {
  const started = performance.now()
  const isTerminal = process.stderr.isTTY === true
  let [done, renewed] = [0, 0]
  let printed = started
  return {
    step(isNew = true) {
      done++
      if (isNew) renewed++
      const now = performance.now()
      if (now - printed < (isTerminal ? 100 : SECONDS_BETWEEN_PLAIN_LINES * 1000)) return
      printed = now
      const rate = renewed / ((now - started) / 1000)
      const left = rate > 0 ? `, ${inWords((total - done) / rate)} left` : ''
      const line = `${what} ${done} of ${total}, ${rate.toFixed(rate < 10 ? 1 : 0)} a second${left}`
      process.stderr.write(isTerminal ? `\r\u001b[K${line}` : `${line}\n`)
    },
    end() {
      if (isTerminal) process.stderr.write('\r\u001b[K')
    },
  }
}

/** `1 h 5 min`, `3 min 20 s`, `12 s`. */
export function inWords(seconds: number): string {
  const whole = Math.ceil(seconds)
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
  return whole >= 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole} s`
}
