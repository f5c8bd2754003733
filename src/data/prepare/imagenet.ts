/**
 * ImageNet-1k (ILSVRC 2012): training images in folders named after WordNet ids (`n01440764`). Validation images come
 * flat, and which class each has stands in a file; several forms of it are in use and read here. Labels are the
 * sorted WordNet ids: not the owner's numbers, which are in another order.
 */
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { labelFile } from '../../config/labels.ts'
import { MnVideoError } from '../../errors.ts'
import type { LabelledFile } from '../curation/fingerprint.ts'
import { mediaBelow } from '../curation/gather.ts'
import { linesOf } from '../sets/folders.ts'
import { isClear } from '../sets/media.ts'
import { findAnnotations, readBytes, readLines, readText, requireFolder, stemOf } from './files.ts'
import { byCodePoints } from './kinetics.ts'
import { readMatFile } from './mat-file.ts'
import type { Finding, Prepared, PrepareOptions, Recipe } from './recipe.ts'

export const imagenet: Recipe = {
  name: 'imagenet',
  title: 'ImageNet-1k (ILSVRC 2012)',
  page: 'https://www.image-net.org/download.php',
  layout: [
    'FOLDER/',
    '  train/n01440764/n01440764_10026.JPEG …        each class unpacked from its .tar',
    '  val/n01440764/ILSVRC2012_val_00000293.JPEG …  or flat, val/ILSVRC2012_val_00000293.JPEG, and one of',
    '    ILSVRC2012_validation_ground_truth.txt and meta.mat (devkit, data/)',
    '    LOC_val_solution.csv                        (Kaggle)',
    '    imagenet_2012_validation_synset_labels.txt  (WordNet ids, one a line)',
    '    val.txt                                     (Caffe: "NAME LABEL", labels by sorted WordNet id, from 0)',
  ].join('\n'),
  note: 'Labels are sorted WordNet ids, as PyTorch has them; the devkit numbers classes otherwise and is translated.',
  prepare,
}

const VALIDATION = 'ILSVRC2012_val_'

async function prepare(folder: string, { annotations }: PrepareOptions): Promise<Prepared> {
  await requireFolder(folder)
  const findings: Finding[] = []
  const training = await firstFolder(folder, ['train', 'ILSVRC2012_img_train', 'ILSVRC/Data/CLS-LOC/train'])
  const validation = await firstFolder(folder, ['val', 'ILSVRC2012_img_val', 'ILSVRC/Data/CLS-LOC/val'])
  if (!training) {
    throw new MnVideoError(
      'data',
      `${folder}: has no folder train with a folder per class (n01440764, …). Unpack ILSVRC2012_img_train.tar and the .tar of each class there.`,
    )
  }
  const wordnet = (await readdir(training)).filter((name) => /^n\d{8}$/.test(name)).sort(byCodePoints)
  const labels = new Map(wordnet.map((name, label) => [name, label]))
  if (wordnet.length !== 1000) {
    findings.push({ kind: 'ignored', what: training, why: `${wordnet.length} class folders, not 1000` })
  }
  const lists: Record<string, LabelledFile[]> = { train: await byFolder(training, labels, findings) }
  if (validation) lists.val = await validationOf(validation, annotations ?? folder, labels, findings)
  else findings.push({ kind: 'missing', what: 'val', why: 'there is no folder of validation images' })
  for (const [name, list] of Object.entries(lists)) {
    if (list.length > 0) continue
    const first = findings.find(({ kind }) => kind !== 'ignored')
    throw new MnVideoError(
      'data',
      `${folder}: has no image for ${name}${first ? ` (${first.what}: ${first.why})` : ''}.`,
    )
  }
  return { classes: await namesOf(wordnet), splits: [{ name: '', lists }], findings }
}

/** English names where all thousand classes are there, else the ids. */
async function namesOf(wordnet: readonly string[]): Promise<string[]> {
  if (wordnet.length !== 1000) return [...wordnet]
  const names = linesOf(await readText(labelFile('imagenet1k')))
  // A few English names stand for two classes; class names must tell all apart.
  return names.map((name, i) =>
    names.indexOf(name) === names.lastIndexOf(name) ? name : `${name} (${wordnet[i]})`,
  )
}

async function byFolder(
  folder: string,
  labels: ReadonlyMap<string, number>,
  findings: Finding[],
): Promise<LabelledFile[]> {
  const files: LabelledFile[] = []
  for (const path of await mediaBelow(folder, 'image')) {
    const label = labels.get(basename(dirname(path)))
    if (label !== undefined && dirname(dirname(path)) === folder) files.push({ path, label })
    else findings.push({ kind: 'extra', what: path, why: 'does not lie in a class folder' })
  }
  return files
}

