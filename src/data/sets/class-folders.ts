/** Class folders as a data set: `train/CLASS/FILE` and `val/CLASS/FILE`. */
import { join } from 'node:path'
import type { Config } from '../../config/index.ts'
import { isThere } from '../../files/exists.ts'
import { classFolders as foldersIn, readClassFolders, readClassNames } from './folders.ts'
import type { Dataset, DatasetFormat, Place } from './format.ts'
import { datasetOf, mediaOf, requireClasses } from './of-files.ts'

export const classFolders: DatasetFormat = {
  holds: (_, { folder, split }) => isThere(join(folder, split)),
  open,
  async classNames(folder) {
    const training = join(folder, 'train')
    return (await readClassNames(folder)) ?? ((await isThere(training)) ? foldersIn(training) : undefined)
  },
}

async function open(config: Config, { folder, split }: Place): Promise<Dataset> {
  const origin = join(folder, split)
  // Both splits number classes alike, also where the validation set lacks one.
  const training = join(folder, 'train')
  const classes =
    (await readClassNames(folder)) ?? (await foldersIn((await isThere(training)) ? training : origin))
  requireClasses(config, classes.length, training)
  const media = mediaOf(config)
  const { entries, passedOver } = await readClassFolders(origin, { media, classes, everyClass: true })
  return datasetOf(entries, { media, origin, passedOver, classes })
}
