/** `mn-video data split`: a list or folder of class folders into training and validation. */
import { mkdir } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { fingerprintFile, fingerprintOf, formatFingerprint } from '../../data/curation/fingerprint.ts'
import { asList, gather, requireLabels } from '../../data/curation/gather.ts'
import { splitFiles } from '../../data/curation/split.ts'
import { CLASSES_FILE } from '../../data/sets/folders.ts'
import { describePassedOver, type Media } from '../../data/sets/media.ts'
import { MnVideoError, reasonOf } from '../../errors.ts'
import { requireOtherFile, writeTogether } from '../../files/write.ts'
import { count, mediaOption } from '../arguments.ts'
import { doing, print } from '../progress.ts'
import { thousands } from '../table.ts'

interface Options {
  readonly out: string
  readonly val: number
  readonly seed: number
  readonly group?: RegExp
  readonly root?: string
  readonly media?: Media
}

export function addSplit(data: Command): void {
  data
    .command('split')
    .description('divide files into train.csv and val.csv, every class by the same share')
    .argument('<list|dir>', 'a list (`path label` a line) or a folder of class folders')
    .requiredOption('--out <dir>', 'where train.csv, val.csv and classes.txt go')
    .option('--val <share>', 'the share of each class for validation', share, 0.1)
    .option(
      '--group <regexp>',
      'keeps files on one side whose paths agree in this (in its first group)',
      expression,
    )
    .option('--seed <number>', 'another seed divides otherwise', count, 1995)
    .option('--root <dir>', "where a list's relative paths start (default: the list's folder)")
    .addOption(mediaOption())
    .addHelpText(
      'after',
      '\nExamples:\n  mn-video data split videos/ --out lists\n' +
        "  mn-video data split all.csv --val 0.2 --group '(person\\d+)' --out lists",
    )
    .action(split)
}

async function split(source: string, options: Options): Promise<void> {
  doing(`looking at ${source}`)
  const gathered = await gather(source, options)
  requireLabels(source, gathered)
  const { files, classes, root, passedOver } = gathered
  const { out, val, seed, group } = options
  doing('dividing the files')
  const sides = splitFiles(files, { share: val, seed, root, ...(group && { group }) })
  const folder = resolve(out)
  for (const side of Object.keys(sides)) await requireOtherFile(source, join(folder, `${side}.csv`))
  const written = (path: string) => {
    const short = relative(folder, path)
    return short === '..' || short.startsWith(`..${sep}`) ? path : short
  }
  const lines: string[] = []
  const text = (content: string) => [Buffer.from(content)]
  const lists = new Map<string, readonly Uint8Array[]>()
  if (classes) lists.set(join(folder, CLASSES_FILE), text(`${classes.join('\n')}\n`))
  for (const [name, entries] of Object.entries(sides)) {
    const list = join(folder, `${name}.csv`)
    const fingerprint = fingerprintOf(entries)
    lists.set(fingerprintFile(list), text(formatFingerprint(fingerprint)))
    lists.set(list, text(asList(entries, written)))
    lines.push(
      `${join(out, `${name}.csv`)}: ${thousands(entries.length)} files of ${thousands(fingerprint.classes)} classes`,
    )
  }
  try {
    await mkdir(folder, { recursive: true })
    // One side of this split and one of another would have files in common.
    await writeTogether(lists)
  } catch (error) {
    throw new MnVideoError('data', `${out}: cannot be written: ${reasonOf(error)}.`)
  }
  const others = describePassedOver(passedOver)
  if (others) lines.push(others)
  print([...lines, `Train with dataset_dir: ${out}`].join('\n'))
}

function share(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value > 0 && value < 1) return value
  throw new InvalidArgumentError('Give a share above 0 and below 1, such as 0.1.')
}

function expression(text: string): RegExp {
  try {
    return new RegExp(text)
  } catch (error) {
    throw new InvalidArgumentError(`Give a regular expression (${reasonOf(error)}).`)
  }
}
