/**
 * CIFAR-10 and CIFAR-100 in their binary versions (Krizhevsky 2009): records of one label byte (CIFAR-100: the
 * coarse label, then the fine one) and 32×32 bytes of red, then green, then blue.
 */
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MnVideoError, reasonOf } from '../../errors.ts'
import { readWhole } from '../../files/read.ts'
import type { FrameBatch } from '../../frames/batch.ts'
import type { Fingerprint } from '../curation/fingerprint.ts'
import { readClassNames } from './folders.ts'
import type { Dataset, DatasetFormat } from './format.ts'
import { byLabel } from './of-files.ts'

const SIDE = 32
const PIXELS = SIDE * SIDE

const LAYOUTS = {
  cifar10: {
    folder: 'cifar-10-batches-bin',
    train: /^data_batch_\d+\.bin$/,
    val: /^test_batch\.bin$/,
    labelBytes: 1,
    classes: 10,
    names: 'batches.meta.txt',
  },
  cifar100: {
    folder: 'cifar-100-binary',
    train: /^train\.bin$/,
    val: /^test\.bin$/,
    labelBytes: 2,
    classes: 100,
    names: 'fine_label_names.txt',
  },
} as const

export interface CifarImages {
  /** Where the files lie. */
  readonly folder: string
  readonly classes: readonly string[] | undefined
  readonly labels: Int32Array
  /** `test_batch.bin, image 17`, counted from 0 in each file. */
  name(index: number): string
  /** One frame of 32×32 bytes. */
  image(index: number): FrameBatch
  fingerprint(): Fingerprint
}

/** Training of CIFAR-100 in one file is 0.6 of this. */
const MAX_BYTES = 2 ** 28

/**
 * Reads one split into memory: every batch file that is there, in the order of their numbers.
 *
 * @throws MnVideoError 'data' naming the folder or file
 */
export async function readCifar(
  dataset: keyof typeof LAYOUTS,
  directory: string,
  split: 'train' | 'val',
): Promise<CifarImages> {
  const layout = LAYOUTS[dataset]
  const { folder, files } = await find(directory, layout.folder, layout[split])
  const record = layout.labelBytes + 3 * PIXELS
  const batches: { readonly file: string; readonly bytes: Uint8Array; readonly first: number }[] = []
  let count = 0
  for (const file of files) {
    const path = join(folder, file)
    const bytes = await readWhole(path, MAX_BYTES).catch((error: unknown) => {
      throw new MnVideoError('data', `${path}: cannot be read: ${reasonOf(error)}.`)
    })
    if (bytes.length === 0 || bytes.length % record !== 0) {
      throw new MnVideoError(
        'data',
        `${path}: has ${bytes.length} bytes, not a whole number of records of ${record}. Is it the binary version of ${dataset}, downloaded to its end?`,
      )
    }
    batches.push({ file, bytes, first: count })
    count += bytes.length / record
  }

  const locate = (index: number) => {
    const batch = batches.findLast(({ first }) => first <= index)!
    return { ...batch, within: index - batch.first, offset: (index - batch.first) * record }
  }
  const labels = Int32Array.from({ length: count }, (_, index) => {
    const { bytes, offset } = locate(index)
    return bytes[offset + layout.labelBytes - 1]!
  })
  const name = (index: number) => {
    const { file, within } = locate(index)
    return `${file}, image ${within}`
  }
  const wrong = labels.findIndex((label) => label >= layout.classes)
  if (wrong >= 0) {
    throw new MnVideoError(
      'data',
      `${join(folder, name(wrong))}: label ${labels[wrong]}, but ${dataset} has ${layout.classes} classes. The file is damaged or of another data set.`,
    )
  }
  return {
    folder,
    classes: await readClassNames(folder, layout.names),
    labels,
    name,
    image: (index) => {
      const { bytes, offset } = locate(index)
      const planes = bytes.subarray(offset + layout.labelBytes, offset + record)
      const data = new Uint8Array(3 * PIXELS)
      for (let i = 0; i < PIXELS; i++) {
        for (let c = 0; c < 3; c++) data[i * 3 + c] = planes[c * PIXELS + i]!
      }
      return { data, batch: 1, frames: 1, height: SIDE, width: SIDE }
    },
    fingerprint: () =>
      fingerprintOfImages(
        batches.map(({ bytes }) => bytes),
        layout.labelBytes,
      ),
  }
}

/** The fingerprint of batch files: the images themselves take the place of a list. */
export function fingerprintOfImages(batches: readonly Uint8Array[], labelBytes: number): Fingerprint {
  const hash = createHash('sha256')
  const labels = new Set<number>()
  const record = labelBytes + 3 * PIXELS
  let images = 0
  for (const bytes of batches) {
    hash.update(bytes)
    images += bytes.length / record
    for (let at = labelBytes - 1; at < bytes.length; at += record) labels.add(bytes[at]!)
  }
  return { files: images, classes: labels.size, sha256: hash.digest('hex'), sizes: { '32x32': images } }
}

/** The files of a split, in the folder itself or in the one that the archive unpacks to. */
async function find(
  directory: string,
  inside: string,
  form: RegExp,
): Promise<{ folder: string; files: string[] }> {
  for (const folder of [directory, join(directory, inside)]) {
    const names = await readdir(folder).catch(() => [])
    const files = names.filter((name) => form.test(name)).sort()
    if (files.length > 0) return { folder, files }
  }
  const expected = form.source.replace(/[\^$\\]/g, '').replace('d+', 'N')
  throw new MnVideoError(
    'data',
    `${directory}: has no ${expected}, directly or in ${inside}. Give dataset_dir: the folder of the binary version's files.`,
  )
}

const isCifar = (dataset: string): dataset is keyof typeof LAYOUTS => Object.hasOwn(LAYOUTS, dataset)

/** CIFAR's binary files as a data set: all of a split in memory. A folder is taken to be it where the configuration says so. */
export const cifar: DatasetFormat = {
  holds: async ({ dataset }) => isCifar(dataset),
  async open({ dataset }, { folder: directory, split }): Promise<Dataset> {
    if (!isCifar(dataset)) throw new Error(`${dataset} is not CIFAR`)
    const images = await readCifar(dataset, directory, split)
    const { folder, classes, labels } = images
    return {
      media: 'image',
      size: labels.length,
      ...(classes && { classes }),
      origin: folder,
      passedOver: [],
      label: (index) => labels[index]!,
      name: images.name,
      source: images.image,
      indicesOf: byLabel(labels),
      fingerprint: async () => images.fingerprint(),
      identity: async () => images.fingerprint().sha256.slice(0, 16),
    }
  },
  classNames: async () => undefined,
}
