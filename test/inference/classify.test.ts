import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { toInputs } from '../../src/frames/inputs.ts'
import { classify } from '../../src/inference/classify.ts'
import { decodeVideoViews } from '../../src/inference/inputs-of-file.ts'
import { loadModel } from '../../src/inference/model.ts'
import type { ClassifyOptions } from '../../src/inference/options.ts'
import { slowfast } from '../../src/models/slowfast.ts'
import { renderClip } from '../support/render.ts'
import { makeRun, SMALL_MOBILENET, SMALL_SLOWFAST, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()
const clip = join(folder, 'clip.mp4')
const runs = {
  x3d: join(folder, 'x3d'),
  slowfast: join(folder, 'slowfast'),
  mobilenet: join(folder, 'mobilenet'),
}

beforeAll(async () => {
  await renderClip(clip, { seconds: 2 })
  await makeRun(runs.x3d, SMALL_X3D)
  await makeRun(runs.slowfast, SMALL_SLOWFAST)
  await makeRun(runs.mobilenet, SMALL_MOBILENET)
})

const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0)

describe('classifying a clip', () => {
  it('chooses the configuration, averages the views and ranks all classes', async () => {
    const model = await loadModel(runs.x3d)
    const entry = model.table.entries[3]!
    const result = await classify(model, clip, {
      budget: { mflops: entry.macs / 1e6 },
      views: { temporal: 2, spatial: 3 },
    })
    expect(result.configuration).toEqual(entry)
    expect(result.views).toBe(6)
    expect(result.macs).toBe(6 * entry.macs)
    expect(sum(result.scores)).toBeCloseTo(1, 5)
    const scores = result.ranking.map(({ score }) => score)
    expect(scores).toEqual([...scores].sort((a, b) => b - a))
    expect(result.ranking.map(({ index }) => index).sort()).toEqual([0, 1, 2, 3, 4])
    model.dispose()
  })

  it('averages the softmax of the views', async () => {
    const model = await loadModel(runs.x3d)
    const entry = model.choose({})
    const views = await decodeVideoViews(clip, model.network, model.config, entry, {
      temporal: 3,
      spatial: 1,
    })
    const each = await Promise.all(views.map(async (inputs) => (await model.run(entry, inputs)).scores))
    const { scores } = await classify(model, clip, { views: { temporal: 3, spatial: 1 } })
    scores.forEach((score, k) => {
      expect(score).toBeCloseTo((each[0]![k]! + each[1]![k]! + each[2]![k]!) / 3, 6)
    })
    model.dispose()
  })

  it('runs SlowFast with a slow pathway of fewer, smaller frames', async () => {
    const model = await loadModel(runs.slowfast)
    const result = await classify(model, clip, { budget: { width: 0.63, frames: 1, size: 20 } })
    expect(sum(result.scores)).toBeCloseTo(1, 5)
    model.dispose()
  })

  it('classifies an image with an image model, transparent or grey alike', async () => {
    const picture = join(folder, 'picture.png')
    await sharp({ create: { width: 50, height: 40, channels: 4, background: '#3388aa80' } })
      .png()
      .toFile(picture)
    const model = await loadModel(runs.mobilenet)
    const { scores, views } = await classify(model, picture, { budget: { mflops: 5 } })
    expect(sum(scores)).toBeCloseTo(1, 5)
    expect(views).toBe(1)
    model.dispose()
  })

  it('answers with the names of a labels file', async () => {
    const labels = join(folder, 'labels.txt')
    await writeFile(labels, 'walk\nrun\njump\nsit\nfall\n')
    const model = await loadModel(runs.x3d, { labels })
    const { ranking } = await classify(model, clip)
    expect(ranking.map(({ label }) => label).sort()).toEqual(['fall', 'jump', 'run', 'sit', 'walk'])
    model.dispose()
  })

  it('refuses a labels file with the wrong number of names', async () => {
    const labels = join(folder, 'few.txt')
    await writeFile(labels, 'walk\nrun\n')
    await expect(loadModel(runs.x3d, { labels })).rejects.toThrow(
      `${labels}: has 2 class names, but the model has 5 classes`,
    )
  })

  it('refuses widths outside the range that the model is built for', async () => {
    const model = await loadModel(runs.x3d)
    expect(() => model.choose({ width: 0.3 })).toThrow('Give a width from 0.63 to 1')
    model.dispose()
  })

  it('takes file URLs, and tells after each view', async () => {
    const model = await loadModel(pathToFileURL(runs.x3d))
    const told: string[] = []
    const onView = (done: number, total: number) => told.push(`${done}/${total}`)
    await classify(model, pathToFileURL(clip), { views: { temporal: 2 }, onView })
    expect(told).toEqual(['1/2', '2/2'])
    model.dispose()
  })

  it.each([
    [{ budget: { glops: 1 } }, 'budget'],
    [{ budget: { gflops: Number.NaN } }, 'budget'],
    [{ budget: 0.3 }, 'budget'],
    [{ budget: { mflops: '1' } }, 'budget'],
    [{ views: { temporal: 1, spatial: 2 } }, 'options of classify'],
    [{ views: '1x1' }, 'options of classify'],
    [{ vews: { temporal: 2 } }, 'options of classify'],
  ])('refuses %j rather than guess', async (options, what) => {
    const model = await loadModel(runs.x3d)
    await expect(classify(model, clip, options as ClassifyOptions)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(what),
    })
    model.dispose()
  })

  it('refuses more frames than a clip of the run has', async () => {
    const model = await loadModel(runs.x3d)
    expect(() => model.choose({ frames: 5 })).toThrow('frames 5 is more than a clip of')
    model.dispose()
  })

  it('refuses an input that the wasm backend cannot hold, before it starts', async () => {
    const model = await loadModel(runs.x3d, { engine: 'tfjs' })
    await expect(classify(model, clip, { budget: { size: 4000 } })).rejects.toThrow(
      /needs about [\d.]+ GiB; this engine has 2\.50 GiB/,
    )
    model.dispose()
  })

  it('cannot go on once the model is disposed', async () => {
    const model = await loadModel(runs.x3d)
    model.dispose()
    await expect(classify(model, clip)).rejects.toThrow('has been disposed. Load it again.')
  })

  it('runs configurations beside each other, and more of them than plans are kept', async () => {
    const model = await loadModel(runs.x3d)
    const results = await Promise.all(
      model.table.entries
        .slice(0, 12)
        .map(({ width, frames, size }) => classify(model, clip, { budget: { width, frames, size } })),
    )
    for (const { scores } of results) expect(sum(scores)).toBeCloseTo(1, 5)
    model.dispose()
  })
})

describe('the inputs of a configuration', () => {
  it('take evenly spread frames of the same clip, resized', () => {
    const network = slowfast({ classes: 5, frames: 4, size: 8, alpha: 8 })
    const frame = 8 * 8 * 3
    const data = Uint8Array.from({ length: 32 * frame }, (_, i) => Math.floor(i / frame))
    const inputs = toInputs(
      network,
      { width: 1, frames: 4, size: 6 },
      { data, batch: 1, frames: 32, height: 8, width: 8 },
    )
    expect(inputs.fast).toMatchObject({ frames: 32, height: 8 })
    expect(inputs.slow).toMatchObject({ frames: 4, height: 6, width: 6 })
    const shown = [0, 1, 2, 3].map((i) => inputs.slow!.data[i * 6 * 6 * 3])
    expect(shown).toEqual([0, 10, 20, 31])
  })
})
