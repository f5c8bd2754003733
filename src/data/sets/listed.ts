/** Lists as a data set: `train.csv` and `val.csv` of a folder, or any two files. */
import { dirname, join } from 'node:path'
import type { Config } from '../../config/index.ts'
import { MnVideoError } from '../../errors.ts'
import { isThere } from '../../files/exists.ts'
import { CLASSES_FILE, readClassNames } from './folders.ts'
import type { Dataset, DatasetFormat, Place } from './format.ts'
import { readListOf, readListText } from './lists.ts'
import { isMultiLabelText, readMultiLabelText } from './multi-label-lists.ts'
import { datasetOf, mediaOf, requireClasses } from './of-files.ts'

const listIn = ({ folder, split }: Place): string => join(folder, `${split}.csv`)

export const listed: DatasetFormat = {
  holds: (_, place) => isThere(listIn(place)),
  open: (config, place) => openList(config, listIn(place)),
  classNames: readClassNames,
}

/** The data set that a list is. */
export async function openList(config: Config, list: string): Promise<Dataset> {
  const root = config.list_root === '' ? {} : { root: config.list_root }
  const classes = await readClassNames(dirname(list))
  if (classes) requireClasses(config, classes.length, join(dirname(list), CLASSES_FILE))
  const text = await readListText(list)
  const options = { ...root, classes: config.num_classes }
  const entries = isMultiLabelText(text)
    ? readMultiLabelText(text, list, options)
    : readListOf(text, list, options)
  await requireSome(list, root.root ?? dirname(list), entries)
  return datasetOf(entries, {
    media: mediaOf(config),
    origin: list,
    passedOver: [],
    ...(classes && { classes }),
  })
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
