/** Every recipe in configs/ starts on data of its kind: read, decoded, one mutual step taken. */
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Config, isVideo, loadConfig } from '../../src/config/index.ts'
import { mnVideo } from '../support/cli.ts'
import { renderClip } from '../support/render.ts'
import { temporaryFolder } from '../support/small-run.ts'

const configs = fileURLToPath(new URL('../../configs/', import.meta.url))
const recipes = (await readdir(configs)).filter((name) => name.endsWith('.yml'))
const folder = await temporaryFolder()
const data = { videos: join(folder, 'videos'), images: join(folder, 'images'), cifar: join(folder, 'cifar') }
const timeout = 60_000

beforeAll(async () => {
  await mkdir(data.videos)
  await renderClip(join(data.videos, 'a.mp4'), { seconds: 2 })
  for (const list of ['train.csv', 'val.csv']) await writeFile(join(data.videos, list), 'a.mp4 0\na.mp4 7\n')

  // ImageNet's layout: a thousand folders, of which two have a picture here.
  const picture = sharp({ create: { width: 80, height: 60, channels: 3, background: '#123456' } })
  for (const split of ['train', 'val']) {
    for (let i = 0; i < 1000; i++) {
      await mkdir(join(data.images, split, `n${String(i).padStart(8, '0')}`), { recursive: true })
    }
    for (const label of ['n00000000', 'n00000999']) {
      await picture.jpeg().toFile(join(data.images, split, label, `${label}_1.JPEG`))
    }
  }

  await mkdir(data.cifar)
  const record = (label: number) => Buffer.from([label % 20, label, ...Array(3 * 32 * 32).fill(90)])
  for (const file of ['train.bin', 'test.bin']) {
    await writeFile(join(data.cifar, file), Buffer.concat([record(3), record(99)]))
  }
})

/** Tiny data, and of the large networks tiny inputs (WideResNet: fewer channels): whole, they take minutes in all. */
function sized(config: Config): readonly string[] {
  if (config.dataset.startsWith('cifar')) return [`dataset_dir=${data.cifar}`, 'widen_factor=2']
  const size = config.image_size > 48 ? ['image_size=32'] : []
  return [`dataset_dir=${isVideo(config.model) ? data.videos : data.images}`, ...size]
}

describe('every recipe', () => {
  it.each(recipes)('starts: %s', { timeout }, async (recipe) => {
    const file = join(configs, recipe)
    const config = await loadConfig(file)
    const set = [...sized(config), 'batch_size=1'].flatMap((each) => ['--set', each])
    const { code, stdout, stderr } = await mnVideo(['train', file, '--dry-run', '--threads', '1', ...set])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(`2 training and 2 validation samples, ${config.num_classes} classes`)
    expect(stdout).toMatch(/\nfull .*\nnarrowest .*\nrandom_1 .*\nrandom_2 /)
  })
})
