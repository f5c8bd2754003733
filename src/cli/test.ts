/** `mn-video test`: accuracy, cost and latency of every configuration, and the query table made of them. */
import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { applyOverrides, loadConfig, presetNames } from '../config/index.ts'
import type { Precision } from '../engines/precision.ts'
import { MnVideoError } from '../errors.ts'
import { type Tested, testRun } from '../evaluation/test-run.ts'
import type { TestEvent } from '../evaluation/test-setup.ts'
import { isFolder } from '../files/exists.ts'
import { configurationKey } from '../network/resolve.ts'
import { frontierOf } from '../runs/frontier.ts'
import { isShownHigher } from '../runs/interval.ts'
import { chooseUnder, formatMacs, isReady, type QueryTable } from '../runs/query-table.ts'
import type { AnyResult } from '../runs/sweep-results.ts'
import { budgetFlag, collect, count, exampleInput, listOf, positiveNumber } from './arguments.ts'
import { addEngineOptions, addPrecision, type EngineChoice } from './engine-options.ts'
import { doing, endActivity, print } from './progress.ts'
import { EXIT, sameCommand, shellQuoted } from './report.ts'
import { folderFor } from './run-folders.ts'
import { duration, openStatusLine } from './status-line.ts'
import { formatTable, interval, percent, thousands } from './table.ts'
import { runSpansTest, type SpansOptions } from './test-spans.ts'

interface Options extends EngineChoice {
  readonly widths?: readonly number[]
  readonly sizes?: readonly number[]
  readonly frames?: readonly number[]
  readonly views?: string
  readonly set?: readonly string[]
  readonly precision?: Precision
  readonly json?: true
}

