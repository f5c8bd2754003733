/** A model as the server has it: by name, its configurations timed and held ready. */
import { clipSpan, testPicture } from '../data/loading/test-clips.ts'
import { describeEngine } from '../engines/precision.ts'
import { MnVideoError, shown } from '../errors.ts'
import type { Model } from '../inference/model.ts'
import { candidatesOf } from '../inference/streaming/candidates.ts'
import type { Candidate } from '../inference/streaming/controller.ts'
import { accuracyOf, isReady, type TableEntry } from '../runs/query-table.ts'
import { clipSeconds } from '../video/sampling.ts'
import type { ConfigurationJson, ModelJson } from './api.ts'
import type { EngineQueue } from './engine-queue.ts'

export interface ServedModel {
  readonly name: string
  /** Its runs wait their turn in the engine's queue. */
  readonly model: Model
  /** What load and deadlines choose from: the most accurate first, each faster than the one before. */
  readonly ranked: readonly Candidate<TableEntry>[]
  readonly json: ModelJson
}

/** Times and compiles what a model can run. @param onNote told what is worth knowing */
export async function prepareModel(
  name: string,
  model: Model,
  queue: EngineQueue,
  onNote: (text: string) => void,
): Promise<ServedModel> {
  await timeAll(model, onNote)
  const ranked = await candidatesOf(model, {})
  for (const { entry } of ranked) await queue.measureBatches(model, entry)
  const { network, config, table, labels } = model
  const ready = table.entries.filter((entry) => isReady(table, entry))
  const json = (entry: TableEntry) => configurationJson(model, entry)
  const byCost = (a: ConfigurationJson, b: ConfigurationJson) => a.gflops - b.gflops
  return {
    name,
    model: queue.share(model),
    ranked,
    json: {
      ...{ name, network: network.name, media: network.media, trained: table.trained, labels: [...labels] },
      engine: describeEngine(model.engine, model.precision),
      ...(network.media === 'video' && {
        views: config.views,
        clip: {
          frames: clipSpan(network, config).frames,
          seconds: clipSeconds(clipSpan(network, config)),
          short_side: testPicture(network, config, Math.max(...ready.map(({ size }) => size))).shortSide,
        },
      }),
      table: ready.map(json).sort(byCost),
      frontier: ranked.map(({ entry }) => json(entry)).sort(byCost),
    },
  }
}

/** A run that may not be written to serves as well: its times are then measured at every start. */
async function timeAll(model: Model, onNote: (text: string) => void): Promise<void> {
  const untimed = model.table.entries.filter(
    (entry) => isReady(model.table, entry) && !model.latencyOf(entry),
  )
  if (untimed.length === 0) return
  onNote(`${model.folder}: measuring the latency of ${untimed.length} configurations here, once`)
  try {
    await model.measureLatencies(undefined, { missing: true })
  } catch (error) {
    if (!(error instanceof MnVideoError) || untimed.some((entry) => !model.latencyOf(entry))) throw error
    onNote(`latencies are not kept: ${error.message}`)
  }
}

/** @throws MnVideoError `usage` naming those that there are */
export function servedModel(models: readonly ServedModel[], name: string | undefined): ServedModel {
  const found = name === undefined ? models[0] : models.find((each) => each.name === name)
  if (found) return found
  throw new MnVideoError(
    'usage',
    `model: there is no ${shown(name ?? '')}. Give one of ${models.map((each) => each.name).join(', ')}.`,
  )
}

/** What a request asked for, then all that costs less time: what it may get under load. */
export function candidatesFrom({ model, ranked }: ServedModel, asked: TableEntry): Candidate<TableEntry>[] {
  const milliseconds = model.latencyOf(asked)?.median ?? guess(ranked, asked)
  const cheaper = ranked.filter((one) => one.entry !== asked && one.milliseconds < milliseconds)
  return [{ entry: asked, milliseconds }, ...cheaper]
}

/** Of one that was never timed: as the nearest in multiply-adds. */
function guess(ranked: readonly Candidate<TableEntry>[], { macs }: TableEntry): number {
  const distance = ({ entry }: Candidate<TableEntry>) => Math.abs(Math.log(entry.macs / macs))
  const nearest = ranked.reduce((a, b) => (distance(b) < distance(a) ? b : a))
  return (nearest.milliseconds * macs) / nearest.entry.macs
}

export function configurationJson(model: Model, entry: TableEntry): ConfigurationJson {
  const { width, frames, size, macs, top1, map } = entry
  const latency = model.latencyOf(entry)
  return {
    ...{ width, frames, size, gflops: macs / 1e9 },
    ...(top1 !== undefined && { top1 }),
    ...(top1 === undefined && map !== undefined && { map: accuracyOf(entry)! }),
    ...(latency && { latency_ms: Number(latency.median.toFixed(3)) }),
  }
}
