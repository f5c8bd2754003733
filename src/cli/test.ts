/** `mn-video test`: accuracy, cost and latency of every configuration, and the query table made of them. */
import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { applyOverrides, loadConfig, presetNames } from '../config/index.ts'
import { ENGINES, type EngineName, type TfjsBackend } from '../engines/index.ts'
import type { Precision } from '../engines/precision.ts'
import { MnVideoError } from '../errors.ts'
import { frontierOf } from '../evaluation/frontier.ts'
import { formatMacs, type Metric, type QueryTable, roundedUp } from '../evaluation/query-table.ts'
import type { AnyResult } from '../evaluation/sweep-results.ts'
import { type TestEvent, type Tested, testRun } from '../evaluation/test-run.ts'
import { BACKEND_OPTION, collect, count, listOf, positiveNumber, precisionOption } from './arguments.ts'
import { EXIT, sameCommand, shellQuoted } from './report.ts'
import { folderFor } from './run-folders.ts'
import { duration, openStatusLine } from './status-line.ts'
import { formatTable, percent, thousands } from './table.ts'

interface Options {
  readonly widths?: readonly number[]
  readonly sizes?: readonly number[]
  readonly frames?: readonly number[]
  readonly views?: string
  readonly set?: readonly string[]
  readonly engine?: EngineName
  readonly backend?: TfjsBackend
  readonly threads?: number
  readonly precision?: Precision
  readonly json?: true
}

export function addTest(program: Command): void {
  program
    .command('test')
    .description('evaluate every width × size × frames on the validation set, and write the query table')
    .argument('<run>', 'the folder of a run, or the configuration that it was trained with')
    .option(
      '--widths <list>',
      "width multipliers, as 1,0.83,0.63 (default: the run's width_mult_list)",
      listOf(positiveNumber),
    )
    .option('--sizes <list>', '… sizes (default: resolution_list)', listOf(count))
    .option('--frames <list>', '… frame counts (default: frames_list)', listOf(count))
    .option('--views <TxS>', "temporal views × 1 or 3 crops of a video (default: the run's)")
    .option(
      '--set <key=value>',
      'a configuration key to change, such as dataset_dir; may be repeated',
      collect,
    )
    .option('--engine <name>', `one of ${ENGINES.join(', ')} (default: the best there is)`)
    .option(...BACKEND_OPTION)
    .option('--threads <count>', 'threads of the native engine (default: all processors)', count)
    .addOption(precisionOption())
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  mn-video test runs/x3d\n  mn-video test runs/x3d --widths 1,0.8,0.63 --sizes 224,160 --views 10x3\n\nAn interrupted test goes on where it stopped: what is done is in sweep.jsonl.',
    )
    .action(async (run: string, options: Options) => {
      await runTest(await folderOf(run, options.set ?? []), options)
    })
}

/** Tests a run and prints its frontier. */
export async function runTest(folder: string, options: Options): Promise<void> {
  const status = openStatusLine()
  const stop = new AbortController()
  const end = () => {
    if (stop.signal.aborted) process.exit(EXIT.interrupted)
    stop.abort()
  }
  process.on('SIGINT', end)
  try {
    const { json, ...rest } = options
    const tested = await testRun(folder, {
      ...rest,
      signal: stop.signal,
      ...(!json && { onEvent: showEvents(status) }),
    })
    status.clear()
    console.log(json ? JSON.stringify(tested, null, 2) : describe(folder, tested))
  } catch (error) {
    if (!stop.signal.aborted) throw error
    status.clear()
    console.log(`Stopped. What is done is kept; go on with:\n  ${sameCommand()}`)
    process.exitCode = EXIT.interrupted
  } finally {
    status.clear()
    process.off('SIGINT', end)
  }
}

/** A folder is a run; a configuration stands for the run that `train` makes of it. */
async function folderOf(run: string, set: readonly string[]): Promise<string> {
  const found = await stat(run).catch(() => undefined)
  if (found?.isDirectory()) return run
  if (!found && !run.startsWith('app:') && !(await presetNames()).includes(run)) {
    throw new MnVideoError(
      'run',
      `${run}: there is no such run. Give the folder of one, or the configuration that it was trained with.`,
    )
  }
  const folder = folderFor(run, applyOverrides(await loadConfig(run), set))
  const isTrained = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (isTrained) return folder
  throw new MnVideoError(
    'run',
    `${folder}: there is no such run. Train it first: mn-video train ${shellQuoted(run)}`,
  )
}

