import { beforeAll, describe, expect, it } from 'vitest'
import type { Precision } from '../../src/engines/engine.ts'
import { nativeUnavailable, openNativeEngine } from '../../src/engines/native/engine.ts'
import { describeEngine } from '../../src/engines/precision.ts'
import { openTfjsEngine } from '../../src/engines/tfjs/engine.ts'
import type { Inputs } from '../../src/frames/batch.ts'
import { mobilenetV2 } from '../../src/models/mobilenet-v2.ts'
import type { Network } from '../../src/network/graph.ts'
import { initialise } from '../../src/network/initialise.ts'
import { fullConfiguration, resolve } from '../../src/network/resolve.ts'
import { initialStatistics } from '../../src/network/store.ts'
import { decodeClip } from '../../src/video/decode.ts'
import { BF16_CASES, nativeBf16, plainBf16, toBf16 } from '../support/bf16-convolutions.ts'
import { reducedSlow, reducedX3d } from '../support/reduced-networks.ts'
import { ffmpeg } from '../support/render.ts'
import { sharedPath } from '../support/shared.ts'
import { temporaryFolder } from '../support/small-run.ts'

const unavailable = nativeUnavailable()
const normalisation = { mean: [0.45, 0.45, 0.45], std: [0.225, 0.225, 0.225] }
const folder = await temporaryFolder()

