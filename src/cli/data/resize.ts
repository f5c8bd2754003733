/** `mn-video data resize`: the same videos, smaller and quick to seek in, in a folder of their own. */
import { mkdir } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import type { Command } from 'commander'
import { fingerprintFile, fingerprintOf, formatFingerprint } from '../../data/curation/fingerprint.ts'
import { asList, gather, mediaOfFiles } from '../../data/curation/gather.ts'
import { clipMilliseconds, resizeVideos } from '../../data/curation/resize-videos.ts'
import { CLASSES_FILE } from '../../data/sets/folders.ts'
import { describePassedOver } from '../../data/sets/media.ts'
import { MnVideoError } from '../../errors.ts'
import { requireOtherFile, writeTogether } from '../../files/write.ts'
import { processorLimit } from '../../machine.ts'
import { count } from '../arguments.ts'
import { doing, print, startProgress } from '../progress.ts'
import { EXIT } from '../report.ts'
import { thousands } from '../table.ts'

interface Options {
  readonly out: string
  readonly shortSide: number
  readonly keyframes: number
  readonly quality: number
  readonly jobs: number
  readonly root?: string
  readonly cache?: string
  readonly json?: true
}

export function addResize(data: Command): void {
  data
    .command('resize')
    .description('write all videos anew: smaller, quick to seek in, without sound, with the same frames')
    .argument('<list|dir>', 'a list (`path label` a line) or a folder of videos')
    .requiredOption('--out <dir>', 'where the videos go, and a list of them; what is there is kept')
    .option('--short-side <pixels>', 'smaller videos keep their size (usual: 256 or 340)', count, 256)
    .option(
      '--keyframes <frames>',
      'from one keyframe to the next: fewer seek faster and take more room',
      count,
      30,
    )
    .option('--quality <crf>', "x264's rate factor: 18 looks like the source, 28 visibly coarser", count, 20)
    .option('--jobs <count>', 'videos at a time', count, processorLimit())
    .option('--root <dir>', "where a list's relative paths start (default: the list's folder)")
    .option('--cache <dir>', 'where frame indexes are kept (default: the cache of the user)')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nStopped, it goes on where it was when it is run again.\n\nExample:\n  mn-video data resize lists/train.csv --out /data/small',
    )
    .action(resize)
}

/** Videos whose speed is measured before and after. */
const MEASURED = 9

async function resize(source: string, options: Options): Promise<void> {
  doing(`looking at ${source}`)
  const gathered = await gather(source, { ...options, media: 'video' })
  const { classes, root, isLabelled } = gathered
  const { isOf, passedOver } = await mediaOfFiles(source, gathered.files, 'video')
  const files = gathered.files.filter((file) => isOf.has(file))
  const others = describePassedOver([...gathered.passedOver, ...passedOver])
  if (files.length === 0) {
    throw new MnVideoError('data', `${source}: has no videos, and only videos are resized (${others}).`)
  }
  const out = resolve(options.out)
  // The list of a folder is named as if it were of everything.
  const name = root === resolve(source) ? 'all.csv' : basename(source)
  const list = isLabelled ? join(out, name) : undefined
  if (list) await requireOtherFile(source, list)
  const total = new Set(files.map(({ path }) => path)).size
  const progress = startProgress('resized', total)
  const { targets, results, failures } = await resizeVideos(
    files.map(({ path }) => path),
    out,
    { ...options, root, onVideo: (isNew) => progress.step(isNew) },
  )
  if (failures.length > 0) process.exitCode = EXIT.failed
  if (targets.size === 0) {
    throw new MnVideoError('data', `${source}: not one video could be resized. ${failures[0]}`)
  }
  const moved = files.flatMap(({ path, label }) => {
    const target = targets.get(path)
    return target === undefined ? [] : [{ path: target, label }]
  })
  if (list) {
    await mkdir(out, { recursive: true })
    const files = new Map<string, string>()
    if (classes) files.set(join(out, CLASSES_FILE), `${classes.join('\n')}\n`)
    files.set(fingerprintFile(list), formatFingerprint(fingerprintOf(moved)))
    files.set(
      list,
      asList(moved, (path) => relative(out, path)),
    )
    await writeTogether(new Map([...files].map(([file, text]) => [file, [Buffer.from(text)]])))
  }
  doing('timing clips before and after')
  const every = Math.max(1, Math.floor(targets.size / MEASURED))
  const { before, after } = await clipMilliseconds(
    [...targets].filter((_, i) => i % every === 0).slice(0, MEASURED),
    options,
  )
  const sum = (pick: (result: (typeof results)[number]) => number) =>
    results.reduce((all, each) => all + pick(each), 0)
  const [bytesBefore, bytesAfter] = [sum((each) => each.bytesBefore), sum((each) => each.bytesAfter)]
  const kept = results.filter(({ isNew }) => !isNew).length
  if (options.json) {
    const facts = { videos: targets.size, kept, frames: sum(({ frames }) => frames), bytesBefore, bytesAfter }
    print(
      JSON.stringify(
        {
          ...facts,
          list,
          clipMilliseconds: { before, after },
          failures,
          passedOver: [...gathered.passedOver, ...passedOver],
        },
        null,
        2,
      ),
    )
    return
  }
  print(
    [
      `${options.out}: ${thousands(targets.size)} of ${thousands(total)} videos, ${thousands(sum(({ frames }) => frames))} frames, none lost${kept > 0 ? ` (${kept} were there)` : ''}`,
      `size   ${megabytes(bytesBefore)} → ${megabytes(bytesAfter)} (${Math.round((100 * bytesAfter) / bytesBefore)} %)`,
      `speed  a clip of 16 frames, stride 5: ${before.toFixed(0)} → ${after.toFixed(0)} ms (${(before / after).toFixed(1)}×)`,
      ...(list ? [`list   ${list}`] : []),
      ...(others ? [others] : []),
      ...failures.map((failure) => `failed ${failure}`),
    ].join('\n'),
  )
}

const megabytes = (bytes: number): string =>
  bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`
