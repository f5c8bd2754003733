/** `mn-video data prepare`: from a data set as its owner gives it to lists that training reads. */
import type { Command } from 'commander'
import { prepareDataset, RECIPES, recipeNamed } from '../../data/prepare/index.ts'
import type { Finding, Recipe } from '../../data/prepare/recipe.ts'
import { asMessage, MnVideoError } from '../../errors.ts'
import { shownPath } from '../../files/media-file.ts'
import { doing, print } from '../progress.ts'
import { shellQuoted } from '../report.ts'
import { formatTable, thousands } from '../table.ts'
import { fingerprintLines } from './fingerprint.ts'

interface Options {
  readonly out?: string
  readonly annotations?: string
  readonly root?: string
  readonly json?: true
}

export function addPrepare(data: Command): void {
  data
    .command('prepare')
    .description('make lists of a known data set; without a folder: where to get it and what must lie where')
    .argument('[dataset]', `one of ${RECIPES.map(({ name }) => name).join(', ')}`)
    .argument('[folder]', 'where you have unpacked it')
    .option('--out <dir>', 'where the lists go: train.csv, val.csv, classes.txt and their fingerprints')
    .option('--annotations <dir>', "where the owner's annotations are (default: the folder)")
    .option('--root <dir>', 'write paths relative to this folder (for list_root)')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  mn-video data prepare\n  mn-video data prepare ucf101\n  mn-video data prepare ucf101 /data/ucf101 --out lists/ucf101',
    )
    .action(prepare)
}

async function prepare(
  name: string | undefined,
  folder: string | undefined,
  options: Options,
): Promise<void> {
  if (name === undefined) {
    print(
      formatTable([
        ['data set', 'name', 'page'],
        ...RECIPES.map((each) => [each.title, each.name, each.page]),
      ]),
    )
    return
  }
  const recipe = recipeNamed(name)
  if (folder === undefined) {
    print(instructions(recipe))
    return
  }
  if (options.out === undefined) {
    throw new MnVideoError('usage', `--out is missing. Say where the lists go: --out lists/${recipe.name}`)
  }
  const { out, ...rest } = options
  doing(`looking for annotations and files in ${folder}`)
  const { lists, files, classes, findings, report } = await prepareDataset(recipe, folder, out, rest)
  if (options.json) {
    print(JSON.stringify({ dataset: name, classes, lists, files, findings }, null, 2))
    return
  }
  const first = lists[0]?.file
  print(
    [
      `${recipe.title}: ${classes} classes`,
      ...lists.flatMap(({ file, fingerprint }) => [
        shownPath(file),
        ...fingerprintLines(fingerprint).map((line) => `  ${line}`),
      ]),
      ...files.map(shownPath),
      ...findingLines(findings),
      ...(report ? [`All of it: ${report}`] : ['Annotations and files agree.']),
      ...(first ? [`Next: mn-video data check ${shellQuoted(first)}`] : []),
    ].join('\n'),
  )
}

function instructions({ name, title, page, layout, note }: Recipe): string {
  return [
    title,
    `Get it from its owner: ${page}`,
    '(nothing is downloaded for you: each owner has terms to agree to)',
    '',
    'Unpack it so:',
    layout,
    ...(note ? ['', note] : []),
    '',
    `Then: mn-video data prepare ${name} FOLDER --out lists/${name}`,
  ].join('\n')
}

const NAMED = 3

function findingLines(findings: readonly Finding[]): string[] {
  return (['missing', 'extra', 'repeated', 'ignored'] as const).flatMap((kind) => {
    const found = findings.filter((each) => each.kind === kind)
    if (found.length === 0) return []
    const rest = found.length - NAMED
    return [
      `${kind}: ${thousands(found.length)}`,
      ...found.slice(0, NAMED).map(({ what, why }) => `  ${shownPath(what)}: ${asMessage(why)}`),
      ...(rest > 0 ? [`  … and ${thousands(rest)} more`] : []),
    ]
  })
}
