/** The confusion matrix and what follows from it: precision, recall and F1 per class, mean class accuracy. */

/** `counts[label · classes + guess]`: how many samples of a class were taken for which. */
export interface Confusion {
  readonly classes: number
  readonly counts: Uint32Array
}

/** Shares from 0 to 1. What nothing can be said about (no samples, never guessed) is 0, as in scikit-learn. */
export interface ClassMetrics {
  readonly index: number
  /** Samples of this class. */
  readonly support: number
  /** Samples taken for this class. */
  readonly guessed: number
  readonly right: number
  /** right / guessed */
  readonly precision: number
  /** right / support: the accuracy on this class. */
  readonly recall: number
  /** 2 · right / (guessed + support): the harmonic mean of both. */
  readonly f1: number
}

/** One kind of mistake: samples of a class that were taken for another. */
export interface Mistake {
  readonly label: number
  readonly guess: number
  readonly samples: number
}

export const createConfusion = (classes: number): Confusion => ({
  classes,
  counts: new Uint32Array(classes * classes),
})

/** Of labels and guesses in pairs. */
export function confusionOf(
  classes: number,
  pairs: Iterable<{ readonly label: number; readonly guess: number }>,
): Confusion {
  const confusion = createConfusion(classes)
  for (const { label, guess } of pairs) confusion.counts[label * classes + guess]!++
  return confusion
}

export function classReport({ classes, counts }: Confusion): ClassMetrics[] {
  const support = new Float64Array(classes)
  const guessed = new Float64Array(classes)
  for (let label = 0; label < classes; label++) {
    for (let guess = 0; guess < classes; guess++) {
      const samples = counts[label * classes + guess]!
      support[label]! += samples
      guessed[guess]! += samples
    }
  }
  const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole)
  return Array.from(support, (own, index) => {
    const right = counts[index * classes + index]!
    const taken = guessed[index]!
    return {
      index,
      support: own,
      guessed: taken,
      right,
      precision: ratio(right, taken),
      recall: ratio(right, own),
      f1: ratio(2 * right, taken + own),
    }
  })
}

/** Recall averaged over the classes that have samples; 0 of none. */
export function meanClassAccuracy(confusion: Confusion): number {
  const present = classReport(confusion).filter(({ support }) => support > 0)
  return present.reduce((sum, { recall }) => sum + recall, 0) / Math.max(1, present.length)
}

/** The mistakes that are made most often, the most frequent first. */
export function worstMistakes({ classes, counts }: Confusion, count: number): Mistake[] {
  const mistakes: Mistake[] = []
  counts.forEach((samples, at) => {
    const label = Math.floor(at / classes)
    const guess = at % classes
    if (samples > 0 && label !== guess) mistakes.push({ label, guess, samples })
  })
  return mistakes
    .sort((a, b) => b.samples - a.samples || a.label - b.label || a.guess - b.guess)
    .slice(0, count)
}
