/** What callers may do wrong with an engine, in plain JavaScript too: refused in words, on every engine. */
import { afterAll, describe, expect, it } from 'vitest'
import type { Engine, Plan, Trainer } from '../../src/engines/engine.ts'
import { nativeUnavailable, openNativeEngine } from '../../src/engines/native/engine.ts'
import { openTfjsEngine } from '../../src/engines/tfjs/engine.ts'
import { MnVideoError } from '../../src/errors.ts'
import type { FrameBatch } from '../../src/frames/batch.ts'
import { x3d } from '../../src/models/x3d.ts'
import { initialise } from '../../src/network/initialise.ts'
import { resolve } from '../../src/network/resolve.ts'
import { initialStatistics } from '../../src/network/store.ts'

const network = x3d({ classes: 3, frames: 2, size: 16, depthFactor: 0.2, headFeatures: 8 })
const subNetwork = resolve(network, { width: 1, frames: 2, size: 16 })
const statistics = initialStatistics(subNetwork)
const normalisation = { mean: [0.4, 0.4, 0.4], std: [0.2, 0.2, 0.2] }
const LENGTH = 2 * 16 * 16 * 3

function clip(change: object = {}): FrameBatch {
  return { data: new Uint8Array(LENGTH), batch: 1, frames: 2, height: 16, width: 16, ...change } as FrameBatch
}

function transferred(): Uint8Array {
  const data = new Uint8Array(LENGTH)
  structuredClone(data.buffer, { transfer: [data.buffer] })
  return data
}

const floats = (value: number) => {
  const data = new Float32Array(LENGTH)
  data[17] = value
  return data
}

const engines: [string, boolean, () => Promise<Engine>][] = [
  ['native', nativeUnavailable() !== undefined, () => openNativeEngine({ threads: 1 })],
  ['tfjs', false, () => openTfjsEngine('cpu')],
]

