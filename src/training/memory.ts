/** Whether a step fits the memory that this process may use, before the system kills the program in the middle of one. */
import { totalmem } from 'node:os'
import type { Config } from '../config/index.ts'
import type { Trainer } from '../engines/engine.ts'
import { MnVideoError } from '../errors.ts'
import { memoryLimit } from '../machine.ts'
import type { Network } from '../network/graph.ts'
import { resolve } from '../network/resolve.ts'
import { largestConfiguration } from './draw.ts'

/** The share of that memory that a step may take; the rest is for weights, decoding and others. */
const SHARE = 0.8

/**
 * @returns the bytes that a step takes beside the weights
 * @throws MnVideoError `training` when this process may use less, with a batch size that fits
 */
export function requireMemory(trainer: Trainer, network: Network, config: Config): number {
  const subNetwork = resolve(network, largestConfiguration(config))
  const bytes = trainer.bytesFor(subNetwork, config.batch_size)
  const limit = memoryLimit()
  const room = SHARE * limit
  if (bytes <= room) return bytes
  const { batch_size: batch, accumulate } = config
  const fitting = divisorsOf(batch).findLast((size) => trainer.bytesFor(subNetwork, size) <= room)
  throw new MnVideoError(
    'training',
    `batch_size ${batch} of ${network.name} needs about ${gib(bytes)} GiB; ${limitText(limit)}.\n` +
      (fitting === undefined
        ? 'Give a smaller image_size or fewer frames.'
        : `Give batch_size: ${fitting} and accumulate: ${(accumulate * batch) / fitting}: the same samples a step (batch norm sees ${fitting} at a time).`),
  )
}

const limitText = (limit: number): string =>
  limit < totalmem()
    ? `its control group leaves this process ${gib(limit)}`
    : `this machine has ${gib(limit)}`

const divisorsOf = (n: number): number[] =>
  Array.from({ length: n }, (_, i) => i + 1).filter((divisor) => n % divisor === 0)

const gib = (bytes: number): string => (bytes / 2 ** 30).toFixed(1)
