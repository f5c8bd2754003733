/** A data set in CIFAR-10's binary format that small networks learn in seconds: coloured stripes, with noise. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createRandom } from '../../src/network/random.ts'

const SIDE = 32

/** What learns it: the data in `cifar` beside the configuration. */
export const SMALL_WIDERESNET = `model: wideresnet
dataset: cifar10
dataset_dir: cifar
depth: 10
widen_factor: 1
width_mult_range: [0.5, 1.0]
width_mult_list: [1.0]
resolution_list: [32]
num_epochs: 1
batch_size: 50
lr: 0.05
calibration_batches: 1
`

/** Writes `images` training and as many validation images, and returns the folder. */
export async function writeSmallCifar(folder: string, images = 120): Promise<string> {
  await mkdir(folder, { recursive: true })
  const random = createRandom(7)
  for (const file of ['data_batch_1.bin', 'test_batch.bin']) {
    const records = Array.from({ length: images }, (_, i) => record(i % 10, random.uniform))
    await writeFile(join(folder, file), Buffer.concat(records))
  }
  return folder
}

/** The label, then all red, green and blue values. Stripes of a class have their own direction and colour. */
function record(label: number, uniform: () => number): Buffer {
  const bytes = Buffer.alloc(1 + 3 * SIDE * SIDE)
  bytes[0] = label
  const phase = uniform() * SIDE
  for (let channel = 0; channel < 3; channel++) {
    const strength = (label + channel) % 3 === 0 ? 120 : 40
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const along = label % 2 === 0 ? x : y
        const wave = Math.sin(((along + phase) * (1 + Math.floor(label / 2))) / 4)
        bytes[1 + (channel * SIDE + y) * SIDE + x] = 128 + strength * wave * 0.8 + 16 * (uniform() - 0.5)
      }
    }
  }
  return bytes
}
