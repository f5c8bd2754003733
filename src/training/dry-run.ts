/** Everything that training does, once: for its time and memory before days are spent. */
import type { Taken } from '../checkpoints/import/taken.ts'
import type { Config } from '../config/index.ts'
import type { EngineName, EngineOptions } from '../engines/index.ts'
import { buildNetwork } from '../models/index.ts'
import { requireMemory } from './memory.ts'
import { learningRate } from './schedule.ts'
import { notesOn, openSetup, trainerOptions } from './setup.ts'
import { freshStart } from './start.ts'
import { mutualStep, type StepResult } from './step.ts'
import { validatedConfigurations } from './validate.ts'

export interface DryRun {
  readonly network: string
  readonly engine: string
  readonly trainingSamples: number
  readonly validationSamples: number
  /** What is to be said of the data, a line each. */
  readonly notes: readonly string[]
  readonly stepsPerEpoch: number
  readonly steps: number
  /** Seconds of decoding the first batches, and of the step after a first one that compiles. */
  readonly decodeSeconds: number
  readonly stepSeconds: number
  /** Bytes that a step takes beside the weights, and the most that the program has held so far. */
  readonly bytes: number
  readonly residentBytes: number
  readonly result: StepResult
  /** What was taken of the weights of `pretrained`. */
  readonly taken?: Taken
  /** Configurations that every validation looks at. */
  readonly validated: number
}

/**
 * Opens data sets and engine, decodes the batches of one step, and runs that step twice. Nothing is written.
 *
 * @throws MnVideoError as `train` would
 */
export async function dryRun(
  config: Config,
  options: EngineOptions & { readonly engine?: EngineName } = {},
): Promise<DryRun> {
  const network = buildNetwork(config)
  const setup = await openSetup(config, network, options, () => {})
  try {
    const { engine, loader, datasets, stepsPerEpoch } = setup
    const { weights, taken } = await freshStart(network, config)
    const trainer = await engine.openTrainer(network, weights, trainerOptions(config))
    const bytes = requireMemory(trainer, network, config)
    let since = performance.now()
    const seconds = () => {
      const passed = (performance.now() - since) / 1000
      since = performance.now()
      return passed
    }
    const batches = []
    for await (const batch of loader.epoch(0)) if (batches.push(batch) === config.accumulate) break
    const decodeSeconds = seconds()
    const rate = { step: 0, learningRate: learningRate(config, 0) }
    await mutualStep(trainer, network, config, batches, rate)
    seconds()
    const result = await mutualStep(trainer, network, config, batches, rate)
    const stepSeconds = seconds()
    trainer.dispose()
    return {
      network: network.name,
      engine: engine.description,
      trainingSamples: datasets.train.size,
      validationSamples: datasets.val.size,
      notes: await notesOn(config, engine, datasets),
      stepsPerEpoch,
      steps: stepsPerEpoch * config.num_epochs,
      decodeSeconds,
      stepSeconds,
      bytes,
      residentBytes: process.resourceUsage().maxRSS * 1024,
      result,
      ...(taken && { taken }),
      validated: validatedConfigurations(config).length,
    }
  } finally {
    setup.close()
  }
}
