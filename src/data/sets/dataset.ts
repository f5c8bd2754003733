/**
 * Data sets: labelled videos or images by number, whatever they lie in — lists, a folder per class, CIFAR's
 * binary files. Nothing is decoded here.
 */
import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { applyOverrides, type Config, givenKeysOf, isVideo } from '../../config/index.ts'
import { MnVideoError } from '../../errors.ts'
import { shownPath } from '../../files/media-file.ts'
import type { FrameBatch } from '../../frames/batch.ts'
import {
  type Fingerprint,
  fingerprintOfList,
  identityOfFiles,
  type LabelledFile,
} from '../curation/fingerprint.ts'
import { readCifar } from './cifar.ts'
import { CLASSES_FILE, classFolders, readClassFolders, readClassNames } from './folders.ts'
import { readListOf, readListText } from './lists.ts'
import { describePassedOver, type PassedOver } from './media.ts'
import { isMultiLabelText, readMultiLabelText } from './multi-label-lists.ts'

export type Split = 'train' | 'val'

export interface Dataset {
  readonly media: 'video' | 'image'
  /** Samples, at least one. */
  readonly size: number
  /** Names in label order, where known. */
  readonly classes?: readonly string[]
  /** The folder or list that it was read from. */
  readonly origin: string
  /** Files of its folder that are no samples. */
  readonly passedOver: readonly PassedOver[]
  /** Of a sample with several labels the first; -1 of one with none. */
  label(index: number): number
  /** All labels of a sample, where samples have any number of them; absent where each has one. */
  labels?(index: number): readonly number[]
  /** For messages: a path, or `test_batch.bin, image 17`. */
  name(index: number): string
  /** A file, or an image in memory. */
  source(index: number): { readonly path: string } | FrameBatch
  /** All samples of a label, ascending. */
  indicesOf(label: number): readonly number[]
  /** Tells these samples from others, wherever they lie. No file is opened but the one that a check left beside a list. */
  fingerprint(): Promise<Fingerprint>
  /** Tells these samples in this order from others and from what they were, by the state of every file. */
  identity(): Promise<string>
}

/**
 * The two splits that a configuration names, to train on.
 *
 * @throws MnVideoError 'data' naming the folder, list or file and the way out, also for samples with any number of labels
 */
export async function openDatasets(config: Config): Promise<{ train: Dataset; val: Dataset }> {
  const train = await openDataset(config, 'train')
  const val = await openDataset(config, 'val')
  requireSameClasses(train, val)
  const several = [train, val].find(({ labels }) => labels)
  if (!several) return { train, val }
  throw new MnVideoError(
    'data',
    `${shownPath(several.origin)}: its files have any number of labels (3;17;80), and training learns one of each.\nTrain such weights elsewhere and import them; mn-video test measures them on these lists.`,
  )
}

/**
 * The splits to test with: the training samples, which calibration draws from, only where the configuration names some.
 * Where the samples of either have any number of labels, those of validation do.
 *
 * @throws MnVideoError 'data' naming the folder, list or file and the way out
 */
export async function openTestDatasets(config: Config): Promise<{ train?: Dataset; val: Dataset }> {
  const val = await openDataset(config, 'val')
  if (!(await namesDataset(config, 'train'))) return { val }
  const train = await openDataset(config, 'train')
  requireSameClasses(train, val)
  if (!train.labels) return { train, val }
  return { train, val: { ...val, labels: val.labels ?? ((index) => [val.label(index)]) } }
}

/** Two lists with class names of their own must number them alike. */
function requireSameClasses(train: Dataset, val: Dataset): void {
  const [one, other] = [train.classes, val.classes]
  const at = one && other ? one.findIndex((name, label) => name !== other[label]) : -1
  if (at < 0 || !one || !other) return
  throw new MnVideoError(
    'data',
    `${shownPath(val.origin)}: its class ${at} is ${JSON.stringify(other[at])}, that of ${shownPath(train.origin)} ${JSON.stringify(one[at])}. Both need the same ${CLASSES_FILE}.`,
  )
}

/**
 * The names of a configuration's classes in label order, where its data have them: `classes.txt` beside the training list
 * or in the data set's folder, else the training folders. Undefined where they have none, or are not there.
 */
export async function classNamesOf(config: Config): Promise<readonly string[] | undefined> {
  const { dataset, dataset_dir: folder, train_list: list } = config
  if (list !== '') return readClassNames(dirname(list))
  if (folder === '' || dataset.startsWith('cifar') || !(await isThere(folder))) return undefined
  const training = join(folder, 'train')
  const hasFolders = !(await isThere(`${training}.csv`)) && (await isThere(training))
  return (await readClassNames(folder)) ?? (hasFolders ? classFolders(training) : undefined)
}

/** A configuration with the number of classes of its own data (`dataset: folder`), where it was not given one. */
export async function withClassesOfData(config: Config): Promise<Config> {
  if (config.dataset !== 'folder' || givenKeysOf(config).includes('num_classes')) return config
  const names = await classNamesOf(config)
  return names ? applyOverrides(config, [`num_classes=${names.length}`]) : config
}

/** What is passed over in the folders of two splits, a line each; none for lists. */
export function passedOverLines(datasets: readonly Dataset[]): string[] {
  return datasets.flatMap(({ origin, passedOver }) =>
    passedOver.length > 0 ? [`${shownPath(origin)}: ${describePassedOver(passedOver)}`] : [],
  )
}

