/** What a query table adds to the weights: the batch-norm statistics of each configuration that can run. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { loadConfig } from '../../src/config/index.ts'
import { buildNetwork } from '../../src/models/index.ts'
import type { Configuration, Network } from '../../src/network/graph.ts'
import { fullConfiguration, resolve } from '../../src/network/resolve.ts'
import { initialStatistics, parametersOf } from '../../src/network/store.ts'
import { configurationOf, loadPublished } from '../../src/runs/published.ts'
import { writeStatistics } from '../../src/runs/run-tensors.ts'
import { temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()

/** Bytes of a configuration's file. The statistics are ones and zeros, as many as others: halves, like calibrated ones. */
async function bytesOf(network: Network, configuration: Configuration): Promise<number> {
  const file = join(folder, network.name)
  await writeStatistics(file, initialStatistics(resolve(network, configuration)), '0'.repeat(16))
  return (await stat(file)).size
}

// The figures of docs/evaluation.md; a table should take no more than five in a hundred.
it.each([
  ['x3d', 0.0055, 0.05],
  ['slow', 0.00095, 0.0065],
  ['slowfast', 0.00115, 0.01],
  ['mobilenet_v1', 0.003, 0.045],
  ['mobilenet_v2', 0.0057, 0.075],
])(
  'the statistics of %s are at most %s of its weights at full width, %s at all points of its published frontier',
  async (name, full, frontier) => {
    const network = buildNetwork(await loadConfig(name))
    const weights = parametersOf(network).reduce(
      (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 4),
      0,
    )
    const [mutualNet] = (await loadPublished(name)).series
    let sum = 0
    for (const point of mutualNet!.points) sum += await bytesOf(network, configurationOf(point)!)
    const shares = [(await bytesOf(network, fullConfiguration(network))) / weights, sum / weights]
    for (const [i, limit] of [full, frontier].entries()) {
      expect(shares[i]).toBeGreaterThan(0.9 * limit)
      expect(shares[i]).toBeLessThan(limit)
    }
  },
)
