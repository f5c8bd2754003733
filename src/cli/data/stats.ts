/** `mn-video data stats`: how many files each class has, as a chart; what is known of the files. */
import type { Command } from 'commander'
import { fingerprintOfList } from '../../data/curation/fingerprint.ts'
import { gather, requireLabels } from '../../data/curation/gather.ts'
import { describePassedOver, type Media } from '../../data/sets/media.ts'
import { shownPath } from '../../files/media-file.ts'
import { mediaOption } from '../arguments.ts'
import { doing, print } from '../progress.ts'
import { thousands } from '../table.ts'
import { fingerprintLines } from './fingerprint.ts'

interface Options {
  readonly root?: string
  readonly media?: Media
  readonly all?: true
  readonly json?: true
}

export function addStats(data: Command): void {
  data
    .command('stats')
    .description('files per class, as a chart, and the fingerprint')
    .argument('<list|dir>', 'a list (`path label` a line) or a folder of class folders')
    .option('--root <dir>', "where a list's relative paths start (default: the list's folder)")
    .option('--all', 'a bar for every class, not the largest and smallest alone')
    .option('--json', 'as JSON')
    .addOption(mediaOption())
    .addHelpText('after', '\nExample:\n  mn-video data stats lists/train.csv')
    .action(stats)
}

interface ClassCount {
  readonly label: number
  readonly name: string
  readonly files: number
}

/** Classes at either end that a chart shows. */
const SHOWN = 10

async function stats(source: string, options: Options): Promise<void> {
  doing(`looking at ${source}`)
  const gathered = await gather(source, options)
  requireLabels(source, gathered)
  const { files, classes, passedOver } = gathered
  const counts = countClasses(files, classes)
  const fingerprint = await fingerprintOfList(source, files)
  if (options.json) {
    print(JSON.stringify({ source, fingerprint, classes: counts, passedOver }, null, 2))
    return
  }
  const ordered = counts.toSorted((a, b) => b.files - a.files || a.label - b.label)
  const [most, fewest] = [ordered[0]!.files, ordered.at(-1)!.files]
  const median = ordered[ordered.length >> 1]!.files
  const labels = files.reduce((sum, { label }) => sum + [label].flat().length, 0)
  const others = describePassedOver(passedOver)
  const empty = counts.filter((each) => each.files === 0)
  print(
    [
      `${source}: ${thousands(files.length)} files${labels === files.length ? '' : `, ${(labels / files.length).toFixed(1)} labels each`}`,
      ...(others ? [others] : []),
      ...fingerprintLines(fingerprint).slice(1),
      `files per class: fewest ${thousands(fewest)}, median ${thousands(median)}, most ${thousands(most)}${fewest > 0 ? ` (${(most / fewest).toFixed(1)}×)` : ''}`,
      ...(empty.length > 0
        ? [
            `without files: ${empty
              .map(({ name }) => name)
              .slice(0, SHOWN)
              .join(', ')}${empty.length > SHOWN ? ', …' : ''}`,
          ]
        : []),
      ...chart(ordered, most, options.all === true),
    ].join('\n'),
  )
}

/** All classes that have a name or a file, in label order. */
function countClasses(
  files: readonly { readonly label: number | readonly number[] }[],
  classes: readonly string[] | undefined,
): ClassCount[] {
  const found = new Map<number, number>()
  for (const { label } of files)
    for (const each of [label].flat()) found.set(each, (found.get(each) ?? 0) + 1)
  const count = [...found.keys()].reduce((most, label) => Math.max(most, label + 1), classes?.length ?? 0)
  return Array.from({ length: count }, (_, label) => ({
    label,
    name: classes?.[label] ?? `class ${label}`,
    files: found.get(label) ?? 0,
  }))
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

function chart(ordered: readonly ClassCount[], most: number, all: boolean): string[] {
  const hidden = all ? 0 : ordered.length - 2 * SHOWN
  const rows = hidden > 0 ? [...ordered.slice(0, SHOWN), ...ordered.slice(-SHOWN)] : ordered
  const nameWidth = Math.min(32, Math.max(...rows.map(({ name }) => name.length)))
  const countWidth = thousands(most).length
  const barWidth = Math.max(10, Math.min(60, (process.stdout.columns ?? 80) - nameWidth - countWidth - 4))
  const lines = rows.map(({ name, files }) => {
    const eighths = Math.round((8 * barWidth * files) / Math.max(1, most))
    const bar = '█'.repeat(eighths >> 3) + EIGHTHS[eighths & 7]
    const short = name.length > nameWidth ? `${name.slice(0, nameWidth - 1)}…` : name
    return `${shownPath(short).padEnd(nameWidth)}  ${thousands(files).padStart(countWidth)}  ${bar}`.trimEnd()
  })
  if (hidden > 0) lines.splice(SHOWN, 0, `… ${thousands(hidden)} more classes (--all shows them)`)
  return lines
}
