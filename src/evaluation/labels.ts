/** Class names, from a text file with one name a line. */
import { readFile, stat } from 'node:fs/promises'
import { labelFile } from '../config/index.ts'
import { MnVideoError, reasonOf } from '../errors.ts'

const MAX_BYTES = 16 * 2 ** 20

/**
 * The names of a model's classes: those of a file or of a list that comes with the program (`kinetics400`);
 * `class 0`, `class 1`, … where none is given.
 */
export async function labelsOf(labels: string, classes: number): Promise<readonly string[]> {
  if (labels !== '') return readLabels(labelFile(labels), classes)
  return Array.from({ length: classes }, (_, index) => `class ${index}`)
}

/**
 * @returns one name per class, in label order
 * @throws MnVideoError `config` when the file cannot be read or has not exactly `classes` names
 */
export async function readLabels(file: string, classes: number): Promise<readonly string[]> {
  let text: string
  try {
    if ((await stat(file)).size > MAX_BYTES) throw new Error('it is larger than 16 MiB')
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new MnVideoError(
      'config',
      `${file}: labels cannot be read: ${reasonOf(error)}. Give a text file with one class name a line.`,
    )
  }
  const names = text
    .replace(/^\uFEFF/, '')
    .trimEnd()
    .split(/\r?\n/)
  if (names.length !== classes) {
    throw new MnVideoError(
      'config',
      `${file}: has ${names.length} class names, but the model has ${classes} classes. Give one name a line, in label order.`,
    )
  }
  return names.map((name) => name.trim())
}
