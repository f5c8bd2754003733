import { expect, it } from 'vitest'
import { parseConfig } from '../../src/config/index.ts'
import { buildNetwork } from '../../src/models/index.ts'
import { initialise } from '../../src/network/initialise.ts'
import { movingAverage } from '../../src/training/moving-average.ts'
import { SMALL_MOBILENET } from '../support/small-run.ts'

it('moves towards the weights by 1 − decay after every step, from where it was', () => {
  const network = buildNetwork(parseConfig(SMALL_MOBILENET, 'small.yml'))
  const weights = initialise(network, 1)
  const [name, values] = [...weights.values][0]!
  values[0] = 2
  const average = movingAverage(network, weights, 0.9)
  values[0] = 3
  average.update()
  expect(average.weights.values.get(name)![0]).toBeCloseTo(2.1, 6)
  average.update()
  expect(average.weights.values.get(name)![0]).toBeCloseTo(2.19, 6)
  const resumed = movingAverage(network, weights, 0.9, average.weights.values)
  expect(resumed.weights.values.get(name)![0]).toBe(average.weights.values.get(name)![0])
  expect(values[0]).toBe(3)
})