async function validationOf(
  folder: string,
  annotations: string,
  labels: ReadonlyMap<string, number>,
  findings: Finding[],
): Promise<LabelledFile[]> {
  const paths = await mediaBelow(folder, 'image')
  const outside = paths.filter((path) => !labels.has(basename(dirname(path))))
  if (isClear(outside.length, paths.length)) return byFolder(folder, labels, findings)
  const truth = await groundTruth([annotations, folder], labels)
  const files: LabelledFile[] = []
  const found = new Set<string>()
  for (const path of paths) {
    const name = stemOf(path)
    const label = truth.get(name)
    if (label === undefined)
      findings.push({ kind: 'extra', what: path, why: 'the ground truth does not name it' })
    else if (found.has(name))
      findings.push({ kind: 'repeated', what: path, why: 'another file of this name is taken' })
    else {
      found.add(name)
      files.push({ path, label })
    }
  }
  for (const name of truth.keys()) {
    if (!found.has(name))
      findings.push({ kind: 'missing', what: name, why: 'in the ground truth, but not there' })
  }
  return files
}

/** The label of each validation image by its name without extension, from whichever file there is. */
async function groundTruth(
  places: readonly string[],
  labels: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, number>> {
  const find = async (form: RegExp) => (await findAnnotations(places, form))[0]
  const numbered = (
    rows: readonly { text: string; line: number }[],
    labelOf: (text: string) => number | undefined,
    file: string,
  ) =>
    new Map(
      rows.map(({ text, line }, i) => {
        const label = labelOf(text)
        if (label === undefined) {
          throw new MnVideoError(
            'data',
            `${file}:${line}: ${JSON.stringify(text.slice(0, 40))} is none of the ${labels.size} classes.`,
          )
        }
        return [`${VALIDATION}${String(i + 1).padStart(8, '0')}`, label] as const
      }),
    )

  const owner = await find(/^ILSVRC2012_validation_ground_truth\.txt$/)
  const meta = await find(/^meta\.mat$/)
  if (owner && meta) {
    const wordnet = await idsOf(meta)
    return numbered(await readLines(owner), (text) => labels.get(wordnet.get(Number(text)) ?? ''), owner)
  }
  const synsets = await find(/^imagenet_2012_validation_synset_labels\.txt$/)
  if (synsets) return numbered(await readLines(synsets), (text) => labels.get(text), synsets)
  const kaggle = await find(/^LOC_val_solution\.csv$/)
  if (kaggle) {
    const rows = (await readLines(kaggle)).flatMap(({ text }) => {
      const match = /^([^,]+),\s*(n\d{8})\b/.exec(text)
      const label = match && labels.get(match[2]!)
      return match && label != null ? [[match[1]!, label] as const] : []
    })
    return new Map(rows)
  }
  const caffe = await find(/^val\.txt$/)
  if (caffe) {
    const rows = (await readLines(caffe)).map(({ text, line }) => {
      const match = /^(\S+?)(?:\.\w+)?\s+(\d+)$/.exec(text)
      if (match && Number(match[2]) < labels.size) return [basename(match[1]!), Number(match[2])] as const
      throw new MnVideoError(
        'data',
        `${caffe}:${line}: must be NAME and a label from 0 to ${labels.size - 1}. Labels by the devkit's numbers need its meta.mat and ground-truth file instead.`,
      )
    })
    return new Map(rows)
  }
  throw new MnVideoError(
    'data',
    owner
      ? `${owner}: has the devkit's numbers, and which classes they mean stands in meta.mat beside it (devkit, data/). Give both.`
      : `${places[0]}: the validation images lie flat, and no file says which class each has. Give ILSVRC2012_validation_ground_truth.txt and meta.mat from the devkit (--annotations DIR), or move the images into class folders.`,
  )
}

/** The devkit's numbers, from 1, to WordNet ids. */
async function idsOf(meta: string): Promise<ReadonlyMap<number, string>> {
  const synsets = readMatFile(await readBytes(meta), meta).get('synsets')
  const ids = new Map<number, string>()
  for (const synset of Array.isArray(synsets) ? synsets : []) {
    if (typeof synset !== 'object') continue
    const { ILSVRC2012_ID: number, WNID: id } = synset
    if (Array.isArray(number) && typeof number[0] === 'number' && typeof id === 'string')
      ids.set(number[0], id)
  }
  if (ids.size > 0) return ids
  throw new MnVideoError(
    'data',
    `${meta}: has no synsets with ILSVRC2012_ID and WNID. Give the meta.mat of the 2012 devkit.`,
  )
}

async function firstFolder(folder: string, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    if ((await stat(join(folder, name)).catch(() => undefined))?.isDirectory()) return join(folder, name)
  }
  return undefined
}
