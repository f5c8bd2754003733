/**
 * Something-Something v2 (Goyal et al. 2017): numbered WebM files; JSON files of labels, training and validation.
 * A video's class is its template without brackets.
 */
import { z } from 'zod'
import { MnVideoError } from '../../errors.ts'
import type { LabelledFile } from '../curation/fingerprint.ts'
import { Annotated, FileTable, findAnnotation, readJson, requireFolder, requireSome } from './files.ts'
import type { Finding, Prepared, PrepareOptions, Recipe } from './recipe.ts'

export const somethingSomething: Recipe = {
  name: 'something-something-v2',
  title: 'Something-Something v2',
  page: 'https://www.qualcomm.com/developer/software/something-something-v-2-dataset',
  layout: [
    'FOLDER/',
    '  20bn-something-something-v2/1.webm …',
    '  labels/labels.json, train.json, validation.json        or something-something-v2-labels.json, …',
  ].join('\n'),
  note: 'Left and right tell classes apart here: train with flip: false.',
  prepare,
}

const labelsSchema = z.record(z.string(), z.union([z.string(), z.int()]))
const videosSchema = z.array(z.object({ id: z.union([z.string(), z.int()]), template: z.string() }))

async function prepare(folder: string, { annotations }: PrepareOptions): Promise<Prepared> {
  await requireFolder(folder)
  const places = [annotations ?? folder]
  const find = (what: string) =>
    findAnnotation(
      places,
      new RegExp(`(?:^|-)${what}\\.json$`),
      `${what}.json (or something-something-v2-${what}.json)`,
    )
  const labels = await labelsOf(await find('labels'))
  const table = await FileTable.of(folder, 'video')
  const annotated = new Annotated()
  const findings: Finding[] = []
  const lists: Record<string, LabelledFile[]> = {}
  for (const [list, what] of [
    ['train', 'train'],
    ['val', 'validation'],
  ] as const) {
    const file = await find(what)
    lists[list] = []
    for (const { id, template } of await readJson(file, videosSchema)) {
      const name = plain(template)
      const label = labels.get(name)
      if (label === undefined) {
        findings.push({ kind: 'ignored', what: String(id), why: `"${name}" is not among the labels` })
        continue
      }
      if (!annotated.isNew(String(id), `${name} (${list})`)) continue
      const path = table.take(String(id))
      if (path !== undefined) lists[list].push({ path, label })
    }
  }
  // The test set's videos lie among the others and have no published labels: they are no surprise.
  const test = await findAnnotation(places, /(?:^|-)test\.json$/, 'test.json').catch(() => undefined)
  if (test) {
    const ids = await readJson(test, z.array(z.object({ id: z.union([z.string(), z.int()]) })))
    for (const { id } of ids) if (table.has(String(id))) table.take(String(id))
  }
  table.reportExtra()
  const all = [...findings, ...annotated.findings, ...table.findings]
  requireSome(Object.values(lists).flat().length, folder, all)
  const classes = [...labels.keys()]
  return { classes, splits: [{ name: '', lists }], findings: all }
}

/** Class names to labels, in label order; the owner's labels must go from 0 without a gap. */
async function labelsOf(file: string): Promise<ReadonlyMap<string, number>> {
  const entries = Object.entries(await readJson(file, labelsSchema))
  const sorted = entries
    .map(([name, label]) => [plain(name), Number(label)] as const)
    .sort((a, b) => a[1] - b[1])
  const first = sorted[0]?.[1] ?? 0
  const gap = sorted.findIndex(([, label], i) => label !== first + i)
  if (gap >= 0 || (first !== 0 && first !== 1)) {
    throw new MnVideoError(
      'data',
      `${file}: labels must go from 0 without a gap, but ${gap > 0 ? `${sorted[gap]![1]} follows ${sorted[gap - 1]![1]}` : `begin at ${first}`}.`,
    )
  }
  return new Map(sorted.map(([name, label]) => [name, label - first]))
}

/** `Holding [something] next to [something]` without its brackets. */
const plain = (template: string): string => template.replace(/[[\]]/g, '')
