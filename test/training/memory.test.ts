/** What the message says to give when a step is too large is given, and fits. */
import { describe, expect, it } from 'vitest'
import { applyOverrides, loadConfig } from '../../src/config/index.ts'
import { openEngine } from '../../src/engines/index.ts'
import { MnVideoError } from '../../src/errors.ts'
import { buildNetwork, freshWeights } from '../../src/models/index.ts'
import { requireMemory } from '../../src/training/memory.ts'
import { trainerOptions } from '../../src/training/setup.ts'

describe('a step that needs more memory than there is', () => {
  it('is refused with a batch size and an accumulation that fit and make the same step', async () => {
    const config = applyOverrides(await loadConfig('x3d'), ['batch_size=4096', 'accumulate=3'])
    const network = buildNetwork(config)
    const engine = await openEngine()
    const trainer = await engine.openTrainer(network, freshWeights(network, config), trainerOptions(config))
    try {
      let message = ''
      try {
        requireMemory(trainer, network, config)
      } catch (error) {
        if (!(error instanceof MnVideoError)) throw error
        message = error.message
      }
      const [, batch, accumulate] =
        /Give batch_size: (\d+) and accumulate: (\d+): the same/.exec(message) ?? []
      expect(Number(batch) * Number(accumulate), message).toBe(3 * 4096)
      const given = applyOverrides(config, [`batch_size=${batch}`, `accumulate=${accumulate}`])
      expect(requireMemory(trainer, network, given)).toBeGreaterThan(0)
      expect(() => requireMemory(trainer, network, applyOverrides(config, ['batch_size=8192']))).toThrow(
        `batch_size: ${batch} and`,
      )
    } finally {
      trainer.dispose()
    }
  })
})
