/** The library's edge: what callers may give wrongly, cancel, or ask for besides. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as library from '../src/index.ts'
import { renderClip } from './support/render.ts'
import { makeRun, SMALL_SLOWFAST, SMALL_X3D, temporaryFolder } from './support/small-run.ts'

let model: library.Model
let ready: library.ReadyConfiguration
let run: string
let file: string

beforeAll(async () => {
  const folder = await temporaryFolder()
  run = join(folder, 'run')
  await makeRun(run, SMALL_X3D)
  file = await renderClip(join(folder, 'clip.mp4'))
  model = await library.loadModel(run)
  ready = await model.forBudget({})
})
afterAll(() => model.dispose())

const clips = (change: object = {}): library.FrameBatch =>
  ({
    ...{ data: new Uint8Array(4 * 32 * 32 * 3), batch: 1, frames: 4, height: 32, width: 32 },
    ...change,
  }) as library.FrameBatch

describe('the scores of a batch', () => {
  it.each<[string, object | undefined]>([
    ['ten bytes', clips({ data: new Uint8Array(10) })],
    ['pictures that are not square', clips({ data: new Uint8Array(4 * 64 * 48 * 3), height: 48, width: 64 })],
    ['another number of frames', clips({ data: new Uint8Array(5 * 32 * 32 * 3), frames: 5 })],
    ['a batch of 1.5', clips({ data: new Uint8Array(6 * 32 * 32 * 3), batch: 1.5 })],
    ['NaN', clips({ data: new Float32Array(4 * 32 * 32 * 3).fill(Number.NaN) })],
    ['doubles', clips({ data: new Float64Array(4 * 32 * 32 * 3) })],
    ['nothing', undefined],
  ])('are refused for %s', async (_, given) => {
    await expect(ready.classify(given as never)).rejects.toMatchObject({
      ...{ name: 'MnVideoError', code: 'usage' },
      message: expect.stringMatching(/^clips (must be|has values)/),
    })
  })

  it('are given for square clips of any size, which may be taken back at once', async () => {
    const data = new Uint8Array(4 * 48 * 48 * 3).map((_, i) => i % 251)
    const given = clips({ data, height: 48, width: 48 })
    const before = await ready.classify(given)
    const running = ready.classify(given)
    structuredClone(data.buffer, { transfer: [data.buffer] })
    expect(await running).toEqual(before)
  })

  it('need all frames of the fast pathway', async () => {
    const folder = await temporaryFolder()
    await makeRun(join(folder, 'slowfast'), SMALL_SLOWFAST)
    const slowfast = await library.loadModel(join(folder, 'slowfast'))
    const { classify } = await slowfast.forBudget({})
    const of = (frames: number) => clips({ data: new Uint8Array(frames * 32 * 32 * 3), frames })
    expect(await classify(of(8))).toHaveLength(5)
    await expect(classify(of(2))).rejects.toThrow('clips must be 1×8×32×32×3 values, not 1×2×32×32×3')
    slowfast.dispose()
  })
})

describe('an option that does not exist', () => {
  it.each<[string, () => Promise<unknown>, string]>([
    ['loadModel', () => library.loadModel(run, { thread: 1 } as never), 'Did you mean "threads"?'],
    ['classify', () => library.classify(model, file, { perview: true } as never), 'Did you mean "perView"?'],
    ['testRun', () => library.testRun(run, { width: [1] } as never), 'Did you mean "widths"?'],
    ['train', () => library.train(model.config, { foldr: 'x' } as never), 'Did you mean "folder"?'],
    [
      'decodeClip',
      () => library.decodeClip(file, { times: [0] }, { deadlne: 1 } as never),
      'Did you mean "deadline"?',
    ],
    ['decodeClip', () => library.decodeClip(file, { time: [0] } as never), 'Did you mean "times"?'],
    ['decodeImage', () => library.decodeImage(file, { shortside: 3 } as never), 'Did you mean "shortSide"?'],
    ['probeVideo', () => library.probeVideo(file, { timeout: 3 } as never), 'The nearest known option is'],
    ['profile', () => library.profile('x3d', { widht: 1 } as never), 'Did you mean "width"?'],
    ['run', () => model.run(ready.entry, {}, { observed: [] } as never), 'Did you mean "observe"?'],
    ['classify', () => ready.classify(clips(), { signl: 1 } as never), 'Did you mean "signal"?'],
  ])('of %s is refused with the nearest one', async (call, act, help) => {
    await expect(act()).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(
        new RegExp(`^options of ${call}: there is no .*${help.replace('?', '\\?')}`),
      ),
    })
  })
})

describe('an argument of another kind', () => {
  it.each<[string, () => unknown]>([
    ['a deadline in milliseconds', () => library.classify(model, file, { deadline: 60_000 })],
    ['a deadline in words', () => library.probeVideo(file, { deadline: '3' as never })],
    ['a signal that is none', () => library.classify(model, file, { signal: 5 as never })],
    ['no path', () => library.loadModel(undefined as never)],
    ['no video', () => library.decodeClip(undefined as never, { times: [0] })],
    ['no image', () => library.decodeImage(null as never)],
    ['no options', () => library.loadModel(run, null as never)],
    ['a name for a configuration', () => library.train('x3d' as never, { folder: 'x' })],
    ['a list for a configuration', () => library.profile([] as never)],
    ['a number for a configuration', () => library.loadConfig(5 as never)],
    ['no folder to train in', () => library.train(model.config, {} as never)],
    ['an entry of another kind', () => model.run('1-4-32' as never, {})],
    ['frames without end', () => library.decodeClip(file, { times: { frames: 1e9, stride: 1 } })],
  ])('is refused in words: %s', async (_, act) => {
    const error = await Promise.resolve()
      .then(act)
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
    expect(error).toBeInstanceOf(library.MnVideoError)
    expect((error as Error).message.length).toBeLessThan(300)
  })

  it('says the unit of a deadline', async () => {
    await expect(library.classify(model, file, { deadline: -1 })).rejects.toThrow(/deadline must be seconds/)
  })
})

describe('a signal', () => {
  const aborted = AbortSignal.abort(new Error('enough'))

  it.each<[string, (signal: AbortSignal) => Promise<unknown>]>([
    ['loadModel', (signal) => library.loadModel(run, { signal })],
    ['forBudget', (signal) => model.forBudget({}, { signal })],
    ['the scores of a batch', (signal) => ready.classify(clips(), { signal })],
    ['run', (signal) => model.run(ready.entry, { clip: clips() }, { signal })],
    ['measureLatencies', (signal) => model.measureLatencies(undefined, { signal })],
    ['classify', (signal) => library.classify(model, file, { signal })],
    ['decodeClip', (signal) => library.decodeClip(file, { times: [0] }, { signal })],
    ['probeVideo', (signal) => library.probeVideo(file, { signal })],
    ['testRun', (signal) => library.testRun(run, { signal })],
    ['train', (signal) => library.train(model.config, { folder: join(run, 'never'), signal })],
  ])('ends %s with `cancelled`, its reason as the cause', async (_, act) => {
    await expect(act(aborted)).rejects.toMatchObject({
      ...{ name: 'MnVideoError', code: 'cancelled' },
      cause: expect.objectContaining({ message: 'enough' }),
    })
  })

  it('ends a batch under way', async () => {
    const controller = new AbortController()
    const many = clips({ data: new Uint8Array(256 * 4 * 32 * 32 * 3), batch: 256 })
    const running = ready.classify(many, { signal: controller.signal })
    setImmediate(() => controller.abort())
    await expect(running).rejects.toMatchObject({ code: 'cancelled' })
    expect(await ready.classify(clips())).toHaveLength(5)
  })

  it('ends a classification between its views', async () => {
    const controller = new AbortController()
    const onView = () => controller.abort()
    const call = library.classify(model, file, { views: { temporal: 3 }, signal: controller.signal, onView })
    await expect(call).rejects.toMatchObject({ code: 'cancelled' })
  })
})

describe('classify', () => {
  it('gives the scores of each view on request, whose mean are the scores', async () => {
    const { scores, perView, views } = await library.classify(model, file, {
      ...{ views: { temporal: 2, spatial: 3 }, perView: true },
    })
    expect(views).toBe(6)
    expect(perView).toHaveLength(6)
    scores.forEach((score, k) => {
      const mean = perView!.reduce((sum, view) => sum + view[k]!, 0) / 6
      expect(score).toBeCloseTo(mean, 6)
    })
    expect(await library.classify(model, file)).not.toHaveProperty('perView')
  })
})
