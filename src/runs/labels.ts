/** Class names: from a text file with one name a line, or kept with a run. */
import { join } from 'node:path'
import { type Config, isPackagedLabels, labelFile } from '../config/index.ts'
import { CLASSES_FILE, linesOf } from '../data/sets/folders.ts'
import { MnVideoError, reasonOf } from '../errors.ts'
import { isThere } from '../files/exists.ts'
import { shownPath } from '../files/media-file.ts'
import { readText } from '../files/read.ts'
import { writeAtomically } from '../files/write.ts'

const MAX_BYTES = 16 * 2 ** 20

/**
 * The names of a model's classes: those of a file or of a list that comes with the program (`kinetics400`);
 * `class 0`, `class 1`, … where none is given.
 */
export async function labelsOf(labels: string, classes: number): Promise<readonly string[]> {
  return labels === '' ? numbered(classes) : readLabels(labelFile(labels), classes)
}

const numbered = (classes: number): readonly string[] =>
  Array.from({ length: classes }, (_, index) => `class ${index}`)

/**
 * The names of a run's classes: of the file that its `labels` names, of its data set, or of the list of the program that
 * `labels` names, where that list has as many; `class 0`, `class 1`, … where none are known.
 *
 * @throws MnVideoError `config` or `data` for a file that does not fit the network
 */
export async function labelsOfRun(
  folder: string,
  { labels, num_classes: classes }: Config,
): Promise<readonly string[]> {
  const kept = await keptLabels(folder)
  if (kept && kept.length !== classes) {
    throw new MnVideoError(
      'run',
      `${shownPath(join(folder, CLASSES_FILE))}: has ${kept.length} class names, but the model has ${classes} classes. Correct or remove it.`,
    )
  }
  const isFile = labels !== '' && !isPackagedLabels(labels)
  // A run that was taken elsewhere than the file of its labels has the names that it was made with.
  if (isFile && !(kept && !(await isThere(labels)))) return readLabels(labels, classes)
  if (kept) return kept
  const packaged = await packagedLabels(labels, classes)
  return packaged ?? numbered(classes)
}

/** The names of a list that comes with the program, where it has so many: a recipe's stays when the classes are others. */
async function packagedLabels(labels: string, classes: number): Promise<readonly string[] | undefined> {
  if (!isPackagedLabels(labels)) return undefined
  const names = await namesIn(labelFile(labels))
  return names.length === classes ? names : undefined
}

/**
 * The names that a run keeps: of the file that its `labels` names, else of its data, unless they are those of the list
 * of the program that belongs to the data set.
 *
 * @param data the names that the data set has
 * @throws MnVideoError `config` for a file of labels that has another number of names
 */
export async function labelsToKeep(
  { labels, dataset, num_classes: classes }: Config,
  data: readonly string[] | undefined,
): Promise<readonly string[] | undefined> {
  if (labels !== '' && !isPackagedLabels(labels)) return readLabels(labels, classes)
  if (labels === dataset && (await packagedLabels(labels, classes))) return undefined
  return data?.length === classes ? data : undefined
}

/** Why classes are called `class 0`, `class 1`, … though `labels` names a list; undefined where they are not. */
export async function labelsNote(
  { labels, num_classes: classes }: Config,
  kept: readonly string[] | undefined,
): Promise<string | undefined> {
  if (kept || !isPackagedLabels(labels) || (await packagedLabels(labels, classes))) return undefined
  return `labels: ${labels} has another number of names than the network has classes (${classes}), so they are called class 0, class 1, …; labels: FILE gives names`
}

/** The names that a run keeps; undefined where it has none. */
export async function keptLabels(folder: string): Promise<readonly string[] | undefined> {
  const file = join(folder, CLASSES_FILE)
  return (await isThere(file)) ? namesIn(file) : undefined
}

/**
 * Gives a run the names of its data's classes, where it has none yet.
 *
 * @throws MnVideoError `data` where it has others: the labels would mean other classes than those that it learned
 */
export async function adoptLabels(
  folder: string,
  config: Config,
  data: { readonly origin: string; readonly classes?: readonly string[] },
): Promise<void> {
  const names = await labelsToKeep(config, data.classes)
  if (!names || !data.classes) return
  const kept = await keptLabels(folder)
  if (!kept) return keepLabels(folder, names)
  const at = names === data.classes ? names.findIndex((name, label) => name.trim() !== kept[label]) : -1
  if (at < 0) return
  throw new MnVideoError(
    'data',
    `${shownPath(data.origin)}: its class ${at} is ${JSON.stringify(names[at])}, but that of ${shownPath(folder)} is ${JSON.stringify(kept[at])}. Give data whose classes are in the run's order (its ${CLASSES_FILE}).`,
  )
}

/** Keeps the names of a run's classes with it. */
export async function keepLabels(folder: string, names: readonly string[]): Promise<void> {
  const file = join(folder, CLASSES_FILE)
  await writeAtomically(file, [Buffer.from(`${names.join('\n')}\n`)]).catch((error: unknown) => {
    throw new MnVideoError('run', `${shownPath(file)}: cannot be written: ${reasonOf(error)}.`)
  })
}

/**
 * @returns one name per class, in label order
 * @throws MnVideoError `config` when the file cannot be read or has not exactly `classes` names
 */
export async function readLabels(file: string, classes: number): Promise<readonly string[]> {
  const names = await namesIn(file)
  if (names.length === classes) return names
  throw new MnVideoError(
    'config',
    `${shownPath(file)}: has ${names.length} class names, but the model has ${classes} classes. Give one name a line, in label order.`,
  )
}

async function namesIn(file: string): Promise<readonly string[]> {
  let text: string
  try {
    text = await readText(file, MAX_BYTES)
  } catch (error) {
    throw new MnVideoError(
      'config',
      `${shownPath(file)}: labels cannot be read: ${reasonOf(error)}. Give a text file with one class name a line.`,
    )
  }
  const names = linesOf(text)
  const blank = names.indexOf('')
  if (blank < 0) return names
  throw new MnVideoError(
    'config',
    `${shownPath(file)}: line ${blank + 1} has no class name. Give one name a line, in label order.`,
  )
}
