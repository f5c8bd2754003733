/** The pictures that configurations are tested on: one rule for `eval`, `test` and what exports say of themselves. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { formatConfig } from '../../../src/config/format.ts'
import { applyOverrides, loadConfig, parseConfig } from '../../../src/config/index.ts'
import { testPicture, videoTestClips } from '../../../src/data/loading/test-clips.ts'
import { openExport, writeOnnx } from '../../../src/inference/export-run.ts'
import { decodeVideoViews } from '../../../src/inference/inputs-of-file.ts'
import { loadModel } from '../../../src/inference/model.ts'
import { buildNetwork } from '../../../src/models/index.ts'
import { resolve } from '../../../src/network/resolve.ts'
import { initialStatistics } from '../../../src/network/store.ts'
import { writeRun } from '../../../src/runs/create-run.ts'
import { readStatistics } from '../../../src/runs/kept-statistics.ts'
import { readRun } from '../../../src/runs/run-folder.ts'
import { decodeClip } from '../../../src/video/decode.ts'
import { decodeClips } from '../../../src/video/decode-many.ts'
import { readFrameIndex } from '../../../src/video/frame-index.ts'
import { renderClip } from '../../support/render.ts'
import { makeRun, SMALL_SLOWFAST, SMALL_X3D, temporaryFolder } from '../../support/small-run.ts'

const folder = await temporaryFolder()
const at = (...names: string[]) => join(folder, ...names)

describe('test pictures', () => {
  // PySlowFast: TEST_CROP_SIZE out of TRAIN_JITTER_SCALES[0] with one crop, out of TEST_CROP_SIZE with three.
  it.each([
    ['x3d', [], 224, 256, 224],
    ['x3d', [], 256, 256, 256],
    ['x3d', ['variant=s'], 160, 182, 160],
    ['x3d', ['variant=xs'], 182, 182, 182],
    ['x3d', ['variant=l'], 356, 356, 356],
    ['slow', [], 256, 256, 256],
    ['slow', [], 224, 256, 224],
    ['slow', [], 128, 146, 128],
    ['slow', [], 300, 300, 300],
    ['slowfast', [], 256, 256, 256],
    ['slowfast', [], 128, 256, 224],
    ['mobilenet_v1', [], 224, 256, 224],
    ['mobilenet_v1', [], 160, 183, 160],
  ])(
    'of %s %j at size %i have short side %i and crops of %i',
    async (recipe, overrides, size, shortSide, side) => {
      const config = applyOverrides(await loadConfig(recipe), overrides)
      expect(testPicture(buildNetwork(config), config, size)).toEqual({
        shortSide,
        side,
        scaling: 'antialiased',
      })
    },
  )

  it.each([
    ['x3d', 256],
    ['x3d', 224],
    ['slow', 256],
    ['slowfast', 256],
  ])('of %s at size %i are covered by three crops', async (recipe, size) => {
    const config = await loadConfig(recipe)
    expect(testPicture(buildNetwork(config), config, size, 3)).toMatchObject({ shortSide: size, side: size })
  })

  it('above the training size have the same middle crop, be there one or three', async () => {
    const config = parseConfig(SMALL_X3D, 'small.yml')
    const network = buildNetwork(config)
    const path = await renderClip(at('wide.mp4'))
    const crops = (spatial: 1 | 3) =>
      videoTestClips(path, network, config, { size: 36, views: { temporal: 1, spatial } })
    const [[one], three] = await Promise.all([crops(1), crops(3)])
    expect(three).toHaveLength(3)
    expect(three[1]).toEqual(one)
  })

  it('are scaled as the configuration says, whether videos are decoded alone or together', async () => {
    const path = await renderClip(at('scaled.mp4'))
    const index = await readFrameIndex(path)
    const request = (scaling: 'bilinear' | 'antialiased') => ({
      times: [0, 0.5],
      shortSide: 37,
      scaling,
      crop: { size: 32, position: 'centre' as const },
      flip: true,
    })
    const clips = await decodeClips(
      (['bilinear', 'antialiased'] as const).map((scaling) => ({ path, index, request: request(scaling) })),
    )
    expect(clips[0]).toEqual(await decodeClip(path, request('bilinear')))
    expect(clips[1]).toEqual(await decodeClip(path, request('antialiased')))
    expect(clips[0]).not.toEqual(clips[1])
  })
})

it('of runs from before there was a choice are scaled as they were, and the run stays what it was', async () => {
  const text = formatConfig(await loadConfig('x3d'))
  const earlier = text
    .split('\n')
    .filter((line) => !/^(?:scaling|channelwise_init|weight_decay_on|given):/.test(line))
    .join('\n')
  const config = parseConfig(earlier, 'config.yml')
  expect(config).toMatchObject({ scaling: 'antialiased', channelwise_init: 'taps', weight_decay_on: 'dense' })
})

describe('above the training size', () => {
  it('a configuration runs with the statistics of the training size', async () => {
    const run = at('imported')
    const { config, weights, table } = await makeRun(at('fresh'), SMALL_X3D)
    const network = buildNetwork(config)
    const full = { width: 1, frames: 4, size: 32 }
    const { macs, params } = resolve(network, full)
    const statistics = new Map([['bn/1-4-32.safetensors', initialStatistics(resolve(network, full))]])
    const entries = [{ ...full, macs, params, statistics: 'bn/1-4-32.safetensors' }]
    await writeRun(run, { config, weights, table: { ...table, trained: true, entries }, statistics })
    const read = await readRun(run)
    const larger = { ...full, size: 36, ...resolve(network, { ...full, size: 36 }) }
    expect([...(await readStatistics(read, larger)).keys()]).toEqual(
      [...statistics.values()].flatMap((each) => [...each.keys()]),
    )
    await expect(readStatistics(read, { ...larger, size: 28 })).rejects.toThrow(
      'has no batch-norm statistics',
    )
    const model = await loadModel(run)
    const entry = model.choose({ size: 36 })
    const [inputs] = await decodeVideoViews(await renderClip(at('large.mp4')), network, config, entry, {
      temporal: 1,
      spatial: 3,
    })
    expect((await model.run(entry, inputs!)).scores).toHaveLength(5)
    model.dispose()
  })
})

describe('what an ONNX file says of its preprocessing', () => {
  it('is what eval does, for both of SlowFast’s inputs below full size', async () => {
    const run = at('slowfast')
    await makeRun(run, SMALL_SLOWFAST)
    const exported = await openExport(run, { width: 0.63, frames: 1, size: 20 })
    await writeOnnx(at('slowfast.onnx'), exported, 17)
    const text = (await readFile(at('slowfast.onnx'))).toString('utf8')
    const start = text.lastIndexOf('{"layout"')
    const said = JSON.parse(text.slice(start, text.indexOf('}}}', start) + 3))
    // The clip is decoded for the fast pathway, which stays whole; the slow one's frames are resized from it.
    expect(said).toMatchObject({ short_side: 36, crop: 'centre', crop_size: 32, scaling: 'antialiased' })
    expect(said.inputs.slow).toEqual({
      frames: 1,
      height: 20,
      width: 20,
      clip_frames: [0],
      resized: 'from the crop, bilinear, align_corners',
    })
    expect(said.inputs.fast).toEqual({
      frames: 8,
      height: 32,
      width: 32,
      clip_frames: [0, 1, 2, 3, 4, 5, 6, 7],
    })
    const { config, network } = exported.run
    const [inputs] = await decodeVideoViews(
      await renderClip(at('slowfast.mp4')),
      network,
      config,
      exported.entry,
      {
        temporal: 1,
        spatial: 1,
      },
    )
    for (const [name, { frames, height, width }] of Object.entries(inputs!)) {
      expect(said.inputs[name]).toMatchObject({ frames, height, width })
    }
  })
})
