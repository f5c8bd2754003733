/** TensorFlow's native backend, where `scripts/install-tfjs-node.sh` or npm has installed it; skipped elsewhere. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import * as tf from '@tensorflow/tfjs-core'
import { describe, expect, it } from 'vitest'
import { openTfjsEngine } from '../../src/engines/tfjs/engine.ts'
import { mobilenetV1 } from '../../src/models/mobilenet-v1.ts'
import { initialise } from '../../src/network/initialise.ts'
import { fullConfiguration, resolve } from '../../src/network/resolve.ts'
import { testConformance } from '../support/conformance.ts'
import { testForwardGoldens } from '../support/forward-goldens.ts'
import { testTrainGoldens } from '../support/train-goldens.ts'

const open = () => openTfjsEngine('tensorflow')

describe.skipIf(!isInstalled())('tfjs engine on the tensorflow backend', () => {
  describe('conformance', () => testConformance(open))

  describe('PyTorch goldens', () => testForwardGoldens(open))

  describe('PyTorch training goldens', () => {
    testTrainGoldens(open, [
      'mobilenet_v1_tiny',
      'x3d_tiny',
      'mobilenet_v1',
      'x3d_small',
      'slowfast_gradient',
    ])
  })

  describe('a trainer', () => {
    const network = mobilenetV1({ classes: 5, size: 32 })
    const inputs = (batch: number, size: number) => {
      const data = Float32Array.from({ length: batch * size * size * 3 }, (_, i) => Math.sin(i * 0.7))
      return { image: { data, batch, frames: 1, height: size, width: size } }
    }
    const rates = { momentum: 0.9, nesterov: true, weightDecay: 1e-4 }
    const labels = Int32Array.of(1, 2)

    it('holds the same tensors after every step, and none once disposed', async () => {
      const engine = await open()
      const before = tf.memory().numTensors
      const trainer = await engine.openTrainer(network, initialise(network, 1), rates)
      const held: number[] = []
      for (const width of [1, 0.35, 1, 0.6]) {
        const subNetwork = resolve(network, { ...fullConfiguration(network), width })
        await trainer.accumulate(subNetwork, inputs(2, 32), { labels })
        await trainer.statistics(subNetwork, inputs(2, 32))
        await trainer.step({ learningRate: 0.01 })
        held.push(tf.memory().numTensors - before)
      }
      expect(new Set(held).size, held.join()).toBe(1)
      trainer.dispose()
      expect(tf.memory().numTensors).toBe(before)
    })

    it('goes on from velocities and weights that were put in, bit for bit', async () => {
      const engine = await open()
      const subNetwork = resolve(network, fullConfiguration(network))
      const step = async (trainer: Awaited<ReturnType<typeof engine.openTrainer>>) => {
        await trainer.accumulate(subNetwork, inputs(2, 32), { labels })
        return trainer.step({ learningRate: 0.01, clipNorm: 1 })
      }
      const weights = initialise(network, 1)
      const trainer = await engine.openTrainer(network, weights, rates)
      await step(trainer)
      const resumed = initialise(network, 2)
      const second = await engine.openTrainer(network, resumed, rates)
      for (const [name, values] of trainer.velocities()) second.velocities().get(name)!.set(values)
      for (const [name, values] of weights.values) resumed.values.get(name)!.set(values)
      resumed.touch()
      expect(await step(second)).toEqual(await step(trainer))
      expect(differing(weights.values, resumed.values)).toEqual([])
      expect(differing(trainer.velocities(), second.velocities())).toEqual([])
      trainer.dispose()
      second.dispose()
    })
  })
})

/** The names whose values are not bit for bit the same; millions of them, which `toEqual` compares slowly. */
const differing = (a: ReadonlyMap<string, Float32Array>, b: ReadonlyMap<string, Float32Array>): string[] =>
  [...a]
    .filter(([name, values]) => Buffer.compare(bytes(values), bytes(b.get(name)!)) !== 0)
    .map(([name]) => name)

const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) =>
  new Uint8Array(buffer, byteOffset, byteLength)

/** Whether there is something to test; a broken installation is, and fails. */
function isInstalled(): boolean {
  const folder = process.env.MN_VIDEO_TFJS_NODE ?? new URL('../../build/tensorflow', import.meta.url).pathname
  return existsSync(`${folder}/node_modules/@tensorflow`) || ['tfjs-node', 'tfjs-node-gpu'].some(resolves)
}

function resolves(name: string): boolean {
  try {
    return createRequire(import.meta.url).resolve(`@tensorflow/${name}`) !== ''
  } catch {
    return false
  }
}
