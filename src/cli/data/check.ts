/** `mn-video data check`: every file of a list or folder probed, or decoded; what is wrong, by reason. */
import { createHash } from 'node:crypto'
import { join, relative, resolve, sep } from 'node:path'
import type { Command } from 'commander'
import { type Examined, examine, judge, type Verdict } from '../../data/curation/check.ts'
import { appendToJournal, readJournal, rewriteJournal } from '../../data/curation/examined-journal.ts'
import { fingerprintOf, writeFingerprint } from '../../data/curation/fingerprint.ts'
import { asList, type Gathered, gather, keepClassesBeside } from '../../data/curation/gather.ts'
import { describePassedOver, type Media } from '../../data/sets/media.ts'
import { asMessage, MnVideoError } from '../../errors.ts'
import { shownPath } from '../../files/media-file.ts'
import { requireOtherFile, writeAtomically } from '../../files/write.ts'
import { processorLimit } from '../../machine.ts'
import { cacheFolder } from '../../video/index-cache.ts'
import { count, mediaOption, positiveNumber } from '../arguments.ts'
import { doing, print, startProgress } from '../progress.ts'
import { EXIT } from '../report.ts'
import { fingerprintLines } from './fingerprint.ts'

/** Named anew when a look at the same file finds something else than before, so that it is looked at again. */
const JOURNALS = 'check-2'

interface Options {
  readonly decode?: true
  readonly writeClean?: string
  readonly strict?: true
  readonly root?: string
  readonly media?: Media
  readonly minSeconds: number
  readonly jobs: number
  readonly fresh?: true
  readonly cache?: string
  readonly all?: true
  readonly json?: true
}

export function addCheck(data: Command): void {
  data
    .command('check')
    .description('look at every file: missing, broken, too short and odd ones by reason; the fingerprint')
    .argument('<list|dir>', 'a list (`path label` a line) or a folder of files')
    .option('--decode', 'decode every frame too (slow; finds damage inside)')
    .option('--write-clean <list>', 'write a list without the missing, broken, short and repeated files')
    .option('--strict', 'keep odd files out of it too')
    .option('--root <dir>', "where a list's relative paths start (default: the list's folder)")
    .addOption(mediaOption())
    .option('--min-seconds <seconds>', 'a shorter video is too short', positiveNumber, 0.5)
    .option('--jobs <count>', 'files at a time', count, processorLimit())
    .option('--fresh', 'look at files again that an earlier check knows and that have not changed')
    .option(
      '--cache <dir>',
      'where frame indexes and what is known are kept (default: the cache of the user)',
    )
    .option('--all', 'name every file, not five of each reason')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  mn-video data check videos/\n  mn-video data check lists/train.csv --decode --write-clean lists/train-clean.csv',
    )
    .action(check)
}

async function check(source: string, options: Options): Promise<void> {
  doing(`looking at ${source}`)
  const cache = options.cache ?? cacheFolder()
  if (options.writeClean !== undefined) await requireOtherFile(source, options.writeClean)
  const gathered = await gather(source, options)
  const paths = [...new Set(gathered.files.map(({ path }) => path))]
  const journal = cache === 'off' ? undefined : join(cache, JOURNALS, `${nameOf(resolve(source))}.jsonl`)
  const known = options.fresh || !journal ? new Map<string, Examined>() : await readJournal(journal)

  const progress = startProgress('checked', paths.length)
  let [looked, recalled] = [0, 0]
  const started = performance.now()
  const examined = await examine(paths, {
    ...(options.decode && { decode: true }),
    jobs: options.jobs,
    cache,
    known,
    onFile: (file, isNew) => {
      if (isNew) {
        looked++
        if (journal) keepIfPossible(() => appendToJournal(journal, file))
      } else recalled++
      progress.step(isNew)
    },
  })
  doing('judging the files')
  const seconds = (performance.now() - started) / 1000
  if (journal) await rewriteJournal(journal, examined.values()).catch(() => {})

  const judged = judgeAll(gathered, examined, options)
  const clean = gathered.files.filter((_, i) => isClean(judged[i]!, options.strict === true))
  const facts = [...examined.values()].flatMap((file) => (file.facts ? [file.facts] : []))
  const fingerprint = fingerprintOf(gathered.files, facts)
  if (gathered.isLabelled && !isFolder(gathered, source)) await writeFingerprint(source, fingerprint)
  if (options.writeClean !== undefined) await writeCleanList(options.writeClean, gathered, clean, examined)
  const bad = judged.filter((each) => !isClean(each, false)).length
  if (bad > 0) process.exitCode = EXIT.failed

  if (options.json) {
    const files = judged.filter(({ verdict }) => verdict !== 'ok')
    print(
      JSON.stringify(
        { source, fingerprint, clean: clean.length, files, passedOver: gathered.passedOver },
        null,
        2,
      ),
    )
    return
  }
  const others = describePassedOver(gathered.passedOver)
  const speed = looked > 0 ? `, ${(looked / seconds).toFixed(1)} files a second` : ''
  const before = recalled > 0 ? ` (${recalled} known from before)` : ''
  print(
    [
      `${source}: ${gathered.files.length} files${before}${speed}${options.decode ? ', every frame decoded' : ''}`,
      ...(others ? [others] : []),
      ...fingerprintLines(fingerprint),
      ...findings(judged, gathered.root, options.all === true),
      bad === 0 ? 'Every file can be used.' : `${bad} cannot be used, ${judged.length - bad} can.`,
      ...(options.writeClean !== undefined ? [`${options.writeClean}: ${clean.length} files`] : []),
    ].join('\n'),
  )
}

