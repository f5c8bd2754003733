/** `mn-video eval`: classify videos or images with the best configuration under a budget. */
import { type Command, Option } from 'commander'
import { formatViews, parseViews } from '../config/views.ts'
import { describeEngine, type Precision, skippedLines } from '../engines/precision.ts'
import { MnVideoError } from '../errors.ts'
import { shownPath } from '../files/media-file.ts'
import { type Classification, classify } from '../inference/classify.ts'
import { loadModel, type Model } from '../inference/model.ts'
import type { Budget } from '../inference/options.ts'
import { configurationKey, fullConfiguration } from '../network/resolve.ts'
import { isOutdated } from '../runs/conditions.ts'
import { accuracyOf, betterOnceCalibrated, formatMacs, type TableEntry } from '../runs/query-table.ts'
import { calibrateCommand, newestRun } from '../runs/run-folder.ts'
import { addBudgetOptions, type BudgetOptions, budgetOf, count } from './arguments.ts'
import { addEngineOptions, addPrecision, chosenEngine, type EngineChoice } from './engine-options.ts'
import { timeOnce } from './latencies.ts'
import { doing, print } from './progress.ts'
import { EXIT, errorJson, report } from './report.ts'
import { formatTable, interval } from './table.ts'

interface Options extends BudgetOptions, EngineChoice {
  readonly clip?: readonly string[]
  readonly image?: readonly string[]
  readonly model?: string
  readonly views?: string
  readonly topk: number
  readonly per: 'clip' | 'video'
  readonly labels?: string
  readonly precision: Precision
  readonly json?: true
}

export function addEval(program: Command): void {
  const command = program
    .command('eval')
    .description('classify videos or images at the cost you can afford')
    .option('--clip <file...>', 'videos')
    .option('--image <file...>', 'images')
  addBudgetOptions(command, 'clip or image')
  command
    .addOption(
      new Option('--per <what>', 'what a budget is for: one clip, or all views of a video')
        .choices(['clip', 'video'])
        .default('clip'),
    )
    .option('--model <run>', 'the run to use (default: the newest under ./runs)')
    .option('--views <TxS>', "temporal views × 1 or 3 crops of a video (default: the run's)")
    .option('--topk <count>', 'classes to list', count, 5)
    .option('--labels <file>', "class names, one a line (default: the run's)")
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  mn-video eval --clip video.mp4 --gflops 2\n  mn-video eval --clip a.mp4 b.mp4 --views 10x3 --gflops 1 --json\n' +
        '  mn-video eval --clip=-odd-name.mp4 --width 0.63 --frames 6 --size 144',
    )
    .action(evaluate)
  addEngineOptions(command)
  addPrecision(command)
}

async function evaluate(options: Options, command: Command): Promise<void> {
  const debug = command.optsWithGlobals<{ debug?: boolean }>().debug === true
  const views = options.views === undefined ? undefined : parseViews(options.views)
  if (!options.clip && !options.image) {
    throw new MnVideoError('usage', 'nothing to classify. Give --clip FILE… or --image FILE….')
  }
  const { labels, precision } = options
  const run = options.model ?? (await newestRun())
  doing(`loading ${run}`)
  const model = await loadModel(run, {
    ...chosenEngine(options),
    ...(labels !== undefined && { labels }),
    precision,
  })
  try {
    const files = filesFor(model, options)
    const used = views ?? parseViews(model.config.views)
    const budget = shareOf(budgetOf(options), options.per === 'video' ? used.temporal * used.spatial : 1)
    if ('latencyMs' in budget) await timeOnce(model)
    const chosen = model.choose(budget)
    if (!options.json) print(heading(model, chosen, budget, formatViews(used)))
    const results: object[] = []
    for (const [i, file] of files.entries()) {
      try {
        const name =
          files.length > 1 ? `${shownPath(file)}, file ${i + 1} of ${files.length}` : shownPath(file)
        doing(`classifying ${name}`)
        const onView = (done: number, total: number) => doing(`classifying ${name}: view ${done} of ${total}`)
        const result = await classify(model, file, {
          budget,
          ...(views && { views }),
          onView,
        })
        if (options.json) results.push(asJson(model, result, options.topk))
        else print(`\n${describe(model, result, options.topk)}`)
      } catch (error) {
        if (!(error instanceof MnVideoError)) throw error
        // The other files still deserve an answer.
        process.exitCode = EXIT.failed
        if (options.json) results.push({ file, ...errorJson(error) })
        else report(error, debug)
      }
    }
    if (options.json) print(JSON.stringify(results, null, 2))
  } finally {
    model.dispose()
  }
}

/** What one of some views may cost. */
function shareOf(budget: Budget, views: number): Budget {
  if ('gflops' in budget) return { gflops: budget.gflops / views }
  if ('mflops' in budget) return { mflops: budget.mflops / views }
  return 'latencyMs' in budget ? { latencyMs: budget.latencyMs / views } : budget
}

