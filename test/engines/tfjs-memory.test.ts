/** tfjs frees nothing by itself: whatever a plan does, it leaves no tensor behind, and little at its peak. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as tf from '@tensorflow/tfjs-core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Engine } from '../../src/engines/engine.ts'
import { openTfjsEngine } from '../../src/engines/tfjs/engine.ts'
import type { FrameBatch } from '../../src/frames/batch.ts'
import { slowfast } from '../../src/models/slowfast.ts'
import { x3d } from '../../src/models/x3d.ts'
import type { Configuration, Network } from '../../src/network/graph.ts'
import { initialise } from '../../src/network/initialise.ts'
import { sizeOf } from '../../src/network/parameters.ts'
import { fullConfiguration, resolve } from '../../src/network/resolve.ts'
import { initialStatistics, ParameterStore, parametersOf } from '../../src/network/store.ts'
import { noise } from '../support/float64-ops.ts'

const small = x3d({
  ...{ classes: 5, frames: 4, size: 32 },
  ...{ widthFactor: 1, depthFactor: 0.4, headFeatures: 16 },
})

const waves = (batch: number, frames: number, size: number): FrameBatch => ({
  data: Float32Array.from({ length: batch * frames * size * size * 3 }, (_, i) => Math.sin(i * 0.7)),
  ...{ batch, frames, height: size, width: size },
})

async function compile(engine: Engine, network: Network, change: Partial<Configuration> = {}, batch = false) {
  const subNetwork = resolve(network, { ...fullConfiguration(network), ...change })
  const statistics = batch ? 'batch' : initialStatistics(subNetwork)
  return engine.compile(subNetwork, initialise(network, 1995), { statistics })
}

describe.each(['cpu', 'wasm'] as const)('a plan on %s', (backend) => {
  let engine: Engine
  let before: ReturnType<typeof counts>
  const counts = () => {
    const { numTensors, numDataBuffers, numBytes } = tf.memory()
    return { numTensors, numDataBuffers, numBytes }
  }
  beforeEach(async () => {
    engine = await openTfjsEngine(backend)
    before = counts()
  })
  afterEach(() => expect(counts()).toEqual(before))

  it('holds only its weights between runs and nothing once disposed', async () => {
    const plan = await compile(engine, small)
    const compiled = counts()
    expect(compiled.numTensors).toBeGreaterThan(before.numTensors)
    for (const batch of [1, 2]) {
      await plan.run({ clip: waves(batch, 4, 32) })
      expect(counts()).toEqual(compiled)
    }
    plan.dispose()
  })

  it('with statistics of the batch leaves nothing behind', async () => {
    const plan = await compile(engine, small, { width: 0.63, frames: 3, size: 24 }, true)
    await plan.run({ clip: waves(2, 3, 24) })
    plan.dispose()
  })

  it('that is observed keeps no observed value, and returns those of the nodes asked for', async () => {
    const plan = await compile(engine, small)
    const compiled = counts()
    const names = ['clip', 'blocks.0.conv.conv_t', 'blocks.1.res_blocks.0', small.classifier]
    const { observed, logits } = await plan.run({ clip: waves(2, 4, 32) }, { observe: names })
    expect(counts()).toEqual(compiled)
    expect([...observed.keys()].sort()).toEqual([...names].sort())
    expect(observed.get('blocks.0.conv.conv_t')!.shape).toEqual({
      ...{ frames: 4, height: 16, width: 16, channels: 16 },
    })
    for (const { batch, shape, data } of observed.values()) {
      expect(batch).toBe(2)
      expect(data.length).toBe(2 * shape.frames * shape.height * shape.width * shape.channels)
    }
    expect(observed.get(small.classifier)!.data).toEqual(logits)
    plan.dispose()
  })

  it('whose run is refused leaves nothing behind and can run again', async () => {
    const plan = await compile(engine, small)
    const compiled = counts()
    await expect(plan.run({})).rejects.toThrow('input "clip" is missing')
    await expect(plan.run({ clip: waves(1, 5, 32) })).rejects.toThrow('must be 1×4×32×32×3 values')
    const bytes = { ...waves(1, 4, 32), data: new Uint8Array(4 * 32 * 32 * 3) }
    await expect(plan.run({ clip: bytes })).rejects.toThrow('need the mean and std')
    expect(counts()).toEqual(compiled)
    const { scores } = await plan.run({ clip: waves(1, 4, 32) })
    expect(scores.reduce((a, b) => a + b)).toBeCloseTo(1, 5)
    plan.dispose()
  })

  it('does not keep or change its inputs', async () => {
    const plan = await compile(engine, small)
    const clip = waves(1, 4, 32)
    const first = await plan.run({ clip })
    expect(clip.data).toEqual(waves(1, 4, 32).data)
    clip.data.fill(0)
    expect((await plan.run({ clip: waves(1, 4, 32) })).logits).toEqual(first.logits)
    plan.dispose()
  })

  it('may be one of several, each freed by itself', async () => {
    const plans = [await compile(engine, small), await compile(engine, small, { width: 0.63 })]
    const expected = await plans[1]!.run({ clip: waves(1, 4, 32) })
    plans[0]!.dispose()
    expect((await plans[1]!.run({ clip: waves(1, 4, 32) })).logits).toEqual(expected.logits)
    plans[1]!.dispose()
  })
})

describe('SlowFast on wasm', () => {
  const network = slowfast({ classes: 5, frames: 4, size: 48, alpha: 8 })
  const weights = tiledWeights(network)
  const compileAt = async (chosen: Configuration) => {
    const engine = await openTfjsEngine('wasm')
    const subNetwork = resolve(network, chosen)
    return engine.compile(subNetwork, weights, { statistics: initialStatistics(subNetwork) })
  }

  it.each<Configuration>([
    { width: 0.73, frames: 3, size: 40 },
    { width: 0.63, frames: 1, size: 17 },
    { width: 0.63, frames: 2, size: 64 },
  ])('classifies at width $width, $frames slow frames, size $size', async (chosen) => {
    const before = tf.memory().numTensors
    const plan = await compileAt(chosen)
    const fast = waves(1, 32, Math.max(48, chosen.size))
    const { scores, logits } = await plan.run({ slow: waves(1, chosen.frames, chosen.size), fast })
    expect([...logits].every(Number.isFinite)).toBe(true)
    expect(Math.max(...logits) - Math.min(...logits)).toBeGreaterThan(0)
    expect(scores.reduce((a, b) => a + b)).toBeCloseTo(1, 5)
    plan.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  it('frees the slow clip when the fast one is refused', async () => {
    const plan = await compileAt(fullConfiguration(network))
    const before = tf.memory().numTensors
    const fast = { ...waves(1, 32, 48), data: new Uint8Array(32 * 48 * 48 * 3) }
    await expect(plan.run({ slow: waves(1, 4, 48), fast })).rejects.toThrow('need the mean and std')
    expect(tf.memory().numTensors).toBe(before)
    plan.dispose()
  })
})

describe('X3D-M on wasm, one clip of 16×224×224', () => {
  it('peaks below 1 GiB', async () => {
    const { scores, kibibytes } = await runInChild()
    expect(scores).toBeCloseTo(1, 5)
    // About 0.5 GiB; 1.2 GiB when values are not freed after their last reader.
    expect(kibibytes / 2 ** 20).toBeLessThan(1)
  })
})

/** Weights of a sensible size, quickly: a network of 34 million takes seconds to draw at random. */
function tiledWeights(network: Network): ParameterStore {
  const tile = noise(1021, 1)
  const values = parametersOf(network).map(({ name, role, shape }) => {
    const deviation = Math.sqrt(6 / sizeOf(shape.slice(0, -1)))
    const filled = new Float32Array(sizeOf(shape))
    for (let i = 0; i < filled.length; i++) filled[i] = role === 'scale' ? 1 : deviation * tile[i % 1021]!
    return [name, filled] as const
  })
  return new ParameterStore(network, new Map(values))
}

