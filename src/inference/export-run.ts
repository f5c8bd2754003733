/** One configuration of a run as files that other programs read: ONNX and safetensors. */
import { readFileSync } from 'node:fs'
import { ownTensors, torchTensors } from '../checkpoints/export-weights.ts'
import { onnxOf } from '../checkpoints/onnx/from-network.ts'
import { encodeModel } from '../checkpoints/onnx/model.ts'
import { findRuntime, largestDifference, runOnnx } from '../checkpoints/onnx/runtime.ts'
import { writeSafetensors } from '../checkpoints/safetensors.ts'
import type { Config } from '../config/index.ts'
import { clipSpan, testPicture } from '../data/loading/test-clips.ts'
import type { Engine } from '../engines/engine.ts'
import { openEngine } from '../engines/index.ts'
import { MnVideoError, messageOf } from '../errors.ts'
import { writeAtomically } from '../files/write.ts'
import type { FrameBatch, Inputs } from '../frames/batch.ts'
import { subsampleFrames } from '../frames/subsample.ts'
import { createRandom } from '../network/random.ts'
import { isKind, resolve, type SubNetwork } from '../network/resolve.ts'
import type { BatchNormStatistics } from '../network/store.ts'
import { readStatistics } from '../runs/kept-statistics.ts'
import { labelsOfRun } from '../runs/labels.ts'
import type { TableEntry } from '../runs/query-table.ts'
import { type Run, readRun } from '../runs/run-folder.ts'
import { chooseEntry } from './model.ts'
import type { Budget } from './options.ts'

/** A configuration of a run, ready to be written. */
export interface Export {
  readonly run: Run
  readonly entry: TableEntry
  readonly subNetwork: SubNetwork
  readonly statistics: BatchNormStatistics
  readonly labels: readonly string[]
}

/** The most that ONNX Runtime's logits may differ from the engine's, relative to the largest. */
export const LARGEST_DIFFERENCE = 1e-4

/** A protocol buffer cannot be longer. */
const MAX_ONNX_BYTES = 2 ** 31 - 1

/** @throws MnVideoError `budget`, `usage` or `run` when the run has no such configuration */
export async function openExport(folder: string, budget: Budget): Promise<Export> {
  const run = await readRun(folder)
  const entry = chooseEntry(run, budget)
  return {
    run,
    entry,
    subNetwork: resolve(run.network, entry),
    statistics: await readStatistics(run, entry),
    labels: await labelsOfRun(folder, run.config),
  }
}

/** @returns the bytes written */
export async function writeOnnx(path: string, exported: Export, opset: number): Promise<number> {
  const { run, subNetwork, statistics } = exported
  const parts = encodeModel(
    onnxOf(subNetwork, run.weights, statistics, {
      opset,
      producer: `mn-video ${version()}`,
      metadata: { ...description(exported), labels: JSON.stringify(exported.labels) },
    }),
  )
  const bytes = parts.reduce((sum, part) => sum + part.length, 0)
  if (bytes > MAX_ONNX_BYTES)
    throw new MnVideoError('run', `${path}: would be larger than the 2 GiB that ONNX files can be.`)
  await write(path, () => writeAtomically(path, joined(parts)))
  return bytes
}

/** Safetensors in our layouts, or as PyTorch's `load_state_dict` takes them. */
export async function writeWeightsOf(path: string, exported: Export, layout: 'own' | 'torch'): Promise<void> {
  const { run, subNetwork, statistics } = exported
  const tensors = (layout === 'own' ? ownTensors : torchTensors)(subNetwork, run.weights, statistics)
  const order = layout === 'own' ? 'channels last' : 'PyTorch'
  await writeSafetensors(path, tensors, {
    format: layout === 'own' ? 'mn-video' : 'pt',
    layout: order,
    ...description(exported),
  })
}

/**
 * Runs a written ONNX file on random frames, in ONNX Runtime and in the engine.
 *
 * @returns the largest difference of the logits, relative to the largest of them; undefined where
 *   `onnxruntime-node` is not installed
 */
export async function checkOnnx(
  path: string,
  { run, subNetwork, statistics }: Export,
  onEngine?: (engine: Engine) => void,
): Promise<number | undefined> {
  const runtime = await findRuntime()
  if (!runtime) return undefined
  const inputs = randomInputs(subNetwork)
  const engine = await openEngine()
  onEngine?.(engine)
  const plan = await engine.compile(subNetwork, run.weights, { statistics })
  try {
    const { logits } = await plan.run(inputs)
    return largestDifference(logits, await runOnnx(runtime, path, inputs, run.network.media))
  } finally {
    plan.dispose()
  }
}

/** What a program needs to know to use the file, as text. */
function description({ run, entry, subNetwork }: Export): Record<string, string> {
  return {
    network: run.network.name,
    trained: String(run.table.trained),
    configuration: JSON.stringify({ width: entry.width, frames: entry.frames, size: entry.size }),
    cost: JSON.stringify({ multiply_adds: subNetwork.macs, parameters: subNetwork.params }),
    preprocessing: JSON.stringify(preprocessing(run.config, subNetwork)),
  }
}

/** From a video or image to what the graph takes in, as `eval` does it: every rule with its numbers. */
function preprocessing(config: Config, { network, configuration, nodes }: SubNetwork) {
  const video = network.media === 'video'
  const { side, shortSide, scaling } = testPicture(network, config, configuration.size)
  const span = clipSpan(network, config)
  const inputs = nodes
    .filter((resolved) => isKind(resolved, 'input'))
    .map(({ node, shape: { frames, height, width } }) => [
      node.name,
      {
        frames,
        height,
        width,
        ...(video && { clip_frames: subsampleFrames(span.frames, frames) }),
        ...(height !== side && { resized: 'from the crop, bilinear, align_corners' }),
      },
    ])
  return {
    layout: video ? 'N, RGB, frames, height, width' : 'N, RGB, height, width',
    pixels: '(value / 255 - mean) / std',
    mean: config.mean,
    std: config.std,
    short_side: shortSide,
    scaling,
    crop: 'centre',
    crop_size: side,
    ...(video && {
      clip: {
        frames: span.frames,
        stride: span.stride,
        frames_per_second: span.rate,
      },
      sampling:
        'linspace(0, clip.frames * clip.stride * fps / clip.frames_per_second - 1, clip.frames), rounded down, in frames of the source, which has fps of them a second',
    }),
    inputs: Object.fromEntries(inputs),
  }
}

function randomInputs(subNetwork: SubNetwork): Inputs {
  const random = createRandom(1)
  return Object.fromEntries(
    subNetwork.nodes
      .filter((resolved) => isKind(resolved, 'input'))
      .map(({ node, shape: { frames, height, width } }): [string, FrameBatch] => {
        const data = Float32Array.from(
          { length: frames * height * width * 3 },
          () => 4 * random.uniform() - 2,
        )
        return [node.name, { data, batch: 1, frames, height, width }]
      }),
  )
}

/** Small parts together, so that a graph of thousands of them is written in a few steps. */
function joined(parts: readonly Uint8Array[]): Uint8Array[] {
  const together: Uint8Array[] = []
  let small: Uint8Array[] = []
  for (const part of parts) {
    if (part.length < 2 ** 16) {
      small.push(part)
      continue
    }
    together.push(Buffer.concat(small), part)
    small = []
  }
  return [...together, Buffer.concat(small)]
}

async function write(path: string, task: () => Promise<void>): Promise<void> {
  try {
    await task()
  } catch (error) {
    throw new MnVideoError('run', `${path}: cannot be written (${messageOf(error)}).`, { cause: error })
  }
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