describe.skipIf(unavailable)(`bf16 of the native engine${unavailable ? ` (${unavailable})` : ''}`, () => {
  it('rounds to the nearest, of two to the even', () => {
    const values = [1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -16, -1.7]
    expect(values.map(toBf16)).toEqual([1, 1, 1 + 2 ** -6, 1 + 2 ** -7, -1.703125])
  })

  it.each(BF16_CASES)('multiplies rounded values and sums them in float32: $title', async (each) => {
    const expected = plainBf16(each)
    const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
    const actual = await nativeBf16(each)
    const difference = expected.reduce((most, value, i) => Math.max(most, Math.abs(actual[i]! - value)), 0)
    expect(difference / largest).toBeLessThan(2e-6)
  })

  /** Each with the largest difference of a logit, as a part of the largest logit. */
  const NETWORKS: readonly [string, number, () => Network][] = [
    ['X3D', 0.01, () => reducedX3d()],
    ['Slow', 0.01, () => reducedSlow()],
    ['MobileNet v2', 0.06, () => mobilenetV2({ classes: 10, size: 64 })],
  ]
  const clips = new Map<string, string>()

  beforeAll(async () => {
    const looks = ['testsrc2', 'mandelbrot']
    for (const look of looks) {
      const path = `${folder}/${look}.mp4`
      await ffmpeg('-f', 'lavfi', '-i', `${look}=s=96x80:r=15`, '-t', '1', '-pix_fmt', 'yuv420p', path)
      clips.set(look, path)
    }
    for (const name of ['bikes_640x272', 'people_426x240', 'hevc_128x128']) {
      const path = sharedPath(`clips/${name}.mp4`)
      if (path) clips.set(name, path)
    }
  })

  it.each(NETWORKS)('answers as float32 does: %s', async (_, tolerance, build) => {
    const engine = await openNativeEngine()
    const network = build()
    const { frames, size } = network
    const inputsOf = async (path: string): Promise<Inputs> => {
      const crop = { size, position: 'centre' } as const
      const clip = await decodeClip(path, { times: { frames, stride: 4 }, shortSide: size, crop })
      return { [network.media === 'video' ? 'clip' : 'image']: { ...clip, batch: 1 } }
    }
    const subNetwork = resolve(network, fullConfiguration(network))
    const weights = initialise(network, 5)
    for (const [, values] of weights.values) if (values.every((value) => value === 0)) values.fill(0.3)
    const statistics = initialStatistics(subNetwork)
    const plan = (precision: Precision) =>
      engine.compile(subNetwork, weights, { statistics, normalisation, precision })
    const [exact, rounded] = [await plan('float32'), await plan('bf16')]
    for (const path of clips.values()) {
      const inputs = await inputsOf(path)
      const expected = (await exact.run(inputs)).logits
      const actual = (await rounded.run(inputs)).logits
      const largest = Math.max(...expected.map(Math.abs))
      const difference = Math.max(...expected.map((value, i) => Math.abs(value - actual[i]!))) / largest
      expect(best(actual)).toBe(best(expected))
      expect(difference).toBeLessThan(tolerance)
      expect(difference).toBeGreaterThan(0)
    }
    exact.dispose()
    rounded.dispose()
  })

  const network = reducedX3d()
  const subNetwork = resolve(network, fullConfiguration(network))
  const statistics = initialStatistics(subNetwork)
  const weights = initialise(network, 1)

  it('keeps gates in float32 and filters nothing by Winograd', async () => {
    const engine = await openNativeEngine()
    const opsOf = async (precision: Precision) => {
      const plan = await engine.compile(subNetwork, weights, { statistics, precision })
      const steps = plan.profile()
      plan.dispose()
      return steps.map(({ op, name }) => `${op} ${name}`)
    }
    const inFloat32 = (await opsOf('bf16')).filter((step) => /^(dense|winograd) /.test(step))
    expect(inFloat32.length).toBeGreaterThan(0)
    expect(inFloat32.filter((step) => !/se_module|norm_b/.test(step))).toEqual([])
    expect((await opsOf('float32')).some((step) => step.startsWith('denseBf16'))).toBe(false)
  })

  it('keeps a plan for each precision', async () => {
    const engine = await openNativeEngine()
    const compile = (precision?: Precision) =>
      engine.compile(subNetwork, weights, { statistics, ...(precision && { precision }) })
    const plans = [await compile('bf16'), await compile(), await compile('float32'), await compile('bf16')]
    expect(plans[0]).toBe(plans[3])
    expect(plans[1]).toBe(plans[2])
    expect(plans[0]!.bytes).toBeLessThan(0.7 * plans[1]!.bytes)
    for (const plan of plans) plan.dispose()
  })

  it('stops when it is cancelled', async () => {
    const plan = await (await openNativeEngine()).compile(subNetwork, weights, {
      statistics,
      precision: 'bf16',
    })
    const { frames, size } = network
    const data = new Float32Array(frames * size * size * 3)
    const inputs = { clip: { data, batch: 1, frames, height: size, width: size } }
    await expect(plan.run(inputs, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'cancelled',
    })
    await plan.run(inputs)
    plan.dispose()
  })

  it('is refused by who has it not, with a name for what does not exist', async () => {
    const compile = async (
      open: () => Promise<
        | Pick<Awaited<ReturnType<typeof openNativeEngine>>, 'compile'>
        | Awaited<ReturnType<typeof openTfjsEngine>>
      >,
      precision: Precision,
    ) => (await open()).compile(subNetwork, weights, { statistics, precision })
    await expect(compile(openNativeEngine, 'fp16' as Precision)).rejects.toThrow(
      'there is no precision "fp16". Give one of float32, bf16.',
    )
    await expect(compile(() => openTfjsEngine('cpu'), 'bf16')).rejects.toThrow(
      'the tfjs engine computes in float32 alone; bf16 needs the native engine.',
    )
  })

  it('says who multiplies', async () => {
    const engine = await openNativeEngine()
    expect(describeEngine(engine)).toBe(engine.description)
    expect(describeEngine({ ...engine, bf16: 'native' }, 'bf16')).toBe(`${engine.description}, bf16`)
    expect(describeEngine({ ...engine, bf16: 'emulated' }, 'bf16')).toMatch(
      /, bf16 by rounding \(no avx512_bf16/,
    )
  })
})

const best = (values: Float32Array): number => values.indexOf(Math.max(...values))
