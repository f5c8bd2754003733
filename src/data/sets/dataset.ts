/**
 * Data sets: labelled videos or images by number, whatever they lie in. Nothing is decoded here. A form on disk is one
 * file with a `DatasetFormat`, and a line in the table below.
 */
import { dirname } from 'node:path'
import { applyOverrides, type Config, givenKeysOf } from '../../config/index.ts'
import { MnVideoError } from '../../errors.ts'
import { isThere } from '../../files/exists.ts'
import { shownPath } from '../../files/media-file.ts'
import { cifar } from './cifar.ts'
import { classFolders } from './class-folders.ts'
import { CLASSES_FILE, readClassNames } from './folders.ts'
import type { Dataset, DatasetFormat, Place, Split } from './format.ts'
import { listed, openList } from './listed.ts'
import { describePassedOver } from './media.ts'

export type { Dataset, Split } from './format.ts'

/** The first that holds a split is what it is. */
const FORMATS: readonly DatasetFormat[] = [cifar, listed, classFolders]

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
  const { dataset_dir: folder, train_list: list } = config
  if (list !== '') return readClassNames(dirname(list))
  if (folder === '') return undefined
  const format = await formatOf(config, { folder, split: 'train' })
  if (format) return format.classNames(folder)
  return (await isThere(folder)) ? readClassNames(folder) : undefined
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
  const { dataset_dir: folder } = config
  if (config[`${split}_list`] !== '') return true
  if (folder === '') return false
  // A folder that is gone is an error of its own, not a split that nobody named.
  if (!(await isThere(folder))) return true
  return (await formatOf(config, { folder, split })) !== undefined
}

/** One split. A list given for it counts; else what dataset_dir has. */
export async function openDataset(config: Config, split: Split): Promise<Dataset> {
  const given = split === 'train' ? config.train_list : config.val_list
  if (given !== '') return openList(config, given)
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
  const format = await formatOf(config, { folder, split })
  if (format) return format.open(config, { folder, split })
  throw new MnVideoError(
    'data',
    `${folder}: has neither ${split}.csv nor a folder ${split} (dataset_dir). Expected ${split}/CLASS/FILE, or a list; or give ${split}_list: FILE.`,
  )
}

async function formatOf(config: Config, place: Place): Promise<DatasetFormat | undefined> {
  for (const format of FORMATS) if (await format.holds(config, place)) return format
  return undefined
}
