/**
 * CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in either version: the binary one is what training reads; the Python one,
 * pickles of NumPy arrays, is turned into it. Pickles go through the restricted reader: nothing in them is run.
 */
import { basename } from 'node:path'
import { NumpyArray } from '../../checkpoints/torch/numpy.ts'
import { readPickle } from '../../checkpoints/torch/pickle.ts'
import { isDictionary } from '../../checkpoints/torch/values.ts'
import { MnVideoError } from '../../errors.ts'
import { fingerprintOfImages } from '../sets/cifar.ts'
import { findAnnotations, readBytes, readLines, requireFolder } from './files.ts'
import type { Finding, Prepared, Recipe } from './recipe.ts'

const PIXEL_BYTES = 3 * 32 * 32

interface Version {
  readonly name: 'cifar10' | 'cifar100'
  readonly title: string
  readonly classes: number
  /** Bytes of labels before the pixels; the last one is the class. */
  readonly labelBytes: 1 | 2
  /** Images of each binary file, by its name. */
  readonly files: Readonly<Record<string, number>>
  /** The pickle that each file is made of. */
  readonly pickles: Readonly<Record<string, string>>
  /** Text files of names beside the binary ones, and the key of each in the pickled meta file. */
  readonly names: Readonly<Record<string, string>>
  readonly meta: string
  readonly archive: string
}

const trainBatches = [1, 2, 3, 4, 5].map((n) => `data_batch_${n}`)
const VERSIONS: readonly Version[] = [
  {
    name: 'cifar10',
    title: 'CIFAR-10',
    classes: 10,
    labelBytes: 1,
    files: Object.fromEntries([...trainBatches, 'test_batch'].map((name) => [`${name}.bin`, 10_000])),
    pickles: Object.fromEntries([...trainBatches, 'test_batch'].map((name) => [`${name}.bin`, name])),
    names: { 'batches.meta.txt': 'label_names' },
    meta: 'batches.meta',
    archive: 'cifar-10',
  },
  {
    name: 'cifar100',
    title: 'CIFAR-100',
    classes: 100,
    labelBytes: 2,
    files: { 'train.bin': 50_000, 'test.bin': 10_000 },
    pickles: { 'train.bin': 'train', 'test.bin': 'test' },
    names: { 'fine_label_names.txt': 'fine_label_names', 'coarse_label_names.txt': 'coarse_label_names' },
    meta: 'meta',
    archive: 'cifar-100',
  },
]

export const cifar: readonly Recipe[] = VERSIONS.map((version) => ({
  name: version.name,
  title: version.title,
  page: 'https://www.cs.toronto.edu/~kriz/cifar.html',
  layout: [
    `FOLDER/   (${version.archive}-binary.tar.gz or ${version.archive}-python.tar.gz, unpacked; a folder above it will do)`,
    `  ${Object.keys(version.files).join(', ')}, ${Object.keys(version.names).join(', ')}`,
    `  or ${Object.values(version.pickles).join(', ')}, ${version.meta}`,
  ].join('\n'),
  note: 'OUT gets the binary version, which training reads: give it as dataset_dir.',
  prepare: (folder) => prepare(folder, version),
}))

async function prepare(folder: string, version: Version): Promise<Prepared> {
  await requireFolder(folder)
  const findings: Finding[] = []
  const extra = new Map<string, Uint8Array>()
  const seen = { train: 0, val: 0 }
  for (const [file, images] of Object.entries(version.files)) {
    const bytes =
      (await binary(folder, file, version)) ?? (await pickled(folder, version.pickles[file]!, version))
    if (!bytes) {
      findings.push({
        kind: 'missing',
        what: file,
        why: `neither it nor the pickle ${version.pickles[file]} is there`,
      })
      continue
    }
    const found = bytes.length / (version.labelBytes + PIXEL_BYTES)
    if (found !== images)
      findings.push({
        kind: 'ignored',
        what: file,
        why: `has ${found} images, not ${images}; they are taken`,
      })
    seen[file.startsWith('test') ? 'val' : 'train'] += found
    extra.set(file, bytes)
  }
  if (seen.train === 0 || seen.val === 0) {
    const lacking = seen.train === 0 ? 'training' : 'test'
    throw new MnVideoError(
      'data',
      `${folder}: has no ${lacking} images of ${version.title} (looked for ${Object.keys(version.files).join(', ')} and the pickles ${Object.values(version.pickles).join(', ')}).`,
    )
  }
  for (const [file, key] of Object.entries(version.names)) {
    const names = await namesOf(folder, file, key, version)
    extra.set(file, Buffer.from(`${names.join('\n')}\n`))
  }
  const classes = extra.get(Object.keys(version.names)[0]!)!
  const filesNamed = (form: RegExp) => [...extra].flatMap(([name, bytes]) => (form.test(name) ? [bytes] : []))
  return {
    classes: Buffer.from(classes).toString('utf8').trimEnd().split('\n'),
    splits: [],
    findings,
    extra,
    fingerprints: {
      train: fingerprintOfImages(filesNamed(/^(?:data_batch_\d|train)\.bin$/), version.labelBytes),
      val: fingerprintOfImages(filesNamed(/^test.*\.bin$/), version.labelBytes),
    },
  }
}

