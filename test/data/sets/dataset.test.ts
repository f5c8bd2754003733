import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config/index.ts'
import { type Dataset, openDataset, openDatasets } from '../../../src/data/sets/dataset.ts'
import { testFolder } from '../../support/render.ts'
import { sharedPath } from '../../support/shared.ts'

const folder = await testFolder()
afterAll(folder.remove)
beforeEach(folder.remove)

/** Empty files (what they hold is not looked at here), or files with a text. */
async function write(...files: readonly (string | readonly [string, string | Uint8Array])[]): Promise<void> {
  for (const file of files) {
    const [name, content] = typeof file === 'string' ? [file, ''] : file
    await mkdir(dirname(folder.path(name)), { recursive: true })
    await writeFile(folder.path(name), content)
  }
}

const config = (text: string) => parseConfig(text, folder.path('config.yml'))
const video = (rest: string, dataset = 'folder') =>
  config(`model: x3d\ndataset: ${dataset}\ndataset_dir: "${folder.path('.')}"\n${rest}`)
const samples = (dataset: Dataset) =>
  Array.from({ length: dataset.size }, (_, i) => [
    dataset.name(i).replace(`${folder.path('')}/`, ''),
    dataset.label(i),
  ])

describe('a data set in class folders', () => {
  it('numbers classes by name, the same in both splits', async () => {
    await write(
      'train/b/1.mp4',
      'train/a b/2.MKV',
      'train/\u{1F3C3}/3.webm',
      'train/\uFF5E/4.avi',
      'val/\uFF5E/5.mp4',
    )
    const { train, val } = await openDatasets(video('num_classes: 4'))
    expect(train.classes).toEqual(['a b', 'b', '\uFF5E', '\u{1F3C3}'])
    expect(val.classes).toEqual(train.classes)
    expect(samples(train)).toEqual([
      ['train/a b/2.MKV', 0],
      ['train/b/1.mp4', 1],
      ['train/\uFF5E/4.avi', 2],
      ['train/\u{1F3C3}/3.webm', 3],
    ])
    expect(samples(val)).toEqual([['val/\uFF5E/5.mp4', 2]])
    expect(train.source(1)).toEqual({ path: folder.path('train/b/1.mp4') })
    expect([train.indicesOf(2), train.indicesOf(9)]).toEqual([[2], []])
  })

  it('takes the order of classes.txt where there is one', async () => {
    await write('train/a/1.mp4', 'train/b/2.mp4', 'val/a/3.mp4', ['classes.txt', 'b\r\na\r\n'])
    const { train, val } = await openDatasets(video('num_classes: 2'))
    expect(train.classes).toEqual(['b', 'a'])
    expect([samples(train), samples(val)]).toEqual([
      [
        ['train/b/2.mp4', 0],
        ['train/a/1.mp4', 1],
      ],
      [['val/a/3.mp4', 1]],
    ])
  })

  it('counts files of other kinds, passes over hidden ones and follows links', async () => {
    await write(
      'train/a/1.mp4',
      'train/a/1.txt',
      'train/a/x.jpg',
      'train/a/._1.mp4',
      'train/.cache/2.mp4',
      'elsewhere/3.mp4',
    )
    await symlink(folder.path('elsewhere'), folder.path('train/b'))
    const train = await openDataset(video('num_classes: 2'), 'train')
    expect(samples(train)).toEqual([
      ['train/a/1.mp4', 0],
      ['train/b/3.mp4', 1],
    ])
    expect(train.passedOver).toMatchObject([{ files: 1 }, { files: 1 }])
  })

  it('has images for an image model', async () => {
    await write('train/n01440764/1.JPEG', 'train/n01443537/2.png', 'train/n01443537/3.mp4')
    const images = config(`model: resnet50\ndataset_dir: "${folder.path('.')}"\nnum_classes: 2`)
    const train = await openDataset(images, 'train')
    expect([train.media, train.size, train.passedOver]).toMatchObject([
      'image',
      2,
      [{ ending: '.mp4', files: 1 }],
    ])
  })

  it.each([
    [
      'no such folder',
      [],
      '',
      'no such folder (dataset_dir). Give the folder of the data set (dataset: folder).',
    ],
    [
      'no split',
      ['a/1.mp4'],
      '',
      'has neither train.csv nor a folder train (dataset_dir). Expected train/CLASS/FILE',
    ],
    ['files without classes', ['train/1.mp4'], '', '/train: has 1 files but no class folders.'],
    [
      'another number of classes',
      ['train/a/1.mp4', 'train/b/1.mp4'],
      '',
      '/train: has 2 classes, but num_classes is 400. Give num_classes: 2,',
    ],
    [
      'no videos',
      ['train/a/1.jpg'],
      'num_classes: 1',
      '/train: has no videos in its class folders (passed over: 1 .jpg (pictures, such as ',
    ],
  ])('says what is wrong: %s', async (_, files, rest, message) => {
    await write(...files)
    await expect(openDataset(video(rest), 'train')).rejects.toThrow(message)
  })

  it('refuses a validation class that training has not', async () => {
    await write('train/a/1.mp4', 'val/b/1.mp4')
    await expect(openDatasets(video('num_classes: 1'))).rejects.toThrow(
      'val/b: is not one of the 1 classes (a).',
    )
  })
})

