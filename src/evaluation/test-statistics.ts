import { openTrainingLoader } from '../data/loading/loader.ts'
import { MnVideoError } from '../errors.ts'
import type { Configuration } from '../network/graph.ts'
import { configurationKey } from '../network/resolve.ts'
import { findStatistics, type KeptStatistics, saveStatistics } from '../runs/kept-statistics.ts'
import type { TableEntry } from '../runs/query-table.ts'
import { calibrate, calibrationClips } from './calibrate.ts'
import type { TestOptions, TestSetup } from './test-setup.ts'

export function noTrainingData(
  { run }: TestSetup,
  lacking: Configuration,
  ready: readonly TableEntry[],
): MnVideoError {
  const { width, frames, size } = lacking
  const names = ready.slice(0, 3).map((entry) => `${entry.width} × ${entry.frames} × ${entry.size}`)
  return new MnVideoError(
    'data',
    `${run.folder}: width ${width}, frames ${frames}, size ${size} has no batch-norm statistics, and there is no training data to estimate them from.\n` +
      `Give --set train_list=FILE or --set dataset_dir=FOLDER${ready.length > 0 ? `, or test what has statistics (width × frames × size: ${names.join(', ')}${ready.length > 3 ? ', …' : ''})` : ''}.`,
  )
}

/** The statistics that are kept of configurations, by key. */
export async function findAllStatistics(
  { run, calibration }: TestSetup,
  configurations: readonly Configuration[],
): Promise<Map<string, KeptStatistics>> {
  const found = new Map<string, KeptStatistics>()
  for (const configuration of configurations) {
    const kept = await findStatistics(run, configuration, calibration)
    if (kept) found.set(configurationKey(configuration), kept)
  }
  return found
}

/** The statistics of configurations by key: those that are kept, and the others estimated and kept. */
export async function calibrateMissing(
  setup: TestSetup,
  configurations: readonly Configuration[],
  { signal, onEvent }: TestOptions,
): Promise<Map<string, KeptStatistics>> {
  const { run, engine, training, calibration } = setup
  const { config, network, weights, weightsId, folder } = run
  const found = await findAllStatistics(setup, configurations)
  const missing = configurations.filter((configuration) => !found.has(configurationKey(configuration)))
  if (missing.length === 0) return found
  if (!training) throw noTrainingData(setup, missing[0]!, [])
  const loader = openTrainingLoader(training, network, config, {
    ...(signal && { signal }),
    onBad: (file, reason) => onEvent?.({ event: 'bad-file', split: 'train', file, reason }),
  })
  const { mean, std } = config
  const trainer = await engine.openTrainer(network, weights, {
    momentum: 0,
    nesterov: false,
    weightDecay: 0,
    normalisation: { mean, std },
  })
  try {
    const total = config.calibration_batches
    const estimated = await calibrate(trainer, network, missing, calibrationClips(loader, total), (done) =>
      onEvent?.({ event: 'progress', what: 'calibration', done, total }),
    )
    for (const configuration of missing) {
      const key = configurationKey(configuration)
      const kept = { statistics: estimated.get(key)!, calibration }
      found.set(key, kept)
      await saveStatistics(folder, configuration, kept, weightsId)
    }
    return found
  } finally {
    trainer.dispose()
  }
}