/** A binary file, its records checked; undefined where there is none. */
async function binary(folder: string, name: string, version: Version): Promise<Buffer | undefined> {
  const path = await fileNamed(folder, name)
  if (!path) return undefined
  const bytes = await readBytes(path)
  const record = version.labelBytes + PIXEL_BYTES
  if (bytes.length === 0 || bytes.length % record !== 0) {
    throw new MnVideoError(
      'data',
      `${path}: has ${bytes.length} bytes, which are not records of ${record}. Unpack ${version.archive}-binary.tar.gz again.`,
    )
  }
  for (let at = version.labelBytes - 1, image = 0; at < bytes.length; at += record, image++) {
    requireLabel(bytes[at]!, path, image, version)
  }
  return bytes
}

/** A pickled batch in the layout of the binary version. */
async function pickled(folder: string, name: string, version: Version): Promise<Uint8Array | undefined> {
  const path = await fileNamed(folder, name)
  if (!path) return undefined
  const batch = await unpickled(path)
  const data = batch.get('data')
  const tensor = data instanceof NumpyArray ? data.tensor : undefined
  const columns = version.labelBytes === 1 ? ['labels'] : ['coarse_labels', 'fine_labels']
  const labels = columns.map((key) => batch.get(key))
  const fail = (what: string) =>
    new MnVideoError('data', `${path}: ${what}. Is it a batch of the Python version of ${version.title}?`)
  if (!tensor) throw fail('has no array "data"')
  const { dtype, shape, data: pixels } = tensor.read()
  const [images, width] = shape
  if (dtype !== 'U8' || shape.length !== 2 || width !== PIXEL_BYTES || !images) {
    throw fail(`"data" has type ${dtype} and shape [${shape}], not bytes [N, ${PIXEL_BYTES}]`)
  }
  const record = version.labelBytes + PIXEL_BYTES
  const bytes = new Uint8Array(images * record)
  for (const [column, values] of labels.entries()) {
    if (!Array.isArray(values) || values.length !== images)
      throw fail(`"${columns[column]}" is not a list of ${images} labels`)
    for (const [image, value] of values.entries()) {
      const label = Number.isInteger(value) && value >= 0 && value < 256 ? value : 256
      if (column === version.labelBytes - 1) requireLabel(label, path, image, version)
      bytes[image * record + column] = label
    }
  }
  for (let image = 0; image < images; image++) {
    const from = image * PIXEL_BYTES
    bytes.set((pixels as Uint8Array).subarray(from, from + PIXEL_BYTES), image * record + version.labelBytes)
  }
  return bytes
}

function requireLabel(label: number, path: string, image: number, { classes, title }: Version): void {
  if (label < classes) return
  throw new MnVideoError(
    'data',
    `${path}: image ${image} has label ${label}; ${title} has ${classes} classes, from 0.`,
  )
}

async function namesOf(folder: string, file: string, key: string, version: Version): Promise<string[]> {
  const text = await fileNamed(folder, file)
  if (text) return (await readLines(text)).map((line) => line.text)
  const path = await fileNamed(folder, version.meta)
  const names = path ? (await unpickled(path)).get(key) : undefined
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names
  const count = file.startsWith('coarse') ? 20 : version.classes
  return Array.from({ length: count }, (_, i) => `class ${i}`)
}

/** The dictionary of a pickle, keys as text: Python 3 writes them as bytes. */
async function unpickled(path: string): Promise<ReadonlyMap<string, unknown>> {
  const fail = (what: string) => new MnVideoError('data', `${path}: ${what}.`)
  const { value } = readPickle(await readBytes(path), 0, { fail })
  if (!isDictionary(value)) throw fail('is not a pickled dictionary')
  return new Map(
    [...value].map(([key, each]) => [textOf(key), Array.isArray(each) ? each.map(asText) : each]),
  )
}

const asText = (value: unknown): unknown => (value instanceof Uint8Array ? textOf(value) : value)
const textOf = (value: unknown): string =>
  value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value)

async function fileNamed(folder: string, name: string): Promise<string | undefined> {
  const found = await findAnnotations([folder], new RegExp(`^${name.replaceAll('.', '\\.')}$`))
  return found.find((path) => basename(path) === name)
}
