/**
 * HMDB51 (Kuehne et al. 2011): class folders of AVI files; for each of three splits one file per class that says of
 * each video whether it trains (1), tests (2) or is not used (0).
 */
import { basename, dirname } from 'node:path'
import { MnVideoError } from '../../errors.ts'
import type { LabelledFile } from '../curation/fingerprint.ts'
import { Annotated, FileTable, findAnnotations, readLines, requireFolder, requireSome } from './files.ts'
import { byCodePoints } from './kinetics.ts'
import type { Finding, Prepared, PreparedSplit, PrepareOptions, Recipe } from './recipe.ts'
import { unique } from './ucf101.ts'

export const hmdb51: Recipe = {
  name: 'hmdb51',
  title: 'HMDB51',
  page: 'https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/',
  layout: [
    'FOLDER/',
    '  videos/brush_hair/NAME.avi …                  the folder of each class unpacked from its .rar',
    '  testTrainMulti_7030_splits/brush_hair_test_split1.txt … split3',
  ].join('\n'),
  note: 'The download is a .rar of one .rar per class: unpack both. Lists go to OUT/split1, split2 and split3.',
  prepare,
}

const LISTS: Readonly<Record<string, string>> = { 1: 'train', 2: 'val' }

async function prepare(folder: string, { annotations }: PrepareOptions): Promise<Prepared> {
  await requireFolder(folder)
  const files = await findAnnotations([annotations ?? folder], /_test_split[123]\.txt$/)
  if (files.length === 0) {
    throw new MnVideoError(
      'data',
      `${annotations ?? folder}: has no CLASS_test_split1.txt. Unpack test_train_splits.rar there, or give --annotations DIR.`,
    )
  }
  const parsed = files.map((file) => {
    const [, name, number] = /^(.+)_test_split([123])\.txt$/.exec(basename(file))!
    return { file, name: name!, number: Number(number) }
  })
  const classes = [...new Set(parsed.map(({ name }) => name))].sort(byCodePoints)
  // Two classes may have a video of the same name, so the class folder is part of the key.
  const table = await FileTable.of(folder, 'video', (path) => `${basename(dirname(path))}/${stem(path)}`)
  const findings: Finding[] = []
  const splits: PreparedSplit[] = []
  for (const number of [1, 2, 3]) {
    const annotated = new Annotated()
    const lists: Record<string, LabelledFile[]> = { train: [], val: [] }
    for (const [label, name] of classes.entries()) {
      const found = parsed.find((each) => each.name === name && each.number === number)
      if (!found) {
        findings.push({
          kind: 'missing',
          what: `${name}_test_split${number}.txt`,
          why: 'this class has none',
        })
        continue
      }
      for (const { text, line } of await readLines(found.file)) {
        // Names have brackets, hashes and spaces: the number is what stands last.
        const match = /^(.+?)\s+([012])$/.exec(text)
        if (!match) {
          findings.push({
            kind: 'ignored',
            what: `${basename(found.file)}:${line}`,
            why: 'is not "FILE 0", 1 or 2',
          })
          continue
        }
        const key = `${name}/${stem(match[1]!)}`
        if (!annotated.isNew(key, `${LISTS[match[2]!] ?? 'unused'} of split ${number}`)) continue
        const path = table.take(key)
        const list = LISTS[match[2]!]
        if (path !== undefined && list) lists[list]!.push({ path, label })
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

/** Without a video's extension; names have other dots in them. */
const stem = (path: string): string => basename(path).replace(/\.(?:avi|mp4|mkv|webm)$/i, '')
