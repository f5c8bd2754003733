/** What a query table adds to the weights: the batch-norm statistics of each configuration that can run. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { loadConfig } from '../../src/config/index.ts'
import { writeStatistics } from '../../src/evaluation/run-tensors.ts'
import { buildNetwork } from '../../src/models/index.ts'
import { fullConfiguration, resolve } from '../../src/network/resolve.ts'
import { initialStatistics, parametersOf } from '../../src/network/store.ts'
import { temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()

it.each([
  ['x3d', 0.0095],
  ['slow', 0.0018],
  ['slowfast', 0.002],
  ['mobilenet_v1', 0.0055],
  ['mobilenet_v2', 0.0105],
])('the batch-norm statistics of %s, at full width, are at most %s of its weights', async (name, share) => {
  const network = buildNetwork(await loadConfig(name))
  const file = join(folder, name)
  await writeStatistics(file, initialStatistics(resolve(network, fullConfiguration(network))), '0'.repeat(16))
  const weights = parametersOf(network).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 4), 0)
  const found = (await stat(file)).size / weights
  // The figures of docs/evaluation.md; five in a hundred would be too many for a table.
  expect(found).toBeGreaterThan(0.9 * share)
  expect(found).toBeLessThan(share)
})
