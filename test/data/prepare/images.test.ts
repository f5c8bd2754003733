/** Preparation of the image data sets, on miniature copies of what their owners give. */
import { readFile } from 'node:fs/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { prepareDataset, recipeNamed } from '../../../src/data/prepare/index.ts'
import { readMatFile } from '../../../src/data/prepare/mat-file.ts'
import { readCifar } from '../../../src/data/sets/cifar.ts'
import { parseList } from '../../../src/data/sets/lists.ts'
import { matFile } from '../../support/mat-writer.ts'
import { testFolder } from '../../support/render.ts'
import { ByteString, Call, Global, numpyArray, pickle, Tuple } from '../../support/torch-writer.ts'
import { type Tree, writeTree } from '../../support/tree.ts'

const folder = await testFolder()
afterAll(folder.remove)
let copies = 0

async function prepared(name: string, tree: Tree) {
  const root = await writeTree(folder.path(`${name}-${++copies}`), tree)
  const out = `${root}-out`
  const written = await prepareDataset(recipeNamed(name), root, out, { root })
  const findings = written.findings.map(
    ({ kind, what, why }) => `${kind} ${what.replace(`${root}/`, '')}: ${why}`,
  )
  return { out, written, findings }
}

const listOf = async (out: string, file: string) =>
  parseList(await readFile(`${out}/${file}`, 'utf8'), file).map(({ path, label }) => [path, label])

const refusal = (name: string, tree: Tree) =>
  prepared(name, tree).then(
    () => 'nothing',
    (error: Error) => error.message,
  )

describe('ImageNet', () => {
  const image = (n: number) => `ILSVRC2012_val_${String(n).padStart(8, '0')}.JPEG`
  const train: Tree = {
    'train/n02119789': ['n02119789_1.JPEG'],
    'train/n01440764': ['n01440764_10 26.JPEG', 'n01440764_2.JPEG'],
    'train/not a class': ['x.JPEG'],
  }
  const flat: Tree = { ...train, val: [image(1), image(2), image(4)] }
  // As in the devkit: number 1 is not the first of the sorted ids.
  const meta = matFile('synsets', [
    { ILSVRC2012_ID: 1, WNID: 'n02119789', words: 'kit fox' },
    { ILSVRC2012_ID: 2, WNID: 'n01440764', words: 'tench' },
  ])
  const expected = [
    [`val/${image(1)}`, 0],
    [`val/${image(2)}`, 1],
  ]

  it('reads class folders, labels by sorted WordNet id', async () => {
    const { out, findings } = await prepared('imagenet', { ...train, 'val/n02119789': [image(3)] })
    expect(await listOf(out, 'train.csv')).toEqual([
      ['train/n01440764/n01440764_10 26.JPEG', 0],
      ['train/n01440764/n01440764_2.JPEG', 0],
      ['train/n02119789/n02119789_1.JPEG', 1],
    ])
    expect(await listOf(out, 'val.csv')).toEqual([[`val/n02119789/${image(3)}`, 1]])
    expect(findings).toEqual([
      'ignored train: 2 class folders, not 1000',
      'extra train/not a class/x.JPEG: does not lie in a class folder',
    ])
  })

  it("translates the devkit's numbers, which start at 1 and are in another order", async () => {
    const tree = {
      ...flat,
      'data/ILSVRC2012_validation_ground_truth.txt': '2\n1\n1\n',
      'data/meta.mat': meta,
    }
    const { out, findings } = await prepared('imagenet', tree)
    expect(await listOf(out, 'val.csv')).toEqual(expected)
    expect(findings.slice(2)).toEqual([
      `extra val/${image(4)}: the ground truth does not name it`,
      `missing ${image(3).replace('.JPEG', '')}: in the ground truth, but not there`,
    ])
  })

  it.each([
    [
      'LOC_val_solution.csv',
      `ImageId,PredictionString\n${image(1).replace('.JPEG', '')},n01440764 1 2 3 4 \nILSVRC2012_val_00000002,n02119789 1 2 3 4 n02119789 5 6 7 8\n`,
    ],
    ['imagenet_2012_validation_synset_labels.txt', 'n01440764\nn02119789\n'],
    ['val.txt', `${image(1)} 0\n${image(2)} 1\n`],
  ])('reads %s', async (name, text) => {
    const { out } = await prepared('imagenet', { ...flat, [name]: text })
    expect(await listOf(out, 'val.csv')).toEqual(expected)
  })

  it('says what is missing or wrong', async () => {
    const truth = { 'data/ILSVRC2012_validation_ground_truth.txt': '2\n1\n' }
    expect(await refusal('imagenet', { val: [image(1)] })).toMatch(
      /has no folder train with a folder per class/,
    )
    expect(await refusal('imagenet', flat)).toMatch(/lie flat, and no file says which class/)
    expect(await refusal('imagenet', { ...flat, ...truth })).toMatch(/stands in meta\.mat beside it/)
    expect(await refusal('imagenet', { ...flat, ...truth, 'meta.mat': 'nothing' })).toMatch(
      /meta\.mat: is not a MAT-file/,
    )
    expect(
      await refusal('imagenet', {
        ...flat,
        'meta.mat': meta,
        'ILSVRC2012_validation_ground_truth.txt': '2\n7\n',
      }),
    ).toMatch(/ground_truth\.txt:2: "7" is none of the 2 classes/)
    expect(await refusal('imagenet', { ...flat, 'val.txt': `${image(1)} 1\n${image(2)} 2\n` })).toMatch(
      /val\.txt:2: must be NAME and a label from 0 to 1/,
    )
  })

  it('reads no MAT-file past its end', () => {
    expect(readMatFile(meta, 'meta.mat').get('synsets')).toHaveLength(2)
    for (let length = 0; length < meta.length; length += 7) {
      const read = () => readMatFile(meta.subarray(0, length), 'meta.mat')
      try {
        expect(read().size).toBeLessThan(2)
      } catch (error) {
        expect(error).toMatchObject({ code: 'data' })
      }
    }
  })
})

