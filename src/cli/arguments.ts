/** Readers of option values; each refuses what it cannot read with the option's name and what was expected. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { MnVideoError } from '../errors.ts'
import type { Budget } from '../inference/options.ts'
import { roundedUp } from '../runs/query-table.ts'

/** A number above 0. */
export function positiveNumber(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value > 0 && Number.isFinite(value)) return value
  throw new InvalidArgumentError('Give a number above 0.')
}

/** A share above 0, at most 1. */
export function fraction(text: string): number {
  const value = positiveNumber(text)
  if (value <= 1) return value
  throw new InvalidArgumentError('Give a share above 0 and at most 1.')
}

/** Collects the values of an option that may be repeated. */
export const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
]

/** No count of files, frames, pixels or classes is larger. */
const MOST = 1_000_000

/** A whole number from 1. */
export function count(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text.trim()) || value < 1) throw new InvalidArgumentError('Give a whole number from 1.')
  if (value > MOST) throw new InvalidArgumentError(`Give a whole number of at most ${MOST}.`)
  return value
}

/** The option of commands that take a folder of videos or pictures. */
export const mediaOption = () =>
  new Option('--media <kind>', 'what samples of a folder are, where it has both').choices(['video', 'image'])

/** Values separated by commas, each read alike. */
export const listOf =
  <T>(one: (text: string) => T) =>
  (text: string): readonly T[] =>
    text.split(',').map(one)

/** The options that say what a call may cost: a budget, or an exact configuration. */
export interface BudgetOptions {
  readonly gflops?: number
  readonly mflops?: number
  readonly latency?: number
  readonly width?: number
  readonly frames?: number
  readonly size?: number
}

/** @param what a budget is for, in the help: `clip or image` */
export function addBudgetOptions(command: Command, what: string): void {
  command
    .option('--gflops <budget>', `the most that one ${what} may cost, in 1e9 multiply-adds`, positiveNumber)
    .option('--mflops <budget>', 'the same in 1e6 multiply-adds', positiveNumber)
    .option('--latency <milliseconds>', '… in time on this machine, decoding not counted', positiveNumber)
    .option(
      '--width <multiplier>',
      'an exact configuration in place of a budget: width multiplier',
      positiveNumber,
    )
    .option('--frames <count>', '… frames', count)
    .option('--size <pixels>', '… side of the square input', count)
}

/** @throws MnVideoError `usage` when several are given */
export function budgetOf({ gflops, mflops, latency, width, frames, size }: BudgetOptions): Budget {
  const exact = {
    ...(width !== undefined && { width }),
    ...(frames !== undefined && { frames }),
    ...(size !== undefined && { size }),
  }
  const ways =
    [gflops, mflops, latency].filter((value) => value !== undefined).length +
    (Object.keys(exact).length > 0 ? 1 : 0)
  if (ways > 1) {
    throw new MnVideoError(
      'usage',
      'give one of --gflops, --mflops, --latency, or an exact --width, --frames and --size.',
    )
  }
  if (gflops !== undefined) return { gflops }
  if (mflops !== undefined) return { mflops }
  if (latency !== undefined) return { latencyMs: latency }
  return exact
}

/** What to classify, in a command that shows how to go on. */
export const exampleInput = (media: 'video' | 'image'): string =>
  media === 'video' ? '--clip video.mp4' : '--image picture.jpg'

/** A budget that buys a configuration of that cost, in few digits. */
export const budgetFlag = (macs: number): string =>
  macs >= 1e8 ? `--gflops ${roundedUp(macs / 1e9, 2)}` : `--mflops ${roundedUp(macs / 1e6, 2)}`
