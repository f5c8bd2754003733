/**
 * Charades (Sigurdsson et al. 2016): videos of several actions each. Its lists have any number of labels a line
 * (`path 3;17;80`) and are evaluated by mean average precision.
 */
import { MnVideoError } from '../../errors.ts'
import type { LabelledFile } from '../curation/fingerprint.ts'
import {
  Annotated,
  FileTable,
  findAnnotation,
  readLines,
  readTable,
  requireFolder,
  requireSome,
} from './files.ts'
import type { Finding, Prepared, PrepareOptions, Recipe } from './recipe.ts'

export const charades: Recipe = {
  name: 'charades',
  title: 'Charades',
  page: 'https://prior.allenai.org/projects/charades',
  layout: [
    'FOLDER/',
    '  Charades_v1_480/ID.mp4 …',
    '  Charades/Charades_v1_train.csv, Charades_v1_test.csv, Charades_v1_classes.txt',
  ].join('\n'),
  note: 'Multi-label: a line of its lists has all labels of a video, such as "ID.mp4 3;17;80", or "-" for none.',
  prepare,
}

async function prepare(folder: string, { annotations }: PrepareOptions): Promise<Prepared> {
  await requireFolder(folder)
  const places = [annotations ?? folder]
  const classFile = await findAnnotation(places, /^Charades_v\d_classes\.txt$/, 'Charades_v1_classes.txt')
  const { classes, labels } = await classesOf(classFile)
  const table = await FileTable.of(folder, 'video')
  const annotated = new Annotated()
  const findings: Finding[] = []
  const lists: Record<string, LabelledFile[]> = {}
  for (const [list, what] of [
    ['train', 'train'],
    ['val', 'test'],
  ] as const) {
    const name = `Charades_v1_${what}.csv`
    const file = await findAnnotation(places, new RegExp(`^Charades_v\\d_${what}\\.csv$`), name)
    lists[list] = []
    for (const row of await readTable(file, ['id', 'actions'])) {
      const id = row.get('id')
      if (id === '' || !annotated.isNew(id, list)) continue
      const found = new Set<number>()
      // `c092 11.90 21.20;c147 0.00 12.60`
      for (const action of row.get('actions').split(';')) {
        const code = action.trim().split(/\s+/)[0]!
        if (code === '') continue
        const label = labels.get(code)
        if (label === undefined)
          findings.push({ kind: 'ignored', what: `${name}:${row.line}`, why: `${code} is no class` })
        else found.add(label)
      }
      const path = table.take(id)
      if (path !== undefined) lists[list].push({ path, label: [...found].sort((a, b) => a - b) })
    }
  }
  table.reportExtra()
  const all = [...findings, ...annotated.findings, ...table.findings]
  requireSome(Object.values(lists).flat().length, folder, all)
  return { classes, splits: [{ name: '', lists }], findings: all }
}

/** `c000 Holding some clothes`: names in the order of the codes, and the label of each code. */
async function classesOf(file: string) {
  const classes: string[] = []
  const labels = new Map<string, number>()
  for (const { text, line } of await readLines(file)) {
    const match = /^(c\d+)\s+(.+)$/.exec(text)
    if (!match || labels.has(match[1]!)) {
      throw new MnVideoError(
        'data',
        `${file}:${line}: must be a new code and a name, such as "c000 Holding some clothes".`,
      )
    }
    labels.set(match[1]!, classes.length)
    classes.push(match[2]!)
  }
  return { classes, labels }
}
