/** Small runs for tests: networks that classify in milliseconds, and temporary folders that go away. */
import { afterAll } from 'vitest'
import { type Config, parseConfig } from '../../src/config/index.ts'
import { buildNetwork } from '../../src/models/index.ts'
import { initialise } from '../../src/network/initialise.ts'
import { writeRun } from '../../src/runs/create-run.ts'
import { untrainedTable } from '../../src/runs/query-table.ts'
import type { Run } from '../../src/runs/run-folder.ts'
import { testFolder } from './render.ts'

export const SMALL_X3D = `
model: x3d
depth_factor: 0.4
width_factor: 1
head_features: 64
frames: 4
frame_stride: 2
image_size: 32
num_classes: 5
`

export const SMALL_SLOWFAST = `
model: slowfast
frames: 2
frame_stride: 4
alpha: 4
image_size: 32
num_classes: 5
`

export const SMALL_MOBILENET = `
model: mobilenet_v1
dataset: folder
image_size: 32
num_classes: 5
`

/** A temporary folder, removed after the file's tests. */
export async function temporaryFolder(): Promise<string> {
  const { path, remove } = await testFolder()
  afterAll(remove)
  return path('.')
}

/** Writes an untrained run of a configuration text. */
export async function makeRun(
  folder: string,
  text: string,
): Promise<Pick<Run, 'config' | 'weights' | 'table'>> {
  const config: Config = parseConfig(text, 'small.yml')
  const network = buildNetwork(config)
  const run = {
    config,
    weights: initialise(network, 1),
    table: untrainedTable(network, {
      widths: config.width_mult_list,
      frames: config.frames_list,
      sizes: config.resolution_list,
    }),
  }
  await writeRun(folder, run)
  return run
}