describe('CIFAR', () => {
  const PIXELS = 3072
  const pixels = (image: number) => Uint8Array.from({ length: PIXELS }, (_, i) => (i * 7 + image) % 256)
  const array = (images: readonly number[]) =>
    numpyArray('u1', [images.length, PIXELS], new ByteString(Buffer.concat(images.map(pixels))), {
      order: '|',
    })
  const batch10 = (labels: readonly number[], first: number) =>
    pickle(
      new Map<unknown, unknown>([
        [new ByteString(Buffer.from('batch_label')), new ByteString(Buffer.from('training batch 1 of 5'))],
        [new ByteString(Buffer.from('labels')), [...labels]],
        [new ByteString(Buffer.from('data')), array(labels.map((_, i) => first + i))],
      ]),
    )
  const names10 = Array.from({ length: 10 }, (_, i) => `name ${i}`)
  const python10: Tree = {
    'cifar-10-batches-py/data_batch_1': batch10([3, 9], 0),
    'cifar-10-batches-py/data_batch_2': batch10([0], 2),
    'cifar-10-batches-py/test_batch': batch10([7], 3),
    'cifar-10-batches-py/batches.meta': pickle(new Map([['label_names', names10]])),
  }

  it('turns the Python version into the binary one that training reads', async () => {
    const { out, findings, written } = await prepared('cifar10', python10)
    const train = await readCifar('cifar10', out, 'train')
    expect([...train.labels]).toEqual([3, 9, 0])
    expect(train.classes).toEqual(names10)
    const planes = pixels(2)
    expect([...train.image(2).data.subarray(0, 6)]).toEqual(
      [0, 1024, 2048, 1, 1025, 2049].map((i) => planes[i]),
    )
    expect([...(await readCifar('cifar10', out, 'val')).labels]).toEqual([7])
    expect(findings).toContain('missing data_batch_3.bin: neither it nor the pickle data_batch_3 is there')
    expect(findings).toContain('ignored data_batch_1.bin: has 2 images, not 10000; they are taken')
    expect(written.lists.map(({ fingerprint }) => fingerprint.files)).toEqual([3, 1])
  })

  it('gives the same for either version, fingerprint included', async () => {
    const first = await prepared('cifar10', python10)
    const files = ['data_batch_1.bin', 'data_batch_2.bin', 'test_batch.bin', 'batches.meta.txt']
    const tree = Object.fromEntries(
      await Promise.all(files.map(async (name) => [name, await readFile(`${first.out}/${name}`)])),
    )
    const second = await prepared('cifar10', tree)
    expect(second.written.lists.map((each) => each.fingerprint)).toEqual(
      first.written.lists.map((each) => each.fingerprint),
    )
    for (const name of files) expect(await readFile(`${second.out}/${name}`)).toEqual(tree[name])
  })

  it('keeps both labels of CIFAR-100, and takes the fine one as the class', async () => {
    const batch = (fine: number, coarse: number) =>
      pickle(
        new Map<unknown, unknown>([
          ['fine_labels', [fine]],
          ['coarse_labels', [coarse]],
          ['data', array([5])],
        ]),
      )
    const { out } = await prepared('cifar100', {
      train: batch(99, 4),
      test: batch(1, 19),
      meta: pickle(new Map([['fine_label_names', Array.from({ length: 100 }, (_, i) => `f${i}`)]])),
    })
    const bytes = await readFile(`${out}/train.bin`)
    expect([bytes.length, bytes[0], bytes[1]]).toEqual([3074, 4, 99])
    expect([...(await readCifar('cifar100', out, 'val')).labels]).toEqual([1])
  })

  it('refuses labels out of range, other shapes, and pickles that name anything else, unrun', async () => {
    const tree = (name: string, content: Uint8Array | string): Tree => ({
      ...python10,
      [`cifar-10-batches-py/${name}`]: content,
    })
    expect(await refusal('cifar10', tree('data_batch_1', batch10([1, 10], 0)))).toMatch(
      /data_batch_1: image 1 has label 10; CIFAR-10 has 10 classes/,
    )
    expect(
      await refusal(
        'cifar10',
        tree(
          'test_batch',
          pickle(
            new Map<unknown, unknown>([
              ['labels', [1]],
              ['data', numpyArray('u1', [1, 2], new ByteString(Buffer.from('ab')), { order: '|' })],
            ]),
          ),
        ),
      ),
    ).toMatch(/not bytes \[N, 3072\]/)
    const evil = pickle(
      new Map([
        ['labels', new Call(new Global('posix', 'system'), [`touch ${folder.path('evil')}`], new Tuple())],
      ]),
    )
    expect(await refusal('cifar10', tree('data_batch_1', evil))).toMatch(
      /data_batch_1: its pickle names "posix\.system"/,
    )
    await expect(readFile(folder.path('evil'))).rejects.toThrow()
    expect(await refusal('cifar10', { 'test_batch.bin': Buffer.alloc(3073) })).toMatch(
      /has no training images of CIFAR-10/,
    )
    expect(await refusal('cifar10', { 'data_batch_1.bin': Buffer.alloc(3074) })).toMatch(
      /not records of 3073|which are not records/,
    )
  })
})
