import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formatConfig, loadConfig, parseConfig, presetNames } from '../../src/config/index.ts'

const configs = fileURLToPath(new URL('../../configs/', import.meta.url))

/** The published recipes: MutualNet's files for images, PySlowFast's for video. */
const video = { channelwise_init: 'fan_out', weight_decay_on: 'no_norms', zero_init_final_bn: true } as const
const imagenet = {
  channelwise_init: 'fan_out',
  weight_decay_on: 'dense',
  zero_init_final_bn: false,
  calibration_batches: 9,
} as const
const recipes = {
  x3d: {
    ...video,
    model: 'x3d',
    frames: 16,
    frame_stride: 5,
    image_size: 224,
    width_mult_range: [0.63, 1],
    num_classes: 400,
    lr: 0.1,
    batch_size: 128,
    weight_decay: 5e-5,
    num_epochs: 300,
    warmup_epochs: 35,
    frames_list: [16, 13, 10, 6],
    resolution_list: [224, 192, 160, 128],
  },
  slow: {
    ...video,
    model: 'slow',
    frames: 8,
    frame_stride: 8,
    image_size: 224,
    width_mult_range: [0.63, 1],
    lr: 0.1,
    batch_size: 64,
    weight_decay: 1e-4,
    num_epochs: 196,
    warmup_epochs: 34,
    warmup_lr: 0.01,
    frames_list: [8, 6, 5, 3],
    dropoutrate: 0.5,
  },
  slowfast: {
    ...video,
    model: 'slowfast',
    frames: 4,
    frame_stride: 16,
    alpha: 8,
    width_mult_range: [0.63, 1],
    frames_list: [4, 3, 2],
    mean: [0.45, 0.45, 0.45],
    std: [0.225, 0.225, 0.225],
  },
  mobilenet_v1: {
    ...imagenet,
    model: 'mobilenet_v1',
    num_classes: 1000,
    width_mult_range: [0.25, 1],
    lr: 0.5,
    batch_size: 1024,
    num_epochs: 250,
    image_resize: 256,
    data_transforms: 'imagenet1k_mobile',
  },
  mobilenet_v2: {
    ...imagenet,
    model: 'mobilenet_v2',
    width_mult_range: [0.7, 1],
    width_mult_list: [0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1],
    lr: 0.5,
    batch_size: 1024,
  },
  resnet50: {
    ...imagenet,
    model: 'resnet50',
    depth: 50,
    width_mult_range: [0.9, 1],
    lr: 0.2,
    batch_size: 512,
    num_epochs: 120,
    data_transforms: 'imagenet1k_basic',
  },
  wideresnet: {
    ...imagenet,
    weight_decay_on: 'all',
    model: 'wideresnet',
    dataset: 'cifar100',
    num_classes: 100,
    image_size: 32,
    depth: 28,
    widen_factor: 10,
    resolution_list: [32, 28, 24, 20],
    width_mult_range: [0.9, 1],
    lr: 0.1,
    weight_decay: 5e-4,
    batch_size: 128,
    num_epochs: 200,
  },
} as const

describe('shipped recipes', () => {
  it('are the seven of the list above, and the one of the motion set', async () => {
    expect(await presetNames()).toEqual([...Object.keys(recipes), 'motion-x3d'].sort())
  })

  it.each(Object.entries(recipes))('%s loads to its published settings', async (name, expected) => {
    const config = await loadConfig(join(configs, `${name}.yml`))
    expect(config).toMatchObject({ ...expected, method: 'mutualnet', random_seed: 1995, nesterov: true })
    expect(parseConfig(formatConfig(config), 'config.yml')).toEqual(config)
  })

  it('are found by bare name', async () => {
    expect(await loadConfig('x3d')).toEqual(await loadConfig(join(configs, 'x3d.yml')))
  })
})

describe('loadConfig', () => {
  let folder = ''
  const write = async (name: string, content: string | Buffer) => {
    await writeFile(join(folder, name), content)
    return join(folder, name)
  }
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'config-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  it('takes paths as MutualNet does, after "app:"', async () => {
    const path = await write('a.yml', 'model: slow\n')
    expect(await loadConfig(`app:${path}`)).toEqual(parseConfig('model: slow', path))
  })

  it('names the file and the line of what is wrong', async () => {
    const path = await write('b.yml', 'model: x3d\nframs: 3\n')
    await expect(loadConfig(`app:${path}`)).rejects.toThrow(
      `${path}:2: unknown key "frams". Did you mean "frames"?`,
    )
  })

  it('takes labels relative to the file, to an absolute path that stays where it is', async () => {
    const config = await loadConfig(await write('c.yml', 'model: x3d\nlabels: names.txt\n'))
    expect(config.labels).toBe(resolve(folder, 'names.txt'))
    expect(parseConfig(formatConfig(config), '/elsewhere/config.yml').labels).toBe(config.labels)
  })

  it('accepts a byte order mark and Windows line ends', async () => {
    const config = await loadConfig(await write('d.yml', '\ufeffmodel: slow\r\nframes: 4\r\n'))
    expect(config).toMatchObject({ model: 'slow', frames: 4 })
  })

  it.each([
    ['UTF-16', Buffer.from('\ufeffmodel: x3d', 'utf16le'), 'its text is UTF-16, not UTF-8. Give'],
    ['Latin-1', Buffer.from('labels: "\xe9"', 'latin1'), 'its text is not UTF-8. Give'],
    ['binary', Buffer.from([0x80, 0, 1, 2]), 'it is not a text file. Give'],
    ['2 MiB', Buffer.alloc(2 ** 21, '#'), 'it is larger than 1 MiB. Give'],
  ])('refuses %s content', async (name, content, message) => {
    const path = await write(`${name}.yml`, content)
    await expect(loadConfig(path)).rejects.toThrow(
      `${path}: cannot be read: ${message} a configuration file: YAML or JSON in UTF-8`,
    )
  })

  it('says in one line when there is no file, or a folder', async () => {
    await expect(loadConfig('nowhere/x.yml')).rejects.toThrow(
      'nowhere/x.yml: no such file. Give a configuration file, or one of mobilenet_v1, mobilenet_v2,',
    )
    await expect(loadConfig(folder)).rejects.toThrow(`${folder}: cannot be read: it is a folder, not a file.`)
  })
})
