/** Keeps count of the samples that cannot be read, and says when they are too many to go on. */
import { stat } from 'node:fs/promises'
import { MnVideoError, shown } from '../errors.ts'
import type { Dataset } from './dataset.ts'

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
      const start = `${shown(name)}: `
      const reason = message.startsWith(start) ? message.slice(start.length) : message
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
      if (isTooMany || streak >= STREAK) throw tooMany(dataset, reasons, maxFraction, streak)
    },
  }
}

function tooMany(
  dataset: Dataset,
  reasons: ReadonlyMap<string, string>,
  maxFraction: number,
  streak: number,
): MnVideoError {
  const first = [...reasons].slice(0, 3).map(([name, reason]) => `${shown(name)}: ${reason}`)
  const more = reasons.size > first.length ? ` and ${reasons.size - first.length} more` : ''
  const [what, wayOut] =
    streak >= STREAK
      ? [`the last ${streak} samples tried cannot be read.`, 'Is the disk still there?']
      : [
          `${reasons.size} of ${dataset.size} samples cannot be read, more than max_bad_fraction (${maxFraction}).`,
          'Remove or replace these files (`mn-video data check` finds all of them), or raise max_bad_fraction.',
        ]
  return new MnVideoError('data', `${dataset.origin}: ${what}\n${first.join(' ')}${more}\n${wayOut}`)
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
