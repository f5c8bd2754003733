/**
 * One line on a terminal that is drawn over, and lines that stay. Without a terminal the line is printed now and then:
 * whoever reads a log sees that a long step goes on, and how far it is.
 */

import { harmless } from '../errors.ts'

export interface StatusLine {
  /** Draws over the line; without a terminal prints it if nothing was printed for a while. */
  show(text: string): void
  /** Prints lines that stay. */
  say(text: string): void
  clear(): void
}

const SECONDS_BETWEEN_PLAIN_LINES = 10

/** @param secondsBetween after how long without a line the status is printed where there is no terminal */
export function openStatusLine(
  stream: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number } = process.stdout,
  secondsBetween = SECONDS_BETWEEN_PLAIN_LINES,
): StatusLine {
  let shown = false
  let printed = performance.now()
  const clear = () => {
    if (shown) stream.write('\r\u001b[K')
    shown = false
  }
  return {
    show(text) {
      if (!stream.isTTY) {
        if (performance.now() - printed >= secondsBetween * 1000) this.say(`  ${text}`)
        return
      }
      stream.write(`\r\u001b[K${harmless(text).slice(0, Math.max(20, (stream.columns ?? 80) - 1))}`)
      shown = true
    },
    say(text) {
      clear()
      printed = performance.now()
      stream.write(`${harmless(text)}\n`)
    },
    clear,
  }
}

/** `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'unknown time'
  const minutes = Math.round(seconds / 60)
  const hours = Math.floor(minutes / 60)
  if (seconds < 90) return `${Math.round(seconds)} s`
  if (minutes < 120) return `${minutes} min`
  if (hours < 48) return `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}