interface Entry {
  readonly path: string
  readonly verdict: Verdict | 'repeated'
  readonly reason: string
}

/** A verdict for every line of the list: a file that stands in it twice counts once. */
function judgeAll(gathered: Gathered, examined: ReadonlyMap<string, Examined>, options: Options): Entry[] {
  const first = new Map<string, string>()
  return gathered.files.map(({ path, label }) => {
    const labels = [label].flat().join(';')
    const before = first.get(path)
    if (before === undefined) {
      first.set(path, labels)
      return judge(examined.get(path)!, options)
    }
    const reason = before === labels ? 'listed twice' : `listed twice, with labels ${before} and ${labels}`
    return { path, verdict: 'repeated', reason }
  })
}

const isClean = ({ verdict }: Pick<Entry, 'verdict'>, isStrict: boolean): boolean =>
  verdict === 'ok' || (verdict === 'odd' && !isStrict)

const HEADINGS: readonly (readonly [Entry['verdict'], string])[] = [
  ['missing', 'missing'],
  ['broken', 'broken'],
  ['short', 'too short'],
  ['repeated', 'repeated'],
  ['odd', 'odd, but usable'],
]
const NAMED = 5

function findings(judged: readonly Entry[], root: string, all: boolean): string[] {
  return HEADINGS.flatMap(([verdict, heading]) => {
    const found = judged.filter((each) => each.verdict === verdict)
    if (found.length === 0) return []
    const named = all ? found : found.slice(0, NAMED)
    const more = found.length - named.length
    return [
      `${heading}: ${found.length}`,
      ...named.map(({ path, reason }) => `  ${shownPath(within(root, path))}: ${asMessage(reason)}`),
      ...(more > 0 ? [`  … and ${more} more (--all names them)`] : []),
    ]
  })
}

async function writeCleanList(
  list: string,
  gathered: Gathered,
  clean: Gathered['files'],
  examined: ReadonlyMap<string, Examined>,
): Promise<void> {
  if (clean.length === 0) {
    throw new MnVideoError('data', `${list}: is not written: not one file can be used.`)
  }
  const folder = resolve(list, '..')
  // Relative where the old list's root is the new list's folder, so that the two are read alike.
  const written = (path: string) => (folder === gathered.root ? within(folder, path) : path)
  if (gathered.classes && gathered.isLabelled) await keepClassesBeside(list, gathered.classes)
  await writeAtomically(list, [Buffer.from(asList(clean, written))])
  const facts = clean.flatMap(({ path }) => examined.get(path)?.facts ?? [])
  await writeFingerprint(list, fingerprintOf(clean, facts))
}

const isFolder = (gathered: Gathered, source: string): boolean => gathered.root === resolve(source)

/** A path relative to a folder where it lies in it. */
function within(folder: string, path: string): string {
  const short = relative(folder, path)
  return short.startsWith(`..${sep}`) || short === '..' ? path : short
}

const nameOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32)

/** A journal that cannot be written costs the resuming, not the check. */
function keepIfPossible(write: () => void): void {
  try {
    write()
  } catch {
    // Said nothing: the result is complete without it.
  }
}
