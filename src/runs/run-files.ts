/** What the files of a run's folder are called, which is known here and nowhere else, and how they are read and written. */

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { MnVideoError, reasonOf } from '../errors.ts'
import { readText } from '../files/read.ts'
import type { Configuration } from '../network/graph.ts'
import { configurationKey } from '../network/resolve.ts'
import type { Conditions } from './conditions.ts'

export const CONFIG = 'config.yml'
export const WEIGHTS = 'model.safetensors'

export const TABLE = 'query-table.json'
export const STATISTICS = 'bn'
export const PREDICTIONS = 'predictions'
/** What was evaluated, a line each (`sweep-results.ts`). */
export const SWEEP = 'sweep.jsonl'
/** What happened in training, a line each (`log.ts`). */
export const LOG = 'log.jsonl'
/** The folder of TensorBoard's event files. */
export const EVENTS = 'tensorboard'

/** No table or configuration is longer; a file that is was put there by mistake. */
const MAX_TEXT_BYTES = 64 * 2 ** 20

/**
 * The file of a configuration's batch-norm statistics, relative to the run.
 *
 * @param calibration what they were estimated from; none for those that came with the weights
 */
export const statisticsFile = (configuration: Configuration, calibration?: string): string =>
  `${STATISTICS}/${configurationKey(configuration)}${calibration === undefined ? '' : `-${calibration}`}.safetensors`

/** What answers belong to: those of a run from before do not say. */
export type AnswersOf = Configuration & {
  readonly [K in keyof Conditions | 'weights' | 'calibration']?: string | undefined
}

/** The file of what a configuration answered with some views (`predictions.ts`), relative to the run. */
export function predictionsFile(of: AnswersOf, views: string): string {
  const { weights, data, settings, calibration } = of
  const belongsTo = [weights, data, settings, calibration]
  const id = createHash('sha256').update(JSON.stringify(belongsTo)).digest('hex').slice(0, 12)
  return `${PREDICTIONS}/${configurationKey(of)}${views === '1x1' ? '' : `-${views}`}${data === undefined ? '' : `-${id}`}.jsonl`
}

/** The file of the spans that were found in films, by the name of their list. */
export const spanResultsFile = (folder: string, list: string): string =>
  join(folder, PREDICTIONS, `spans-${list}.json`)

/** The file of a run's weights. */
export const weightsFile = (folder: string): string => join(folder, WEIGHTS)

export async function textIn(folder: string, name: string): Promise<string> {
  const file = join(folder, name)
  try {
    return await readText(file, MAX_TEXT_BYTES)
  } catch (error) {
    const missing = ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')
    throw new MnVideoError(
      'run',
      missing
        ? `${folder}: is not a run (no ${name}). Give a folder that \`mn-video train\`, \`init\` or \`import\` made.`
        : `${file}: cannot be read: ${reasonOf(error)}.`,
    )
  }
}

export async function writing<T>(folder: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (error) {
    if (error instanceof MnVideoError) throw error
    throw new MnVideoError('run', `${folder}: cannot be written: ${reasonOf(error)}.`, { cause: error })
  }
}