describe.each(engines)('the %s engine', (_, unavailable, open) => {
  const opened: { engine?: Engine; plan?: Plan; trainer?: Trainer } = {}
  const started = async () => {
    opened.engine ??= await open()
    opened.plan ??= await opened.engine.compile(subNetwork, initialise(network, 1), {
      statistics,
      normalisation,
    })
    opened.trainer ??= await opened.engine.openTrainer(network, initialise(network, 1), {
      ...{ momentum: 0.9, nesterov: true, weightDecay: 0, normalisation },
    })
    return opened as Required<typeof opened>
  }
  afterAll(() => {
    opened.plan?.dispose()
    opened.trainer?.dispose()
  })

  it.skipIf(unavailable).each<[string, unknown, RegExp]>([
    ['nothing', undefined, /inputs must be an object of frames by name, not undefined/],
    ['a number', 5, /inputs must be an object/],
    ['a string for a clip', { clip: 'a' }, /"clip" must be \{ data, batch.*not "a"/],
    ['no data', { clip: clip({ data: undefined }) }, /a Uint8Array or a Float32Array, not undefined/],
    ['a list', { clip: clip({ data: Array(LENGTH).fill(0) }) }, /not a list/],
    ['doubles', { clip: clip({ data: new Float64Array(LENGTH) }) }, /not Float64Array/],
    ['clamped bytes', { clip: clip({ data: new Uint8ClampedArray(LENGTH) }) }, /not Uint8ClampedArray/],
    ['a DataView', { clip: clip({ data: new DataView(new ArrayBuffer(LENGTH)) }) }, /not DataView/],
    ['ten bytes', { clip: clip({ data: new Uint8Array(10) }) }, /must be 1×2×16×16×3 values.*\(10 given\)/],
    [
      'half a clip more',
      { clip: clip({ batch: 1.5, data: new Uint8Array(1.5 * LENGTH) }) },
      /must be BATCH×2×16×16×3/,
    ],
    ['less than no clip', { clip: clip({ batch: -1 }) }, /must be BATCH×/],
    ['a batch in words', { clip: clip({ batch: '1' }) }, /must be BATCH×/],
    ['bytes that were transferred', { clip: clip({ data: transferred() }) }, /has been transferred or freed/],
    ['NaN', { clip: clip({ data: floats(Number.NaN) }) }, /not finite \(NaN at 17\)/],
    [
      'infinity',
      { clip: clip({ data: floats(Number.NEGATIVE_INFINITY) }) },
      /not finite \(-Infinity at 17\)/,
    ],
  ])('refuses %s for inputs, in plans and in training', async (_, inputs, message) => {
    const { plan, trainer } = await started()
    const given = inputs as never
    const target = { labels: Int32Array.of(0) }
    for (const call of [
      plan.run(given),
      trainer.accumulate(subNetwork, given, target),
      trainer.statistics(subNetwork, given),
    ]) {
      await expect(call).rejects.toMatchObject({
        name: 'MnVideoError',
        message: expect.stringMatching(message),
      })
    }
  })

  it
    .skipIf(unavailable)
    .each<[string, (parts: { engine: Engine; plan: Plan; trainer: Trainer }) => Promise<unknown>]>([
      ['observe that is no list', ({ plan }) => plan.run({ clip: clip() }, { observe: 'head' as never })],
      ['an unknown node', ({ plan }) => plan.run({ clip: clip() }, { observe: ['nowhere'] })],
      ['a signal that is none', ({ plan }) => plan.run({ clip: clip() }, { signal: {} as never })],
      [
        'no options of compile',
        ({ engine }) => engine.compile(subNetwork, initialise(network, 1), undefined as never),
      ],
      [
        'statistics that are no map',
        ({ engine }) => engine.compile(subNetwork, initialise(network, 1), { statistics: {} as never }),
      ],
      [
        'two means',
        ({ engine }) =>
          engine.compile(subNetwork, initialise(network, 1), {
            statistics,
            normalisation: { mean: [0, 0], std: [1, 1, 1] },
          }),
      ],
      [
        'a std of 0',
        ({ engine }) =>
          engine.compile(subNetwork, initialise(network, 1), {
            statistics,
            normalisation: { mean: [0, 0, 0], std: [0, 1, 1] },
          }),
      ],
      ['no weights', ({ engine }) => engine.compile(subNetwork, undefined as never, { statistics })],
      ['no sub-network', ({ engine }) => engine.compile({} as never, initialise(network, 1), { statistics })],
      [
        'a momentum of 1',
        ({ engine }) =>
          engine.openTrainer(network, initialise(network, 1), {
            momentum: 1,
            nesterov: false,
            weightDecay: 0,
          }),
      ],
      [
        'a trainer without options',
        ({ engine }) => engine.openTrainer(network, initialise(network, 1), undefined as never),
      ],
      [
        'a trainer without weights',
        ({ engine }) =>
          engine.openTrainer(network, {} as never, { momentum: 0, nesterov: false, weightDecay: 0 }),
      ],
      ['no target', ({ trainer }) => trainer.accumulate(subNetwork, { clip: clip() }, undefined as never)],
      [
        'a list of labels',
        ({ trainer }) => trainer.accumulate(subNetwork, { clip: clip() }, { labels: [0] as never }),
      ],
      [
        'a label below 0',
        ({ trainer }) => trainer.accumulate(subNetwork, { clip: clip() }, { labels: Int32Array.of(-1) }),
      ],
      [
        'too few probabilities',
        ({ trainer }) =>
          trainer.accumulate(subNetwork, { clip: clip() }, { probabilities: new Float32Array(2) }),
      ],
      [
        'NaN probabilities',
        ({ trainer }) =>
          trainer.accumulate(
            subNetwork,
            { clip: clip() },
            { probabilities: new Float32Array(3).fill(Number.NaN) },
          ),
      ],
      [
        'a NaN scale',
        ({ trainer }) =>
          trainer.accumulate(
            subNetwork,
            { clip: clip() },
            { labels: Int32Array.of(0) },
            { scale: Number.NaN },
          ),
      ],
      [
        'half a seed',
        ({ trainer }) =>
          trainer.accumulate(
            subNetwork,
            { clip: clip() },
            { labels: Int32Array.of(0) },
            { dropoutSeed: 0.5 },
          ),
      ],
      ['a step without a rate', ({ trainer }) => trainer.step({} as never)],
      ['a NaN rate', ({ trainer }) => trainer.step({ learningRate: Number.NaN })],
      ['a clip norm below 0', ({ trainer }) => trainer.step({ learningRate: 1, clipNorm: -1 })],
    ])('refuses %s', async (_, call) => {
    const parts = await started()
    const error = await call(parts).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(MnVideoError)
  })

  it.skipIf(unavailable)('refuses what has been disposed of, twice without harm', async () => {
    const { engine } = await started()
    const plan = await engine.compile(subNetwork, initialise(network, 2), { statistics, normalisation })
    const trainer = await engine.openTrainer(network, initialise(network, 2), {
      ...{ momentum: 0, nesterov: false, weightDecay: 0, normalisation },
    })
    for (const each of [plan, trainer, plan, trainer]) each.dispose()
    await expect(plan.run({ clip: clip() })).rejects.toThrow('the plan of X3D has been disposed of')
    const disposed = 'the trainer of X3D has been disposed of'
    await expect(
      trainer.accumulate(subNetwork, { clip: clip() }, { labels: Int32Array.of(0) }),
    ).rejects.toThrow(disposed)
    await expect(trainer.statistics(subNetwork, { clip: clip() })).rejects.toThrow(disposed)
    await expect(trainer.step({ learningRate: 1 })).rejects.toThrow(disposed)
  })

  it.skipIf(unavailable)('tells when weights were given away', async () => {
    const { engine } = await started()
    const weights = initialise(network, 3)
    const [[name, values]] = [...weights.values] as [[string, Float32Array]]
    const trainer = await engine.openTrainer(network, weights, {
      ...{ momentum: 0, nesterov: false, weightDecay: 0, normalisation },
    })
    structuredClone(values.buffer, { transfer: [values.buffer as ArrayBuffer] })
    const message = `parameter "${name}" has 0 of`
    await expect(engine.compile(subNetwork, weights, { statistics })).rejects.toThrow(message)
    await expect(trainer.step({ learningRate: 1 })).rejects.toThrow(message)
    trainer.dispose()
  })
})
