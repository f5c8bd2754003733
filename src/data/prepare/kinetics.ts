/**
 * Kinetics-400, -600 and -700 (Kay et al. 2017; Carreira et al. 2018, 2019): a CSV of clips per split; videos named
 * `ID_START_END.mp4`, flat or in class folders. Labels are the sorted class names, as everywhere.
 */
import { basename } from 'node:path'
import { MnVideoError } from '../../errors.ts'
import type { LabelledFile } from '../curation/fingerprint.ts'
import {
  Annotated,
  FileTable,
  findAnnotations,
  type Row,
  readTable,
  requireFolder,
  requireSome,
} from './files.ts'
import type { Finding, Prepared, PrepareOptions, Recipe } from './recipe.ts'

export const kinetics: readonly Recipe[] = [400, 600, 700].map((classes) => ({
  name: `kinetics${classes}`,
  title: `Kinetics-${classes}`,
  page: 'https://github.com/cvdfoundation/kinetics-dataset',
  layout: [
    'FOLDER/',
    '  annotations/train.csv, val.csv (test.csv)     label,youtube_id,time_start,time_end,split',
    '  train/…/ID_START_END.mp4                      flat or in class folders, such as',
    '  val/…/ID_START_END.mp4                        train/abseiling/0wR5jVB-WPk_000417_000427.mp4',
  ].join('\n'),
  note: 'Videos vanish from YouTube: what is missing is counted, and a few per cent always are.',
  prepare: (folder, options) => prepare(folder, options, classes),
}))

const SPLITS: Readonly<Record<string, string>> = {
  train: 'train',
  training: 'train',
  val: 'val',
  validate: 'val',
  validation: 'val',
  test: 'test',
}

async function prepare(folder: string, { annotations }: PrepareOptions, expected: number): Promise<Prepared> {
  await requireFolder(folder)
  const files = await findAnnotations(
    [annotations ?? folder],
    /(?:^|[_-])(?:train|val|validate|validation|test)\.csv$/i,
  )
  if (!files.some((file) => /train\.csv$/i.test(file))) {
    throw new MnVideoError(
      'data',
      `${annotations ?? folder}: has no train.csv, directly or in a subfolder. Download the annotations, or give --annotations DIR.`,
    )
  }
  const findings: Finding[] = []
  const clips = (await Promise.all(files.map((file) => clipsOf(file, findings)))).flat()
  const classes = [...new Set(clips.map(({ label }) => label))].sort(byCodePoints)
  if (classes.length !== expected) {
    findings.push({
      kind: 'ignored',
      what: files.map((file) => basename(file)).join(', '),
      why: `${classes.length} classes are annotated, not ${expected}`,
    })
  }
  const labels = new Map(classes.map((name, label) => [name, label]))
  const table = await FileTable.of(folder, 'video')
  const annotated = new Annotated()
  const lists: Record<string, LabelledFile[]> = { train: [], val: [] }
  for (const { key, id, label, split } of clips) {
    if (!annotated.isNew(key, `${label} (${split})`)) continue
    // Some copies leave the times out of the names.
    const path = table.take(table.has(key) || !table.has(id) ? key : id, split)
    if (path === undefined) continue
    lists[split] ??= []
    lists[split].push({ path, label: labels.get(label)! })
  }
  table.reportExtra()
  const all = [...findings, ...annotated.findings, ...table.findings]
  requireSome(Object.values(lists).flat().length, folder, all)
  return { classes, splits: [{ name: '', lists }], findings: all }
}

interface AnnotatedClip {
  readonly key: string
  readonly id: string
  readonly label: string
  readonly split: string
}

async function clipsOf(file: string, findings: Finding[]): Promise<AnnotatedClip[]> {
  const rows = await readTable(file, ['youtube_id', 'time_start', 'time_end'])
  const byName = /(train|val|test)[a-z]*\.csv$/i.exec(file)?.[1]?.toLowerCase() ?? 'train'
  const clips: AnnotatedClip[] = []
  for (const row of rows) {
    const label = row.get('label').replace(/^"|"$/g, '')
    const [id, start, end] = [row.get('youtube_id'), ticks(row, 'time_start'), ticks(row, 'time_end')]
    const split = SPLITS[row.get('split').toLowerCase()] ?? SPLITS[byName]!
    if (label === '' || id === '' || start === undefined || end === undefined) {
      // The test set is published without labels.
      if (split !== 'test' || label !== '') {
        findings.push({
          kind: 'ignored',
          what: `${basename(file)}:${row.line}`,
          why: 'lacks its label, id or times',
        })
      }
      continue
    }
    clips.push({ key: `${id}_${start}_${end}`, id, label, split })
  }
  return clips
}

/** `417.0` as names have it: `000417`. */
function ticks(row: Row, heading: string): string | undefined {
  const seconds = Number(row.get(heading))
  return row.get(heading) !== '' && seconds >= 0 ? String(Math.trunc(seconds)).padStart(6, '0') : undefined
}

export const byCodePoints = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