/** The sum of the scores and the peak memory of a fresh process that runs the built program. */
async function runInChild(): Promise<{ scores: number; kibibytes: number }> {
  const script = `
    const { openTfjsEngine } = await import('./dist/engines/tfjs/engine.js')
    const { X3D_VARIANTS, x3d } = await import('./dist/models/x3d.js')
    const { fullConfiguration, resolve } = await import('./dist/network/resolve.js')
    const { initialise } = await import('./dist/network/initialise.js')
    const { initialStatistics } = await import('./dist/network/store.js')
    const network = x3d({ classes: 400, ...X3D_VARIANTS.m })
    const subNetwork = resolve(network, fullConfiguration(network))
    const engine = await openTfjsEngine('wasm')
    const statistics = initialStatistics(subNetwork)
    const plan = await engine.compile(subNetwork, initialise(network, 1), { statistics })
    const data = Float32Array.from({ length: 16 * 224 * 224 * 3 }, (_, i) => Math.sin(i))
    const result = await plan.run({ clip: { data, batch: 1, frames: 16, height: 224, width: 224 } })
    const scores = result.scores.reduce((a, b) => a + b)
    console.log(JSON.stringify({ scores, kibibytes: process.resourceUsage().maxRSS }))
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('../../', import.meta.url)),
  })
  return JSON.parse(stdout.trim().split('\n').at(-1)!)
}

describe('two engines on different backends', () => {
  it('work side by side', async () => {
    const engines = [await openTfjsEngine('wasm'), await openTfjsEngine('cpu')]
    const plans = await Promise.all(engines.map((engine) => compile(engine, small)))
    const results = await Promise.all(plans.map((plan) => plan.run({ clip: waves(1, 4, 32) })))
    results[0]!.logits.forEach((logit, k) => {
      expect(logit).toBeCloseTo(results[1]!.logits[k]!, 5)
    })
    for (const plan of plans) plan.dispose()
  })
})

describe('a plan', () => {
  it('is refused statistics that are missing or of another width, and uploads nothing', async () => {
    const engine = await openTfjsEngine('cpu')
    const subNetwork = resolve(small, { ...fullConfiguration(small), width: 0.63 })
    const weights = initialise(small, 1995)
    const before = tf.memory().numTensors
    const full = initialStatistics(resolve(small, fullConfiguration(small)))
    await expect(engine.compile(subNetwork, weights, { statistics: full })).rejects.toThrow(
      /batch norm "blocks\.1\.res_blocks\.0\.branch2\.norm_a" needs statistics of 24 channels at width 0\.63, not of 36/,
    )
    await expect(engine.compile(subNetwork, weights, { statistics: new Map() })).rejects.toThrow(
      'but has none',
    )
    expect(tf.memory().numTensors).toBe(before)
  })

  it('refuses to observe a node that is not there', async () => {
    const plan = await compile(await openTfjsEngine('cpu'), small)
    await expect(plan.run({ clip: waves(1, 4, 32) }, { observe: ['nothing'] })).rejects.toThrow(
      'there is no node "nothing"',
    )
    plan.dispose()
  })
})
