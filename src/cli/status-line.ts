/** One line on a terminal that is drawn over, and lines that stay; without a terminal only the latter. */

export interface StatusLine {
  /** Draws over the line; nothing without a terminal. */
  show(text: string): void
  /** Prints lines that stay. */
  say(text: string): void
  clear(): void
}

export function openStatusLine(stream: NodeJS.WriteStream = process.stdout): StatusLine {
  let shown = false
  const clear = () => {
    if (shown) stream.write('\r\u001b[K')
    shown = false
  }
  return {
    show(text) {
      if (!stream.isTTY) return
      stream.write(`\r\u001b[K${text.slice(0, Math.max(20, stream.columns - 1))}`)
      shown = true
    },
    say(text) {
      clear()
      stream.write(`${text}\n`)
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