describe('the fingerprint of a data set', () => {
  it('is the same in class folders and in a list of them, wherever they lie', async () => {
    await write('train/a/1.mp4', 'train/b/2.mp4', 'val/a/3.mp4', 'elsewhere/a/1.mp4', 'elsewhere/b/2.mp4')
    const inFolders = await (await openDataset(video('num_classes: 2'), 'train')).fingerprint()
    expect(inFolders).toMatchObject({ files: 2, classes: 2 })
    await write(['lists/t.csv', '../elsewhere/b/2.mp4 1\n../elsewhere/a/1.mp4 0'])
    const listed = await openDataset(
      config('model: x3d\nnum_classes: 2\ntrain_list: lists/t.csv\nval_list: lists/t.csv'),
      'train',
    )
    expect(await listed.fingerprint()).toEqual(inFolders)
  })

  it('has what a check found out, if it was of the same files', async () => {
    await write('a.mp4', 'b.mp4', ['train.csv', 'a.mp4 0'], ['val.csv', 'b.mp4 0'])
    const { train, val } = await openDatasets(video('num_classes: 1'))
    const facts = { codecs: { h264: 1 }, sizes: { '320x240': 1 } }
    const { sha256 } = await train.fingerprint()
    await write(
      ['train.fingerprint.json', JSON.stringify({ files: 1, classes: 1, sha256, ...facts })],
      ['val.fingerprint.json', JSON.stringify({ files: 1, classes: 1, sha256, ...facts })],
    )
    expect(await train.fingerprint()).toEqual({ files: 1, classes: 1, sha256, ...facts })
    expect(await val.fingerprint()).toEqual({ files: 1, classes: 1, sha256: expect.any(String) })
    expect((await val.fingerprint()).sha256).not.toBe(sha256)
  })
})

describe('a data set in lists', () => {
  it('is found in dataset_dir, before class folders', async () => {
    await write('a.mp4', 'train/a/1.mp4', ['train.csv', 'a.mp4 7\n'], ['val.csv', 'a.mp4,399'])
    const { train, val } = await openDatasets(video('', 'kinetics400'))
    expect([samples(train), samples(val)]).toEqual([[['a.mp4', 7]], [['a.mp4', 399]]])
    expect(train.classes).toBeUndefined()
  })

  it('may be named by the configuration, relative to its file, with a root', async () => {
    await write(
      'videos/a.mp4',
      ['lists/t.txt', 'a.mp4 0'],
      ['lists/v.txt', 'a.mp4 1'],
      ['lists/classes.txt', 'x\ny'],
    )
    const { train, val } = await openDatasets(
      config('model: x3d\nnum_classes: 2\ntrain_list: lists/t.txt\nval_list: lists/v.txt\nlist_root: videos'),
    )
    expect([samples(train), samples(val)]).toEqual([[['videos/a.mp4', 0]], [['videos/a.mp4', 1]]])
    expect(train.classes).toEqual(['x', 'y'])
  })

  it.each([
    [
      'labels too high',
      ['a.mp4', ['train.csv', 'a.mp4 400']],
      'train.csv:1: label 400, but num_classes is 400',
    ],
    [
      'paths that lead nowhere',
      [['train.csv', 'a.mp4 0\nb.mp4 1']],
      'train.csv: none of the 2 files that were looked for is there; the first: ',
    ],
    [
      'class names of another number',
      ['a.mp4', ['train.csv', 'a.mp4 0'], ['classes.txt', 'x\ny']],
      'classes.txt: has 2 classes, but num_classes is 400. Give num_classes: 2',
    ],
    [
      'a class named twice',
      ['a.mp4', ['train.csv', 'a.mp4 0'], ['classes.txt', 'x\nx']],
      'classes.txt: has "x" twice',
    ],
  ] as const)('says what is wrong: %s', async (_, files, message) => {
    await write(...files)
    await expect(openDataset(video('', 'kinetics400'), 'train')).rejects.toThrow(message)
  })

  it('must be named when there is no folder', async () => {
    await expect(openDataset(config('model: x3d'), 'val')).rejects.toThrow(
      'kinetics400: where does it lie? Give dataset_dir: FOLDER, or val_list: FILE.',
    )
    expect(() => config('model: wideresnet\ntrain_list: a.txt')).toThrow(
      'train_list is for files; cifar10 has none.',
    )
  })
})

