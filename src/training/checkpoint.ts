/**
 * Checkpoints: everything that training goes on from, in one safetensors file `checkpoint-STEP.safetensors` of
 * the run's folder. Random numbers need no room: they follow from the seed and the step.
 */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import {
  readSafetensors,
  type SafetensorsTensor,
  toFloat32,
  writeSafetensors,
} from '../checkpoints/safetensors.ts'
import { MnVideoError, messageOf } from '../errors.ts'
import { sweep } from '../files/temporary.ts'
import type { Network } from '../network/graph.ts'
import { type Parameter, ParameterStore, parametersOf } from '../network/store.ts'

const FORMAT = 'mn-video checkpoint 1'
const FILE = /^checkpoint-(\d{6,})\.safetensors$/

const progressSchema = z.strictObject({
  /** Optimiser steps done. */
  step: z.int().nonnegative(),
  /** The best validation so far: where, and the mean top-1 of the validated configurations. */
  best: z.strictObject({ step: z.int().nonnegative(), top1: z.number() }).optional(),
  /** Seconds spent in training, over all its sittings. */
  seconds: z.number().nonnegative(),
  /** The step of the last validation that was done and whose results are written. */
  validated: z.int().nonnegative().optional(),
})

export type Progress = Readonly<z.infer<typeof progressSchema>>

/** Named values at full size. */
type Values = ReadonlyMap<string, Float32Array>

export interface Checkpoint {
  readonly progress: Progress
  readonly weights: ParameterStore
  /** The optimiser's momentum. */
  readonly velocities: Values
  /** The moving average of the weights, where the recipe has one. */
  readonly average?: Values
}

/** The file of a checkpoint in a run's folder. */
export const checkpointFile = (folder: string, step: number): string =>
  join(folder, `checkpoint-${String(step).padStart(6, '0')}.safetensors`)

/** Writes a checkpoint in one step, in place of one of the same step: readers see all of it or none. */
export async function writeCheckpoint(
  folder: string,
  network: Network,
  { progress, weights, velocities, average }: Checkpoint,
): Promise<string> {
  const parameters = parametersOf(network)
  const tensors = (prefix: string, values: Values) =>
    parameters.map(({ name, shape }): [string, SafetensorsTensor] => [
      `${prefix}/${name}`,
      { dtype: 'F32', shape, data: values.get(name)! },
    ])
  const path = checkpointFile(folder, progress.step)
  await writeSafetensors(
    path,
    new Map([
      ...tensors('weights', weights.values),
      ...tensors('velocity', velocities),
      ...(average ? tensors('average', average) : []),
    ]),
    { format: FORMAT, network: network.name, progress: JSON.stringify(progress) },
  )
  return path
}

/** @throws MnVideoError `weights` when the file is damaged, no checkpoint, or another network's */
export async function readCheckpoint(path: string, network: Network): Promise<Checkpoint> {
  const { metadata, tensors } = await readSafetensors(path)
  const fail = (what: string) => new MnVideoError('weights', `${path}: ${what}`)
  const refuse = (what: string) =>
    fail(`${what}\nGive it as pretrained, not as resume, to start anew from the weights that it has.`)
  if (metadata.format !== FORMAT) throw refuse('is not a checkpoint of mn-video.')
  if (metadata.network !== network.name)
    throw refuse(`is of ${metadata.network}, the configuration's network is ${network.name}.`)
  const parameters = parametersOf(network)
  const read = (prefix: string) => {
    const values = new Map(
      parameters.flatMap(({ name }: Parameter) => {
        const tensor = tensors.get(`${prefix}/${name}`)
        return tensor ? [[name, toFloat32(tensor, path)] as const] : []
      }),
    )
    try {
      return new ParameterStore(network, values)
    } catch (error) {
      throw refuse(messageOf(error))
    }
  }
  const hasAverage = [...tensors.keys()].some((name) => name.startsWith('average/'))
  return {
    progress: parseProgress(metadata.progress, fail),
    weights: read('weights'),
    velocities: read('velocity').values,
    ...(hasAverage && { average: read('average').values }),
  }
}

function parseProgress(text: string | undefined, fail: (what: string) => MnVideoError): Progress {
  try {
    return progressSchema.parse(JSON.parse(text ?? ''))
  } catch {
    throw fail('does not say how far training had come. The file is damaged.')
  }
}

/** The steps that a run has checkpoints of, the latest first. */
export async function checkpointSteps(folder: string): Promise<number[]> {
  const files = await readdir(folder).catch(() => [])
  return files
    .flatMap((file) => FILE.exec(file)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a)
}

/** Removes what processes have left that were killed while they wrote. To be called by the one who holds the run. */
export async function removeUnfinished(folder: string): Promise<void> {
  await sweep(folder, (name) => FILE.test(name))
}

/** Removes all checkpoints but the latest ones and the best. */
export async function pruneCheckpoints(folder: string, keep: number, best?: number): Promise<void> {
  const steps = await checkpointSteps(folder)
  const old = steps.slice(keep).filter((step) => step !== best)
  await Promise.all(old.map((step) => rm(checkpointFile(folder, step), { force: true })))
}