function filesFor(model: Model, { clip, image, views }: Options): readonly string[] {
  const video = model.network.media === 'video'
  const [wanted, other] = video ? [clip, image] : [image, clip]
  if (other) {
    throw new MnVideoError(
      'usage',
      `${model.folder} is ${model.network.name}, which classifies ${video ? 'videos' : 'images'}. Give ${video ? '--clip' : '--image'}, or another --model.`,
    )
  }
  if (!video && views !== undefined)
    throw new MnVideoError('usage', '--views is for videos; an image has one view.')
  return wanted!
}

function heading(model: Model, entry: TableEntry, budget: Budget, views: string): string {
  const unit = model.network.media === 'video' ? 'clip' : 'image'
  return [
    `model   ${model.folder}: ${model.network.name}, ${model.network.classes} classes${model.table.trained ? '' : ' — UNTRAINED weights: the scores mean nothing'}`,
    `engine  ${describeEngine(model.engine, model.precision)}`,
    ...skippedLines(model.engine).map((line) => `        ${line}`),
    `chosen  width ${entry.width}, ${unit === 'clip' ? `frames ${entry.frames}, ` : ''}size ${entry.size}: ${formatMacs(entry.macs)} per ${unit}${accuracy(model, entry, views)}`,
    ...betterNote(model, budget, views),
  ].join('\n')
}

/** What an entry is known to reach, and with which views where they are not those that are run. */
function accuracy({ table, config }: Model, entry: TableEntry, views: string): string {
  const known = accuracyOf(entry)
  if (known === undefined) return ''
  const { source, top1, samples } = entry
  const percent = `, ${(100 * known).toFixed(2)} % ${table.metric ?? 'top-1'}`
  if (source === 'published') return `${percent} published`
  const sure = samples === undefined || top1 === undefined ? '' : ` (${interval(top1, samples)})`
  const how = (table.views ?? views) === views ? '' : ` with ${table.views} views`
  const settings = isOutdated(table, config) ? ', with other settings than config.yml has now' : ''
  return `${percent}${sure} on validation${how}${settings}`
}

/** Which configuration under the budget is known to be good, but waits for its batch-norm statistics. */
function betterNote(model: Model, budget: Budget, views: string): string[] {
  const better =
    'gflops' in budget || 'mflops' in budget
      ? betterOnceCalibrated(model.table, budget)
      : fullOnceCalibrated(model, budget)
  if (!better) return []
  const { width, frames, size, macs } = better
  const shape = `width ${width}${model.network.media === 'video' ? `, frames ${frames}` : ''}, size ${size}`
  return [
    `note    ${shape}: ${formatMacs(macs)}${accuracy(model, better, views)}, once it is calibrated: ${calibrateCommand(model, better)}`,
  ]
}

/** The full network, where it was to run and something else does, because it has no statistics of its own. */
function fullOnceCalibrated(model: Model, budget: Budget): TableEntry | undefined {
  if (Object.keys(budget).length > 0) return undefined
  const full = fullConfiguration(model.network)
  const chosen = model.choose(budget)
  return configurationKey(chosen) === configurationKey(full) ? undefined : model.choose(full)
}

function describe(model: Model, result: Classification, topk: number): string {
  const { decodeSeconds, computeSeconds, views } = result
  const seconds = `decode ${decodeSeconds.toFixed(2)} s, compute ${computeSeconds.toFixed(2)} s`
  const cost =
    model.network.media === 'video'
      ? `${views} view${views === 1 ? '' : 's'}, ${formatMacs(result.macs)} per video, ${seconds}`
      : seconds
  const rows = result.ranking.slice(0, topk)
  return [
    shownPath(result.file),
    cost,
    formatTable([
      ['rank', 'score', 'class'],
      ...rows.map(({ label, score }, rank) => [rank + 1, `${(100 * score).toFixed(2)} %`, label]),
    ]),
  ].join('\n')
}

/** What a script reads: FLOPs in G, seconds, probabilities. */
function asJson(model: Model, result: Classification, topk: number): object {
  const { width, frames, size, macs, params, top1, source, samples, top1Interval } = result.configuration
  return {
    file: result.file,
    model: model.folder,
    network: model.network.name,
    trained: model.table.trained,
    engine: describeEngine(model.engine, model.precision),
    configuration: {
      width,
      frames,
      size,
      gflops_per_clip: macs / 1e9,
      params,
      ...(top1 !== undefined && { top1, top1_source: source ?? 'measured' }),
      ...(top1Interval && { top1_interval: top1Interval, top1_samples: samples }),
    },
    views: result.views,
    gflops_per_video: result.macs / 1e9,
    decode_seconds: Number(result.decodeSeconds.toFixed(4)),
    compute_seconds: Number(result.computeSeconds.toFixed(4)),
    top: result.ranking.slice(0, topk),
  }
}
