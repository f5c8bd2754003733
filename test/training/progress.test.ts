import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/index.ts'
import type { TrainingEvent } from '../../src/runs/log.ts'
import { train } from '../../src/training/train.ts'
import { writeSmallCifar } from '../support/small-cifar.ts'
import { temporaryFolder } from '../support/small-run.ts'

describe('training', () => {
  it('tells within a step how many of its sub-networks and batches are done', async () => {
    const folder = await temporaryFolder()
    const data = await writeSmallCifar(join(folder, 'cifar'), 20)
    const config = parseConfig(
      `
model: wideresnet
dataset: cifar10
dataset_dir: ${data}
depth: 10
widen_factor: 1
width_mult_range: [0.5, 1.0]
width_mult_list: [0.5, 1.0]
num_epochs: 1
batch_size: 10
accumulate: 2
lr: 0.05
calibration_batches: 1
`,
      'small.yml',
    )
    const events: TrainingEvent[] = []
    await train(config, { folder: join(folder, 'run'), onEvent: (event) => events.push(event) })
    const parts = events.flatMap((event) =>
      event.event === 'progress' && event.what === 'step 1: part' ? [`${event.done} of ${event.total}`] : [],
    )
    // Two batches, each through the full network, the narrowest and two drawn ones.
    expect(parts).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((done) => `${done} of 8`))
  })
})
