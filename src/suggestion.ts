/** The known word nearest to a mistyped one. Pure text; it knows nothing of configurations. */

/** How far from the word a suggestion may be and still be offered as a question. */
const closeEnough = 0.4

/**
 * The sentence that helps after an unknown word: `Did you mean "lr"?` when a known word is close, else the
 * nearest one as a plain fact.
 */
export function suggestion(word: string, known: readonly string[], what: string): string {
  // Longer words than any key are cut: their distance is large anyway, and the search stays cheap.
  const wanted = word.slice(0, 64).toLowerCase().replaceAll('-', '_')
  let nearest = ''
  let best = Number.POSITIVE_INFINITY
  for (const candidate of known) {
    const distance = distanceTo(wanted, candidate)
    if (distance < best) {
      best = distance
      nearest = candidate
    }
  }
  const close = best <= Math.max(1, closeEnough * Math.max(wanted.length, nearest.length))
  return close && best < nearest.length
    ? `Did you mean "${nearest}"?`
    : `The nearest known ${what} is "${nearest}".`
}

/** A word of some length may be the beginning of what was meant, but is rather a whole word with a letter wrong. */
function distanceTo(wanted: string, candidate: string): number {
  const whole = editDistance(wanted, candidate)
  if (wanted.length < 4) return whole
  return Math.min(whole, editDistance(wanted, candidate.slice(0, wanted.length)) + 1.5)
}

/** Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforeLast[j - 2]! + 1)
      }
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
