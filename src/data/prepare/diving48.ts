/**
 * Diving48 (Li et al. 2018): MP4 files; JSON files of training and test videos and of the words that make up each
 * of the 48 kinds of dive. The corrected version (V2) is taken where both are there.
 */
import { z } from 'zod'
import type { LabelledFile } from '../curation/fingerprint.ts'
import { Annotated, FileTable, findAnnotation, readJson, requireFolder, requireSome } from './files.ts'
import type { Finding, Prepared, PrepareOptions, Recipe } from './recipe.ts'

export const diving48: Recipe = {
  name: 'diving48',
  title: 'Diving48',
  page: 'http://www.svcl.ucsd.edu/projects/resound/dataset.html',
  layout: [
    'FOLDER/',
    '  rgb/ID.mp4 …',
    '  Diving48_V2_train.json, Diving48_V2_test.json, Diving48_vocab.json',
  ].join('\n'),
  note: 'Take the annotations named V2: those before it had wrong labels.',
  prepare,
}

const videosSchema = z.array(z.object({ vid_name: z.string(), label: z.int().min(0) }))
const vocabularySchema = z.array(z.array(z.string()))

async function prepare(folder: string, { annotations }: PrepareOptions): Promise<Prepared> {
  await requireFolder(folder)
  const places = [annotations ?? folder]
  const find = async (what: string) => {
    const corrected = await findAnnotation(places, new RegExp(`^Diving48_V2_${what}\\.json$`, 'i'), '').catch(
      () => undefined,
    )
    return (
      corrected ??
      findAnnotation(places, new RegExp(`^Diving48_${what}\\.json$`, 'i'), `Diving48_V2_${what}.json`)
    )
  }
  const vocabulary = await readJson(await find('vocab'), vocabularySchema)
  const classes = vocabulary.map((words) => words.join(' '))
  const table = await FileTable.of(folder, 'video')
  const annotated = new Annotated()
  const findings: Finding[] = []
  const lists: Record<string, LabelledFile[]> = {}
  for (const [list, what] of [
    ['train', 'train'],
    ['val', 'test'],
  ] as const) {
    const file = await find(what)
    lists[list] = []
    for (const { vid_name: name, label } of await readJson(file, videosSchema)) {
      if (label >= classes.length) {
        findings.push({
          kind: 'ignored',
          what: name,
          why: `label ${label}, but the vocabulary has ${classes.length}`,
        })
        continue
      }
      if (!annotated.isNew(name, `${label} (${list})`)) continue
      const path = table.take(name)
      if (path !== undefined) lists[list].push({ path, label })
    }
  }
  table.reportExtra()
  const all = [...findings, ...annotated.findings, ...table.findings]
  requireSome(Object.values(lists).flat().length, folder, all)
  return { classes, splits: [{ name: '', lists }], findings: all }
}