export function addTest(program: Command): void {
  const command = program
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
    .option(
      '--spans <file>',
      "in place of all that: find the spans of films that ActivityNet's JSON annotates",
    )
    .option('--root <folder>', '… the folder of the films (default: the one named as the file is)')
    .option('--gflops <budget>', '… what one window may cost (default: the full network)', positiveNumber)
    .option('--mflops <budget>', '… the same in 1e6 multiply-adds', positiveNumber)
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  mn-video test runs/x3d\n  mn-video test runs/x3d --widths 1,0.8,0.63 --sizes 224,160 --views 10x3\n\nAn interrupted test goes on where it stopped: what is done is in sweep.jsonl.',
    )
    .action(async (run: string, { spans, root, gflops, mflops, ...options }: Options & SpansOptions) => {
      const folder = await folderOf(run, options.set ?? [])
      if (spans === undefined) {
        if ((root ?? gflops ?? mflops) !== undefined)
          throw new MnVideoError('usage', '--root, --gflops and --mflops are for --spans FILE.')
        await runTest(folder, options)
      } else await runSpansTest(folder, spans, { root, gflops, mflops, ...options })
    })
  addEngineOptions(command)
  addPrecision(command)
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
    doing(`loading ${folder} and its data`)
    const tested = await testRun(folder, {
      ...rest,
      signal: stop.signal,
      ...(!json && { onEvent: showEvents(status) }),
    })
    status.clear()
    print(json ? JSON.stringify(tested, null, 2) : describe(folder, tested))
  } catch (error) {
    if (!stop.signal.aborted) throw error
    status.clear()
    print(`Stopped. What is done is kept; go on with:\n  ${sameCommand()}`)
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
  if (await isFolder(folder)) return folder
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
        endActivity()
        status.say(
          `${event.network} on ${event.engine}: ${thousands(event.configurations)} configurations, ${thousands(event.samples)} validation samples${event.done > 0 ? `; ${event.done} are done already` : ''}`,
        )
        for (const line of [...event.skipped, ...event.passedOver]) status.say(line)
        if (event.other.configurations > 0) {
          status.say(
            `  ${event.other.configurations} of them were measured before, with other ${event.other.differing.join(' and ')}: these results stay in sweep.jsonl, and do not count here`,
          )
        }
        if (event.withoutStatistics > 0) {
          status.say(
            `  ${event.withoutStatistics} more have no batch-norm statistics, and there is no training data to estimate them from: left out (give --set train_list=FILE or dataset_dir=FOLDER)`,
          )
        }
        break
      case 'bad-file':
        status.say(
          `  cannot be read, ${event.split === 'val' ? 'left out' : 'another of its class taken'}: ${event.file} (${event.reason})`,
        )
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

function describe(folder: string, tested: Tested): string {
  const { results, table, aside } = tested
  const frontier = new Set(frontierOf(results))
  const ready = new Set(table?.entries.filter((entry) => isReady(table, entry)).map(configurationKey))
  const isShown = (result: AnyResult) => aside.length > 0 || ready.has(configurationKey(result))
  const shown = results.filter(isShown).toSorted((a, b) => a.macs - b.macs)
  const run = shellQuoted(folder)
  const [{ views = '1x1', metric = 'top-1' as const } = {}] = results
  const budget = table && budgetFor(table)
  return [
    '',
    `What a budget can buy: ${shown.length} of ${results.length} configurations (${views} views, ${samplesOf(results)}). ${frontier.size} are on the frontier${metric === 'mAP' ? '' : '; intervals are those of 95 %'}.`,
    ...resolutionNote(results),
    '',
    formatTable([
      [
        ...['width', 'frames', 'size', 'cost'],
        ...(metric === 'mAP' ? ['mAP', 'frontier'] : ['top-1', 'interval', 'frontier', 'top-5']),
        'latency here',
      ],
      ...shown.map((result) => row(result, frontier.has(result))),
    ]),
    '',
    ...leftAside(tested),
    ...(table
      ? [
          `In ${run}: query-table.json, ${table.entries.filter(({ statistics }) => statistics).length} files of batch-norm statistics, sweep.jsonl${metric === 'mAP' ? '' : ', predictions'}.`,
        ]
      : [`In ${run}: sweep.jsonl, predictions.`]),
    ...(table
      ? [
          'Next:',
          ...(table.metric === 'mAP' ? [] : [`  mn-video curve ${run}`]),
          ...(budget ? [`  mn-video eval ${exampleInput(tested.media)} --model ${run} ${budget}`] : []),
        ]
      : []),
  ].join('\n')
}

/** The budget that buys the configuration in the middle of what a table's budgets buy, as `eval` takes it. */
function budgetFor(table: QueryTable): string | undefined {
  const ready = table.entries.filter((entry) => isReady(table, entry))
  const bought = [
    ...new Set(ready.map(({ macs }) => chooseUnder({ ...table, entries: ready }, { mflops: macs / 1e6 }))),
  ]
  const middle = bought[bought.length >> 1]
  if (!middle) return undefined
  return `${budgetFlag(middle.macs)}${table.precision ? ` --precision ${table.precision}` : ''}`
}

/** How many samples the accuracies are of; how many could not be read. */
function samplesOf(results: readonly AnyResult[]): string {
  const range = (values: readonly number[]) => {
    const [low, high] = [Math.min(...values), Math.max(...values)]
    return low === high ? thousands(low) : `${thousands(low)} to ${thousands(high)}`
  }
  if (results.length === 0) return 'no samples'
  const unreadable = results.map((result) => result.unreadable ?? 0)
  const bad = Math.max(...unreadable) > 0 ? `, ${range(unreadable)} more cannot be read` : ''
  return `${range(results.map(({ samples }) => samples))} samples${bad}`
}

/** Below this, readers are told what so few samples can show. */
const FEW = 1000

function resolutionNote(all: readonly AnyResult[]): string[] {
  const results = all.flatMap((result) => (result.metric ? [] : [result]))
  const samples = Math.min(...results.map((result) => result.samples))
  if (!(samples < FEW) || results.length < 2) return []
  const best = Math.max(...results.map(({ top1 }) => top1))
  let lower = Math.floor(best * samples)
  while (lower > 0 && !isShownHigher({ top1: best, samples }, { top1: lower / samples, samples })) lower--
  return [
    `So few samples tell ${percent(best)} from ${percent(lower / samples)} or less, not from what lies between: a dearer configuration is on the frontier only where it is shown to be better.`,
  ]
}

/** Why results are not in the query table, and what to do to have them there. */
function leftAside({ results, table, aside }: Tested): string[] {
  if (aside.length === 0) return []
  if (aside.includes('settings')) {
    return [
      `The query table is not changed: these results are of other settings than the run's config.yml has, which \`eval\` goes by. To use them, change config.yml and test again.`,
    ]
  }
  const [{ views = '1x1', precision = 'float32', metric = 'top-1' as const } = {}] = results
  if (aside.includes('metric')) {
    return [
      `The query table stays the one of ${table?.metric ?? 'top-1'}. To make one of ${metric}, test several configurations on this list.`,
    ]
  }
  const { precision: tables = 'float32' } = table ?? {}
  const flags = [
    ...(aside.includes('views') ? [`--views ${table?.views}`] : []),
    ...(aside.includes('precision') ? [`--precision ${tables}`] : []),
    ...(aside.includes('data') ? (table?.set ?? []).map((change) => `--set ${shellQuoted(change)}`) : []),
  ]
  const kind = (of: string | undefined, at: Precision) => `${of} views${at === 'bf16' ? ' in bf16' : ''}`
  const data = aside.includes('data')
  const how = flags.length > 0 ? `with ${flags.join(' ')}` : "on the run's own validation data"
  return [
    `The query table stays the one of ${kind(table?.views, tables)}${data ? ' on other validation data' : ''}. To use this configuration, test it ${how}; to make a table of ${kind(views, precision)}${data ? ' on these data' : ''}, test several.`,
  ]
}

const accuracies = (result: AnyResult): string =>
  result.metric
    ? `mAP ${percent(result.map)}`
    : `top-1 ${percent(result.top1)} (${interval(result.top1, result.samples)}), top-5 ${percent(result.top5)}`

const row = (result: AnyResult, onFrontier: boolean) => {
  const { width, frames, size, macs, samples, latencyMs, latencyRangeMs } = result
  const shown = onFrontier ? 'yes' : ''
  return [
    width,
    frames,
    size,
    formatMacs(macs),
    ...(result.metric
      ? [percent(result.map), shown]
      : [percent(result.top1), interval(result.top1, samples), shown, percent(result.top5)]),
    latencyMs === undefined ? '' : `${latencyMs} ms (${latencyRangeMs?.join('–')})`,
  ]
}