/** Whether the configuration names a split, by a list or in its dataset_dir; what it names may still be damaged. */
async function namesDataset(config: Config, split: Split): Promise<boolean> {
  const { dataset_dir: folder, dataset } = config
  if (config[`${split}_list`] !== '') return true
  if (folder === '') return false
  // A folder that is gone is an error of its own, not a split that nobody named.
  if (dataset.startsWith('cifar') || !(await isThere(folder))) return true
  return (await isThere(join(folder, `${split}.csv`))) || (await isThere(join(folder, split)))
}

/** One split. A list given for it counts; else it is what dataset_dir has: `SPLIT.csv`, or `SPLIT/CLASS/FILE`. */
export async function openDataset(config: Config, split: Split): Promise<Dataset> {
  const given = split === 'train' ? config.train_list : config.val_list
  if (given !== '') return fromList(config, given)
  const { dataset, dataset_dir: folder } = config
  if (folder === '') {
    const key = `${split}_list`
    throw new MnVideoError(
      'data',
      `${dataset}: where does it lie? Give dataset_dir: FOLDER${dataset.startsWith('cifar') ? '' : `, or ${key}: FILE`}.`,
    )
  }
  if (!(await isThere(folder))) {
    throw new MnVideoError(
      'data',
      `${folder}: no such folder (dataset_dir). Give the folder of the data set (dataset: ${dataset}).`,
    )
  }
  if (dataset === 'cifar10' || dataset === 'cifar100') return fromCifar(dataset, folder, split)
  const list = join(folder, `${split}.csv`)
  if (await isThere(list)) return fromList(config, list)
  if (await isThere(join(folder, split))) return fromFolders(config, folder, split)
  throw new MnVideoError(
    'data',
    `${folder}: has neither ${split}.csv nor a folder ${split} (dataset_dir). Expected ${split}/CLASS/FILE, or a list; or give ${split}_list: FILE.`,
  )
}

async function fromList(config: Config, list: string): Promise<Dataset> {
  const root = config.list_root === '' ? {} : { root: config.list_root }
  const classes = await readClassNames(dirname(list))
  if (classes) requireClasses(config, classes.length, join(dirname(list), CLASSES_FILE))
  const text = await readListText(list)
  const options = { ...root, classes: config.num_classes }
  const entries = isMultiLabelText(text)
    ? readMultiLabelText(text, list, options)
    : readListOf(text, list, options)
  await requireSome(list, root.root ?? dirname(list), entries)
  return dataset(entries, {
    media: mediaOf(config),
    origin: list,
    passedOver: [],
    ...(classes && { classes }),
  })
}

async function fromFolders(config: Config, folder: string, split: Split): Promise<Dataset> {
  const origin = join(folder, split)
  // Both splits number classes alike, also where the validation set lacks one.
  const training = join(folder, 'train')
  const classes =
    (await readClassNames(folder)) ?? (await classFolders((await isThere(training)) ? training : origin))
  requireClasses(config, classes.length, training)
  const media = mediaOf(config)
  const { entries, passedOver } = await readClassFolders(origin, { media, classes, everyClass: true })
  return dataset(entries, { media, origin, passedOver, classes })
}

async function fromCifar(name: 'cifar10' | 'cifar100', directory: string, split: Split): Promise<Dataset> {
  const images = await readCifar(name, directory, split)
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
}

function dataset(
  entries: readonly LabelledFile[],
  facts: Pick<Dataset, 'media' | 'origin' | 'passedOver' | 'classes'>,
): Dataset {
  // Two flat lists: a million objects would take twice the memory.
  const paths = entries.map(({ path }) => path)
  const labels = Int32Array.from(entries, ({ label }) => [label].flat()[0] ?? -1)
  const sets = entries.some(({ label }) => typeof label !== 'number')
    ? entries.map(({ label }) => [label].flat())
    : undefined
  const files = () => paths.map((path, index) => ({ path, label: sets?.[index] ?? labels[index]! }))
  return {
    ...facts,
    size: paths.length,
    label: (index) => labels[index]!,
    ...(sets && { labels: (index: number) => sets[index]! }),
    name: (index) => paths[index]!,
    source: (index) => ({ path: paths[index]! }),
    indicesOf: byLabel(labels),
    fingerprint: () => fingerprintOfList(facts.origin, files()),
    identity: () => identityOfFiles(files()),
  }
}

/** Samples by label, gathered when first asked for. */
function byLabel(labels: Int32Array): (label: number) => readonly number[] {
  let indices: Map<number, number[]> | undefined
  return (label) => {
    if (!indices) {
      indices = new Map()
      for (const [index, each] of labels.entries()) {
        const known = indices.get(each)
        if (known) known.push(index)
        else indices.set(each, [index])
      }
    }
    return indices.get(label) ?? []
  }
}

function requireClasses(config: Config, found: number, where: string): void {
  if (found === config.num_classes) return
  throw new MnVideoError(
    'data',
    `${where}: has ${found} classes, but num_classes is ${config.num_classes}. Give num_classes: ${found}, or another data set.`,
  )
}

/** A list whose paths start from the wrong folder is found out before training, not one bad file after another. */
async function requireSome(
  list: string,
  root: string,
  entries: readonly { readonly path: string }[],
): Promise<void> {
  const tries = Math.min(8, entries.length)
  for (let i = 0; i < tries; i++) {
    if (await isThere(entries[Math.floor((i * entries.length) / tries)]!.path)) return
  }
  throw new MnVideoError(
    'data',
    `${list}: none of the ${tries} files that were looked for is there; the first: ${entries[0]!.path}\nRelative paths are taken from ${root}. Give list_root: FOLDER for another, or correct the list.`,
  )
}

const mediaOf = (config: Config): Dataset['media'] => (isVideo(config.model) ? 'video' : 'image')

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
