/**
 * What a measurement belongs to beside the weights: the data and the settings that it was made with. A number that was
 * kept counts for another call only where these are the same.
 */
import { createHash } from 'node:crypto'
import { type Config, valuesBehind } from '../config/index.ts'
import type { Dataset } from '../data/sets/dataset.ts'

/** To be raised whenever the same files and settings come to give other pixels or other scores. */
const PROTOCOL = 1

/** What accuracies were measured with. */
export interface Conditions {
  /** Identity of the validation samples: their list and their files. */
  readonly data: string
  /** Identity of every key that may change what is evaluated. */
  readonly settings: string
}

export const conditionsOf = async (config: Config, validation: Dataset): Promise<Conditions> => ({
  data: await validation.identity(),
  settings: settingsOf(config),
})

/** Identity of the keys behind an evaluation. */
export const settingsOf = (config: Config): string => identityOf(valuesBehind('evaluation', config))

/** Whether a table was measured with other settings than its run's configuration has now. */
export const isOutdated = (
  { settings }: { readonly settings?: string | undefined },
  config: Config,
): boolean => settings !== undefined && settings !== settingsOf(config)

/** Identity of what batch-norm statistics are estimated from: the training samples, and the keys behind the batches. */
export const calibrationOf = async (config: Config, training: Dataset): Promise<string> =>
  identityOf({ data: await training.identity(), ...valuesBehind('calibration', config) })

const identityOf = (values: object): string =>
  createHash('sha256')
    .update(
      JSON.stringify(Object.entries({ protocol: PROTOCOL, ...values }).sort(([a], [b]) => (a < b ? -1 : 1))),
    )
    .digest('hex')
    .slice(0, 16)