describe('CIFAR in its binary version', () => {
  /** Records whose label is 1, 2, … and whose red, green and blue are label, 50 + label, 100 + label. */
  const records = (labels: readonly number[], labelBytes = 1) =>
    Buffer.concat(
      labels.map((label) =>
        Buffer.concat([
          Buffer.alloc(labelBytes - 1, 19),
          Buffer.from([label]),
          ...[0, 50, 100].map((add) => Buffer.alloc(1024, label + add)),
        ]),
      ),
    )
  const cifar = (dataset: string) =>
    config(`model: wideresnet\ndataset: ${dataset}\ndataset_dir: "${folder.path('.')}"`)

  it('reads whatever batches are there', async () => {
    await write(
      ['data_batch_1.bin', records([3, 1])],
      ['data_batch_4.bin', records([9])],
      ['test_batch.bin', records([0])],
    )
    const { train, val } = await openDatasets(cifar('cifar10'))
    expect(samples(train)).toEqual([
      ['data_batch_1.bin, image 0', 3],
      ['data_batch_1.bin, image 1', 1],
      ['data_batch_4.bin, image 0', 9],
    ])
    expect(samples(val)).toEqual([['test_batch.bin, image 0', 0]])
    const image = train.source(2)
    expect(image).toMatchObject({ batch: 1, frames: 1, height: 32, width: 32 })
    expect('data' in image && [...image.data.subarray(0, 6)]).toEqual([9, 59, 109, 9, 59, 109])
  })

  it('takes the fine labels of CIFAR-100, in the folder that the archive unpacks to', async () => {
    await write(
      ['cifar-100-binary/train.bin', records([99, 4], 2)],
      ['cifar-100-binary/test.bin', records([7], 2)],
    )
    const { train, val } = await openDatasets(cifar('cifar100'))
    expect([train.label(0), train.label(1), val.label(0)]).toEqual([99, 4, 7])
  })

  it.each([
    ['missing files', ['x'], 'has no data_batch_N.bin, directly or in cifar-10-batches-bin.'],
    [
      'a cut file',
      [['data_batch_1.bin', records([1, 2]).subarray(1)]],
      'data_batch_1.bin: has 6145 bytes, not a whole number of records of 3073.',
    ],
    [
      'a label that cannot be',
      [['data_batch_1.bin', records([1, 10])]],
      'data_batch_1.bin, image 1: label 10, but cifar10 has 10 classes.',
    ],
  ] as const)('says what is wrong: %s', async (_, files, message) => {
    await write(...files)
    await expect(openDataset(cifar('cifar10'), 'train')).rejects.toThrow(message)
  })

  const subset = sharedPath('datasets/cifar-10-subset')
  it.skipIf(!subset)('reads real images', async () => {
    const { train, val } = await openDatasets(config(`model: wideresnet\ndataset_dir: "${subset}"`))
    expect([train.size, val.size, train.classes?.[3]]).toEqual([5000, 1000, 'cat'])
    expect(train.indicesOf(3).every((index) => train.label(index) === 3)).toBe(true)
  })
})