function showEvents(status: ReturnType<typeof openStatusLine>): (event: TestEvent) => void {
  let since = performance.now()
  let first = 0
  return (event) => {
    switch (event.event) {
      case 'start':
        status.say(
          `${event.network} on ${event.engine}: ${thousands(event.configurations)} configurations, ${thousands(event.samples)} validation samples${event.done > 0 ? `; ${event.done} are done already` : ''}`,
        )
        for (const line of event.passedOver) status.say(line)
        break
      case 'progress': {
        if (event.done <= 1) {
          since = performance.now()
          first = event.done
        }
        const rate = (performance.now() - since) / 1000 / Math.max(1, event.done - first)
        const left = event.done > first ? `, ${duration((event.total - event.done) * rate)} left` : ''
        status.show(`${event.what} ${event.done} of ${event.total}${left}`)
        break
      }
      case 'result': {
        const { width, frames, size, macs, latencyMs } = event.result
        status.say(
          `  width ${width}, frames ${frames}, size ${size}: ${formatMacs(macs)}, ${accuracies(event.result)}, ${latencyMs} ms`,
        )
        break
      }
    }
  }
}

function describe(folder: string, { results, table }: Tested): string {
  const frontier = frontierOf(results)
  const run = shellQuoted(folder)
  const [{ views = '1x1', precision = 'float32', samples = 0, metric = 'top-1' as const } = {}] = results
  return [
    '',
    `The frontier: ${frontier.length} of ${results.length} configurations that no other beats (${views} views, ${thousands(samples)} samples).`,
    '',
    formatTable([
      [
        'width',
        'frames',
        'size',
        'cost',
        ...(metric === 'mAP' ? ['mAP'] : ['top-1', 'top-5']),
        'latency here',
      ],
      ...frontier.map(row),
    ]),
    '',
    ...leftAside(table, views, precision, metric),
    `In ${run}: query-table.json, ${table.entries.filter(({ statistics }) => statistics).length} files of batch-norm statistics, sweep.jsonl${metric === 'mAP' ? '' : ', predictions'}.`,
    'Next:',
    ...(metric === 'mAP' ? [] : [`  mn-video curve ${run}`]),
    `  mn-video eval … --model ${run} --gflops ${roundedUp(frontier[frontier.length >> 1]!.macs / 1e9, 2)}${precision === 'bf16' ? ' --precision bf16' : ''}`,
  ].join('\n')
}

/** Why a configuration that was tested alone is not in the query table, where it is of other views or another precision. */
function leftAside(table: QueryTable, views: string, precision: Precision, metric: Metric): string[] {
  const { metric: ofTable = 'top-1' } = table
  if (table.views !== undefined && ofTable !== metric) {
    return [
      `The query table stays the one of ${ofTable}. To make one of ${metric}, test several configurations on this list.`,
    ]
  }
  const { precision: tables = 'float32' } = table
  const flags = [
    ...(table.views === views ? [] : [`--views ${table.views}`]),
    ...(tables === precision ? [] : [`--precision ${tables}`]),
  ]
  if (table.views === undefined || flags.length === 0) return []
  const kind = (of: string, at: Precision) => `${of} views${at === 'bf16' ? ' in bf16' : ''}`
  return [
    `The query table stays the one of ${kind(table.views, tables)}. To use this configuration, test it with ${flags.join(' ')}; to make a table of ${kind(views, precision)}, test several.`,
  ]
}

const accuracies = (result: AnyResult): string =>
  result.metric
    ? `mAP ${percent(result.map)}`
    : `top-1 ${percent(result.top1)}, top-5 ${percent(result.top5)}`

const row = (result: AnyResult) => {
  const { width, frames, size, macs, latencyMs, latencyRangeMs } = result
  return [
    width,
    frames,
    size,
    formatMacs(macs),
    ...(result.metric ? [percent(result.map)] : [percent(result.top1), percent(result.top5)]),
    latencyMs === undefined ? '' : `${latencyMs} ms (${latencyRangeMs?.join('–')})`,
  ]
}
