/**
 * UCF101 (Soomro et al. 2012): class folders of AVI files and three official splits. The owner's labels start at 1;
 * here they start at 0.
 */
import { join } from 'node:path'
import { MnVideoError } from '../../errors.ts'
import type { LabelledFile } from '../curation/fingerprint.ts'
import { Annotated, FileTable, findAnnotation, readLines, requireFolder, requireSome } from './files.ts'
import type { Finding, Prepared, PreparedSplit, PrepareOptions, Recipe } from './recipe.ts'

export const ucf101: Recipe = {
  name: 'ucf101',
  title: 'UCF101',
  page: 'https://www.crcv.ucf.edu/data/UCF101.php',
  layout: [
    'FOLDER/',
    '  UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi …',
    '  ucfTrainTestlist/classInd.txt, trainlist01.txt … 03, testlist01.txt … 03',
  ].join('\n'),
  note: 'Lists of the three splits go to OUT/split1, split2 and split3. Clips of one group (g01) stay on one side of each.',
  prepare,
}

async function prepare(folder: string, { annotations }: PrepareOptions): Promise<Prepared> {
  await requireFolder(folder)
  const places = [annotations ?? folder]
  const classFile = await findAnnotation(places, /^classInd\.txt$/i, 'classInd.txt')
  const classes = await classesOf(classFile)
  const labels = new Map(classes.map((name, label) => [name, label]))
  const table = await FileTable.of(folder, 'video')
  const findings: Finding[] = []
  const splits: PreparedSplit[] = []
  for (const number of [1, 2, 3]) {
    const annotated = new Annotated()
    const lists: Record<string, LabelledFile[]> = {}
    for (const [list, kind] of [
      ['train', 'train'],
      ['val', 'test'],
    ] as const) {
      const name = `${kind}list0${number}.txt`
      const file = await findAnnotation(places, new RegExp(`^${kind}list0?${number}\\.txt$`, 'i'), name)
      lists[list] = []
      for (const { text, line } of await readLines(file)) {
        // `ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1`; test lists leave the number out.
        const match = /^(.+?)[/\\]([^/\\]+)\.\w+(?:\s+(\d+))?$/.exec(text)
        const label = match ? labels.get(match[1]!) : undefined
        if (!match || label === undefined) {
          const why = match ? `${match[1]} is no class of classInd.txt` : 'is not CLASS/FILE'
          findings.push({ kind: 'ignored', what: `${name}:${line}`, why })
          continue
        }
        if (match[3] !== undefined && Number(match[3]) !== label + 1) {
          throw new MnVideoError(
            'data',
            `${file}:${line}: ${match[1]} has number ${match[3]} here, but ${label + 1} in classInd.txt. Take both from one download.`,
          )
        }
        if (!annotated.isNew(match[2]!, `${match[1]} (${list} of split ${number})`)) continue
        const path = table.take(match[2]!, match[1])
        if (path !== undefined) lists[list].push({ path, label })
      }
    }
    findings.push(...annotated.findings)
    splits.push({ name: `split${number}`, lists })
  }
  table.reportExtra()
  const all = unique([...findings, ...table.findings])
  requireSome(splits.flatMap(({ lists }) => Object.values(lists).flat()).length, folder, all)
  return { classes, splits, findings: all }
}

/** `1 ApplyEyeMakeup`, from 1 without a gap. */
async function classesOf(file: string): Promise<string[]> {
  const lines = await readLines(file)
  return lines.map(({ text, line }, i) => {
    const match = /^(\d+)\s+(.+)$/.exec(text)
    if (match && Number(match[1]) === i + 1) return match[2]!
    throw new MnVideoError(
      'data',
      `${join(file)}:${line}: must be "${i + 1} CLASS", not ${JSON.stringify(text)}.`,
    )
  })
}

/** A file that is missing is so in all three splits, but is told once. */
export function unique(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((each) => [`${each.kind} ${each.what} ${each.why}`, each])).values()]
}
