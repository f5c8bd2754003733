import { mkdir, rename, truncate, writeFile } from 'node:fs/promises'
import sharp from 'sharp'
import { afterAll, describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config/index.ts'
import { evaluationClips } from '../../../src/data/loading/evaluation-clips.ts'
import { createFrameIndexes } from '../../../src/data/loading/frame-indexes.ts'
import { type Batch, openTrainingLoader } from '../../../src/data/loading/loader.ts'
import { type Dataset, openDataset } from '../../../src/data/sets/dataset.ts'
import { toInputs } from '../../../src/frames/inputs.ts'
import { decodeImageView, decodeVideoViews } from '../../../src/inference/inputs-of-file.ts'
import { buildNetwork } from '../../../src/models/index.ts'
import { frameNumber, renderClip, testFolder } from '../../support/render.ts'
import { SMALL_MOBILENET, SMALL_SLOWFAST, SMALL_X3D } from '../../support/small-run.ts'

const folder = await testFolder()
afterAll(folder.remove)

/** A data set of short videos in class folders. */
async function renderDataset(name: string, clips: number): Promise<string> {
  const files = Array.from({ length: clips }, (_, i) => `${name}/train/${'abc'[i % 3]}/${i}.mp4`)
  for (const label of 'abc') await mkdir(folder.path(`${name}/train/${label}`), { recursive: true })
  await Promise.all(files.map((file) => renderClip(folder.path(file), { size: '80x48', seconds: 0.7 })))
  return folder.path(name)
}

const videos = await renderDataset('videos', 7)
const sizes = 'num_classes: 3\ntrain_short_side: [32, 40]\nbatch_size: 3\n'

function setUp(dataset: string, rest = '', model = SMALL_X3D) {
  const base = model.replace(/num_classes: .*\n/, '').replace('dataset: folder\n', '')
  const config = parseConfig(`${base}dataset: folder\ndataset_dir: "${dataset}"\n${rest}`, 'c.yml')
  return { config, network: buildNetwork(config) }
}

/** Shared, so that tests read each video's index once. */
const indexes = createFrameIndexes()

async function open(dataset: string, rest = sizes, options: Parameters<typeof openTrainingLoader>[3] = {}) {
  const { config, network } = setUp(dataset, rest)
  const data = await openDataset(config, 'train')
  return { data, loader: openTrainingLoader(data, network, config, { indexes, ...options }) }
}

/** A loader of seven images in memory. */
function openInMemory(rest: string) {
  const { config, network } = setUp('', `num_classes: 1\n${rest}`, SMALL_MOBILENET)
  const image = { data: new Uint8Array(32 * 32 * 3), batch: 1, frames: 1, height: 32, width: 32 }
  return openTrainingLoader(datasetOf(Array(7).fill(image)), network, config)
}

/** Samples of one class. */
const datasetOf = (sources: readonly ReturnType<Dataset['source']>[]): Dataset => ({
  media: 'image',
  size: sources.length,
  origin: '',
  passedOver: [],
  label: () => 0,
  name: String,
  source: (index) => sources[index]!,
  indicesOf: () => [...sources.keys()],
  fingerprint: async () => ({ files: sources.length, classes: 1, sha256: '' }),
  identity: async () => '',
})

async function all<T>(batches: AsyncIterable<T>): Promise<T[]> {
  const result: T[] = []
  for await (const batch of batches) result.push(batch)
  return result
}

const samplesOf = (batches: readonly Batch[]) => batches.flatMap(({ samples }) => samples)
/** Programs that this process runs. */
const programs = () => process.getActiveResourcesInfo().filter((name) => name === 'ProcessWrap').length

describe('training batches', () => {
  it('are whole clips with their labels, every sample once an epoch', async () => {
    const { data, loader } = await open(videos)
    const batches = await all(loader.epoch(0))
    expect(
      batches.map(({ clips }) => [clips.batch, clips.frames, clips.height, clips.width, clips.data.length]),
    ).toEqual([3, 3, 1].map((batch) => [batch, 4, 32, 32, batch * 4 * 32 * 32 * 3]))
    expect(loader.batchesPerEpoch).toBe(3)
    expect(samplesOf(batches).sort()).toEqual([0, 1, 2, 3, 4, 5, 6])
    for (const { labels, samples } of batches) expect([...labels]).toEqual(samples.map(data.label))
    expect(loader.bad.size).toBe(0)
  })

  it('have frames spread from the first to the last of the clip', async () => {
    // The crop is the whole picture, so that the frames' numbers can be read off it.
    const square = await renderClip(folder.path('square.mp4'), { size: '32x32', seconds: 0.7 })
    const { config, network } = setUp('', 'num_classes: 1\ntrain_short_side: [32, 32]\nflip: false')
    const data = { ...datasetOf([{ path: square }]), media: 'video', origin: square } as const
    for await (const { clips } of openTrainingLoader(data, network, config).epoch(5)) {
      const pictures = { ...clips, data: clips.data as Uint8Array }
      const [first, ...rest] = [0, 1, 2, 3].map((i) => frameNumber(pictures, i))
      // trunc(linspace(0, 4 · 2 − 1, 4)); the start of this epoch's clip lies on a frame or little after it.
      expect(rest).toEqual([first! + 2, first! + 4, first! + 7])
    }
  })

  it('are the same bit for bit, whatever the workers and wherever the epoch is begun', async () => {
    const one = await all((await open(videos, `${sizes}data_loader_workers: 1`)).loader.epoch(2))
    const four = await all((await open(videos, `${sizes}data_loader_workers: 4`)).loader.epoch(2))
    const resumed = await all((await open(videos)).loader.epoch(2, 1))
    expect(four).toEqual(one)
    expect(resumed).toEqual(one.slice(1))
  })

  it('come in shards that have every batch once between them, the same as the whole epoch has', async () => {
    const { loader } = await open(videos, 'num_classes: 3\ntrain_short_side: [32, 40]\nbatch_size: 2\n')
    const whole = await all(loader.epoch(1))
    const shards = await Promise.all([0, 1, 2].map((index) => all(loader.epoch(1, 0, { index, count: 3 }))))
    expect(shards).toEqual([[whole[0], whole[3]], [whole[1]], [whole[2]]])
    // From a batch in the middle on, the shards begin there.
    expect(await all(loader.epoch(1, 1, { index: 1, count: 2 }))).toEqual([whole[2]])
    expect(await all(loader.epoch(1, 3, { index: 1, count: 2 }))).toEqual([])
  })

  it('come in another order in every epoch, negative ones too, and with another seed', async () => {
    const orders = new Set<string>()
    for (const seed of [1, 2]) {
      const loader = openInMemory(`batch_size: 3\nrandom_seed: ${seed}`)
      for (const epoch of [0, 1, -1]) orders.add(`${samplesOf(await all(loader.epoch(epoch)))}`)
    }
    expect(orders.size).toBe(6)
  })

  it('leave out the last, smaller one on request, but not the only one', async () => {
    const sizesOf = async (text: string) => {
      const loader = openInMemory(text)
      const batches = await all(loader.epoch(0))
      expect(batches).toHaveLength(loader.batchesPerEpoch)
      return batches.map(({ samples }) => samples.length)
    }
    expect(await sizesOf('batch_size: 3')).toEqual([3, 3, 1])
    expect(await sizesOf('batch_size: 3\ndrop_last: true')).toEqual([3, 3])
    expect(await sizesOf('batch_size: 64\ndrop_last: true')).toEqual([7])
  })

  it('of images are augmented, reproducibly', async () => {
    const images = folder.path('images')
    await mkdir(`${images}/train/x`, { recursive: true })
    for (const name of ['1.png', '2.jpg', '3.jpg']) {
      const noise = { type: 'gaussian', mean: 128, sigma: 60 } as const
      await sharp({ create: { width: 50, height: 40, channels: 3, background: '#888', noise } }).toFile(
        `${images}/train/x/${name}`,
      )
    }
    const { config, network } = setUp(images, 'num_classes: 1', SMALL_MOBILENET)
    const data = await openDataset(config, 'train')
    const read = async (epoch: number) =>
      (await all(openTrainingLoader(data, network, config).epoch(epoch)))[0]!
    const batch = await read(0)
    expect(batch.clips).toMatchObject({ batch: 3, frames: 1, height: 32, width: 32 })
    expect(await read(0)).toEqual(batch)
    expect((await read(1)).clips.data).not.toEqual(batch.clips.data)
  })
})

describe('files that cannot be read', () => {
  it('are named once and replaced by others of their class, the same after resuming', async () => {
    const dataset = await renderDataset('one bad', 9)
    await truncate(`${dataset}/train/b/4.mp4`, 1000)
    const told: string[] = []
    const allowed = `${sizes}max_bad_fraction: 0.2`
    const { data, loader } = await open(dataset, allowed, { onBad: (file) => told.push(file) })
    const epochs = [await all(loader.epoch(0)), await all(loader.epoch(1))]
    const bad = `${dataset}/train/b/4.mp4`
    expect(told).toEqual([bad])
    expect([...loader.bad.keys()]).toEqual([bad])
    expect(loader.bad.get(bad)).toMatch(/^FFmpeg finds no video in it/)
    for (const batches of epochs) {
      const names = samplesOf(batches).map(data.name)
      expect(names.filter((name) => name.includes('/b/'))).toHaveLength(3)
      expect(names).not.toContain(bad)
      for (const { labels, samples } of batches) expect([...labels]).toEqual(samples.map(data.label))
    }
    expect(await all((await open(dataset, allowed)).loader.epoch(1, 1))).toEqual(epochs[1]!.slice(1))
  })

  it('end the run when they are too many, with the first ones and the way out', async () => {
    const dataset = await renderDataset('bad', 0)
    for (let i = 0; i < 12; i++) await writeFile(`${dataset}/train/${'abc'[i % 3]}/${i}.mp4`, 'no video')
    const { loader } = await open(dataset)
    await expect(all(loader.epoch(0))).rejects.toThrow(
      /bad\/train: \d+ of 12 samples cannot be read, more than max_bad_fraction \(0.05\)\.\n.*train\/[abc]\/\d+\.mp4: FFmpeg finds no video.*\nRemove or replace these files .*raise max_bad_fraction/s,
    )
  })

  it('of any number end in an error when none is left', async () => {
    const dataset = await renderDataset('all bad', 0)
    for (let i = 0; i < 9; i++) await writeFile(`${dataset}/train/a/${i}.mp4`, 'no video')
    const { loader } = await open(dataset, `${sizes}max_bad_fraction: 1`)
    await expect(all(loader.epoch(0))).rejects.toThrow('none of the 9 samples can be read')
  })

  it('are told from a data set that went away', async () => {
    const dataset = await renderDataset('moved', 3)
    const { loader } = await open(dataset, 'num_classes: 3\nbatch_size: 1\ntrain_short_side: [32, 40]')
    const batches = loader.epoch(0)
    await batches.next()
    await rename(dataset, `${dataset} elsewhere`)
    await expect(all(loader.epoch(1))).rejects.toThrow(
      /moved\/train: is gone: the data set was moved, removed or unmounted/,
    )
    await batches.return()
  })
})

describe('ending early', () => {
  it('leaves no program running behind', async () => {
    const { loader } = await open(videos)
    for await (const _ of loader.epoch(0)) break
    await expect.poll(programs).toBe(0)
  })

  it('is done at once by a signal', async () => {
    const control = new AbortController()
    const { loader } = await open(videos, sizes, { signal: control.signal })
    const batches = loader.epoch(0)
    const first = batches.next()
    control.abort(new Error('interrupted'))
    await expect(first).rejects.toThrow('interrupted')
    await expect.poll(programs).toBe(0)
  })
})

describe('evaluation clips', () => {
  const two = { temporal: 2, spatial: 1 } as const
  const three = { temporal: 1, spatial: 3 } as const

  it.each([
    ['X3D', SMALL_X3D, 24, two, 3],
    ['X3D, three crops', SMALL_X3D, 32, three, 4],
    ['SlowFast', SMALL_SLOWFAST, 24, two, 1],
  ])('are the pixels that eval sees: %s', async (_, model, size, views, frames) => {
    const { config, network } = setUp(videos, 'num_classes: 3', model)
    const data = await openDataset(config, 'train')
    const seen = await all(evaluationClips(data, network, config, { size, views, from: 5 }))
    expect(seen.map(({ sample, label }) => [sample, label])).toEqual([
      [5, data.label(5)],
      [6, data.label(6)],
    ])
    const configuration = { width: 1, frames, size }
    const clips = 'clips' in seen[0]! ? seen[0].clips : []
    expect(clips.map((clip) => toInputs(network, configuration, clip))).toEqual(
      await decodeVideoViews(data.name(5), network, config, configuration, views),
    )
  })

  it('of images are the pixels that eval sees, in files or in memory', async () => {
    const { config, network } = setUp(videos, 'num_classes: 1', SMALL_MOBILENET)
    const file = folder.path('picture.png')
    const { data } = await sharp({ create: { width: 32, height: 32, channels: 3, background: '#123456' } })
      .png()
      .toFile(file)
      .then(() => sharp(file).raw().toBuffer({ resolveWithObject: true }))
    const memory = { data: new Uint8Array(data), batch: 1, frames: 1, height: 32, width: 32 }
    const dataset = datasetOf([{ path: file }, memory])
    const seen = await all(evaluationClips(dataset, network, config, { size: 28, views: two }))
    const [inFile, inMemory] = seen.map((each) => ('clips' in each ? each.clips[0] : undefined))
    const inputs = await decodeImageView(file, network, config, { width: 1, frames: 1, size: 28 })
    expect(inFile).toEqual(Object.values(inputs)[0])
    // One colour: whatever the crop, every pixel is it.
    expect(Buffer.from(inMemory!.data as Uint8Array)).toEqual(inFile!.data)
    expect(inMemory).toMatchObject({ frames: 1, height: 28, width: 28 })
  })

  it('name what cannot be read, and go on', async () => {
    const dataset = await renderDataset('one bad to test', 3)
    await writeFile(`${dataset}/train/b/1.mp4`, 'no video')
    const { config, network } = setUp(dataset, 'num_classes: 3')
    const data = await openDataset(config, 'train')
    const seen = await all(evaluationClips(data, network, config, { size: 32, views: two }))
    expect(seen.map((each) => ('error' in each ? each.error.message : each.clips.length))).toEqual([
      2,
      expect.stringContaining('b/1.mp4: FFmpeg finds no video in it'),
      2,
    ])
  })
})
