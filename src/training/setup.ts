/** What a training needs besides its weights: data sets, a loader and an engine, made from a configuration alone. */
import type { Config } from '../config/index.ts'
import { openTrainingLoader, type TrainingLoader } from '../data/loading/loader.ts'
import { openDatasets, passedOverLines } from '../data/sets/dataset.ts'
import type { Engine } from '../engines/engine.ts'
import { type EngineName, type EngineOptions, openEngine } from '../engines/index.ts'
import { skippedLines } from '../engines/precision.ts'
import type { Network } from '../network/graph.ts'
import { labelsNote, labelsToKeep } from '../runs/labels.ts'
import { useLauncher } from '../video/launch.ts'

export interface TrainingSetup {
  readonly config: Config
  readonly network: Network
  readonly engine: Engine
  readonly loader: TrainingLoader
  readonly datasets: Awaited<ReturnType<typeof openDatasets>>
  readonly stepsPerEpoch: number
  /** Kills the decoders. */
  close(): void
}

/** Opens what a configuration trains with: its data sets and an engine. */
export async function openSetup(
  config: Config,
  network: Network,
  options: EngineOptions & { readonly engine?: EngineName },
  onBad: (file: string, reason: string) => void,
): Promise<TrainingSetup> {
  const datasets = await openDatasets(config)
  // A list of names that does not fit is found out now, not when the run is used.
  await labelsToKeep(config, datasets.train.classes)
  useLauncher()
  const engine = await openEngine(options.engine, options)
  const closing = new AbortController()
  const loader = openTrainingLoader(datasets.train, network, config, { signal: closing.signal, onBad })
  return {
    config,
    network,
    engine,
    loader,
    datasets,
    stepsPerEpoch: Math.ceil(loader.batchesPerEpoch / config.accumulate),
    close: () => closing.abort(),
  }
}

/** What is to be said of engine and data before training, a line each. */
export async function notesOn(
  config: Config,
  engine: Engine,
  datasets: TrainingSetup['datasets'],
): Promise<string[]> {
  const note = await labelsNote(config, await labelsToKeep(config, datasets.train.classes))
  const passedOver = passedOverLines([datasets.train, datasets.val])
  return [...skippedLines(engine), ...passedOver, ...(note ? [note] : [])]
}

export const trainerOptions = ({ momentum, nesterov, weight_decay, weight_decay_on, mean, std }: Config) => ({
  momentum,
  nesterov,
  weightDecay: weight_decay,
  decayRule: weight_decay_on,
  normalisation: { mean, std },
})
