/** Keeps count of the samples that cannot be read, and says when they are too many to go on: in training, and in evaluation. */
import { MnVideoError, shown } from '../../errors.ts'
import { isThere } from '../../files/exists.ts'
import type { Dataset } from '../sets/dataset.ts'

export interface BadFiles {
  /** Why each sample cannot be read, by its name. */
  readonly reasons: ReadonlyMap<string, string>
  /** Notes that a sample was read. */
  good(): void
  /**
   * Notes that a sample cannot be read.
   *
   * @throws MnVideoError 'data' when too many cannot, or the data set is gone
   */
  add(name: string, reason: string): Promise<void>
}

/** Fewer samples than this are too few to judge a data set by. */
const HANDFUL = 8
/** So many failures without a single success between them are no matter of single files. */
const STREAK = 32

export function trackBadFiles(
  dataset: Dataset,
  maxFraction: number,
  onBad?: (name: string, reason: string) => void,
): BadFiles {
  const reasons = new Map<string, string>()
  let tried = 0
  let streak = 0
  return {
    reasons,
    good: () => {
      tried++
      streak = 0
    },
    add: async (name, message) => {
      tried++
      streak++
      const reason = reasonFor(name, message)
      if (!(await isThere(dataset.origin))) {
        throw new MnVideoError(
          'data',
          `${dataset.origin}: is gone: the data set was moved, removed or unmounted while it was read (${shown(name)}: ${reason})\nPut it back and go on from the last checkpoint.`,
        )
      }
      if (!reasons.has(name)) {
        reasons.set(name, reason)
        onBad?.(name, reason)
      }
      const isTooMany = reasons.size > maxFraction * dataset.size && tried >= Math.min(HANDFUL, dataset.size)
      if (isTooMany || streak >= STREAK) throw tooMany(dataset, reasons, maxFraction, { streak })
    },
  }
}

/**
 * Refuses to evaluate on what is left of a data set. All samples are tried first, so that the figures are whole, unless
 * very many are bad.
 *
 * @param reasons why samples could not be read, by name
 * @param tried samples that were tried so far, those included
 * @throws MnVideoError 'data' naming the first ones, where more than `maxFraction` are bad, or none is left
 */
export function refuseBadEvaluation(
  dataset: Dataset,
  maxFraction: number,
  reasons: ReadonlyMap<string, string>,
  tried: number,
): void {
  const isTooMany = reasons.size > maxFraction * dataset.size
  if (tried < dataset.size ? isTooMany && reasons.size >= STREAK : isTooMany || reasons.size === tried)
    throw tooMany(dataset, reasons, maxFraction, { tried })
}

/** A message about a file without the file's name, which stands beside it. */
export const reasonFor = (name: string, message: string): string =>
  message.startsWith(`${shown(name)}: `) ? message.slice(shown(name).length + 2) : message

function tooMany(
  dataset: Dataset,
  reasons: ReadonlyMap<string, string>,
  maxFraction: number,
  { streak = 0, tried = 0 }: { readonly streak?: number; readonly tried?: number },
): MnVideoError {
  const first = [...reasons].slice(0, 3).map(([name, reason]) => `${shown(name)}: ${reason}`)
  const more = reasons.size > first.length ? ` and ${reasons.size - first.length} more` : ''
  const [what, wayOut] = whatNow(dataset.size, reasons.size, maxFraction, streak, tried)
  return new MnVideoError('data', `${dataset.origin}: ${what}\n${first.join(' ')}${more}\n${wayOut}`)
}

/** What is wrong, and what to do. */
function whatNow(size: number, bad: number, maxFraction: number, streak: number, tried: number) {
  if (streak >= STREAK)
    return [`the last ${streak} samples tried cannot be read.`, 'Is the disk still there?'] as const
  if (bad >= size)
    return [`none of its ${size} samples can be read.`, 'Give a data set whose files can be.'] as const
  const enough = tried === size ? ` (--set max_bad_fraction=${Math.ceil((100 * bad) / size) / 100})` : ''
  return [
    `${tried > 0 && tried < size ? `at least ${bad}` : bad} of ${size} samples cannot be read, more than max_bad_fraction (${maxFraction}).`,
    `Remove or replace these files (\`mn-video data check\` finds all of them), or raise max_bad_fraction${enough}.`,
  ] as const
}
