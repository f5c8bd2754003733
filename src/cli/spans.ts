/** `mn-video spans`: what happens when in videos. */
import { dirname, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Command } from 'commander'
import { describeEngine, type Precision, skippedLines } from '../engines/precision.ts'
import { MnVideoError } from '../errors.ts'
import { shownPath } from '../files/media-file.ts'
import { requireOtherFile, writeAtomically } from '../files/write.ts'
import { loadModel, type Model } from '../inference/model.ts'
import type { WindowScores } from '../inference/streaming/span-finder.ts'
import { type FilmSpans, findSpans, type NamedSpan } from '../inference/streaming/spans.ts'
import { spanLine, spansCsv, spansVtt } from '../report/span-formats.ts'
import { timelineHtml } from '../report/timeline.ts'
import { formatMacs, type TableEntry } from '../runs/query-table.ts'
import { newestRun } from '../runs/run-folder.ts'
import { addBudgetOptions, type BudgetOptions, budgetOf, fraction, positiveNumber } from './arguments.ts'
import { addEngineOptions, addPrecision, chosenEngine, type EngineChoice } from './engine-options.ts'
import { timeOnce } from './latencies.ts'
import { doing, print, startSeconds } from './progress.ts'
import { EXIT, errorJson, report } from './report.ts'

interface Options extends BudgetOptions, EngineChoice {
  readonly model?: string
  readonly labels?: string
  readonly precision: Precision
  readonly stride?: number
  readonly minScore?: number
  readonly minLength?: number
  readonly background?: string
  readonly json?: true
  readonly csv?: true
  readonly vtt?: string
  readonly html?: string
}

export function addSpans(program: Command): void {
  const command = program
    .command('spans')
    .description('find what happens when in videos: spans of time, their class and score')
    .argument('<file...>', 'videos')
  addBudgetOptions(command, 'window')
  command
    .option('--model <run>', 'the run to use (default: the newest under ./runs)')
    .option('--stride <seconds>', 'from one window to the next (default: half a clip)', positiveNumber)
    .option('--min-score <share>', 'the smoothed score that a span begins with (default: 0.5)', fraction)
    .option('--min-length <seconds>', 'what is shorter is no span (default: half a clip)', positiveNumber)
    .option('--background <class>', 'a class that is no span')
    .option('--labels <file>', "class names, one a line (default: the run's)")
    .option('--json', 'as JSON Lines, each span as it closes')
    .option('--csv', 'as CSV')
    .option('--vtt <file>', "write one video's spans as WebVTT, which any player shows")
    .option('--html <file>', 'write a page with the video beside its timeline')
    .addHelpText(
      'after',
      '\nExamples:\n  mn-video spans film.mp4 --gflops 2\n  mn-video spans *.mp4 --gflops 1 --json > spans.jsonl\n' +
        '  mn-video spans film.mp4 --mflops 500 --vtt film.vtt --html film.html',
    )
    .action(run)
  addEngineOptions(command)
  addPrecision(command)
}

async function run(files: readonly string[], options: Options, command: Command): Promise<void> {
  const debug = command.optsWithGlobals<{ debug?: boolean }>().debug === true
  await checkOutputs(files, options)
  const { labels, precision } = options
  const folder = options.model ?? (await newestRun())
  doing(`loading ${folder}`)
  const model = await loadModel(folder, {
    ...chosenEngine(options),
    ...(labels !== undefined && { labels }),
    precision,
  })
  try {
    const budget = budgetOf(options)
    if ('latencyMs' in budget) await timeOnce(model)
    const isForPeople = !options.json && !options.csv
    if (isForPeople) print(heading(model, model.choose(budget)))
    const films: FilmSpans[] = []
    for (const [i, file] of files.entries()) {
      try {
        const name =
          files.length > 1 ? `${shownPath(file)}, file ${i + 1} of ${files.length}` : shownPath(file)
        const progress = startSeconds(`looking through ${name}`)
        const windows: WindowScores[] = []
        const tell = (span: NamedSpan) => options.json && print(spanLine(file, span))
        const { stride, minScore, minLength, background } = options
        const film = await findSpans(
          model,
          file,
          {
            budget,
            ...(stride !== undefined && { stride }),
            ...(minScore !== undefined && { minScore }),
            ...(minLength !== undefined && { minLength }),
            ...(background !== undefined && { background }),
            onProgress: progress,
            // Kept for the page alone.
            ...(options.html !== undefined && { onWindow: (window) => void windows.push(window) }),
          },
          tell,
        )
        films.push(film)
        if (isForPeople) print(`\n${describe(film)}`)
        if (options.vtt !== undefined) await write(options.vtt, spansVtt(film))
        if (options.html !== undefined) await write(options.html, page(options.html, model, film, windows))
      } catch (error) {
        if (!(error instanceof MnVideoError)) throw error
        // The other files still deserve an answer.
        process.exitCode = EXIT.failed
        if (options.json) print(JSON.stringify({ file, ...errorJson(error) }))
        else report(error, debug)
      }
    }
    if (options.csv) print(spansCsv(films).trimEnd())
    else if (isForPeople)
      for (const file of [options.vtt, options.html]) if (file) print(`\nwritten: ${file}`)
  } finally {
    model.dispose()
  }
}

async function checkOutputs(files: readonly string[], { json, csv, vtt, html }: Options): Promise<void> {
  if (json && csv) throw new MnVideoError('usage', 'give one of --json and --csv.')
  for (const [flag, output] of [
    ['--vtt', vtt],
    ['--html', html],
  ] as const) {
    if (output === undefined) continue
    if (files.length > 1)
      throw new MnVideoError(
        'usage',
        `${flag} is of one video, and ${files.length} are given. Give one at a time.`,
      )
    await requireOtherFile(files[0]!, output, 'the video itself')
  }
}

const write = (file: string, text: string): Promise<void> => writeAtomically(file, [Buffer.from(text)])

function page(output: string, model: Model, film: FilmSpans, windows: readonly WindowScores[]): string {
  const from = dirname(resolve(output))
  const path = relative(from, resolve(film.file))
  // On another drive there is no relative path.
  const source = /^[a-z]:/i.test(path)
    ? pathToFileURL(resolve(film.file)).href
    : path.split(/[\\/]/).map(encodeURIComponent).join('/')
  return timelineHtml({
    title: shownPath(film.file),
    source,
    film,
    windows,
    note: heading(model, film.configuration).replaceAll('\n', '; '),
  })
}

function heading(model: Model, { width, frames, size, macs }: TableEntry): string {
  const { folder, network, table } = model
  return [
    `model   ${folder}: ${network.name}, ${network.classes} classes${table.trained ? '' : ' — UNTRAINED weights: the scores mean nothing'}`,
    `engine  ${describeEngine(model.engine, model.precision)}`,
    ...skippedLines(model.engine).map((line) => `        ${line}`),
    `chosen  width ${width}, frames ${frames}, size ${size}: ${formatMacs(macs)} per window`,
  ].join('\n')
}

function describe({ file, spans, duration, window, stride, windows }: FilmSpans): string {
  const seconds = (value: number) => value.toFixed(2).padStart(9)
  const rows = [...spans]
    .sort((a, b) => a.start - b.start || a.end - b.end)
    .map(
      ({ start, end, label, score, peak }) =>
        `${seconds(start)} – ${seconds(end)} s  ${(100 * score).toFixed(0).padStart(3)} %  (peak ${(100 * peak).toFixed(0).padStart(3)} %)  ${label}`,
    )
  const count = `${windows} window${windows === 1 ? '' : 's'} of ${window.toFixed(2)} s, every ${stride.toFixed(2)} s of ${duration.toFixed(2)}`
  return [
    shownPath(file),
    count,
    ...(rows.length > 0 ? rows : ['no class reaches the threshold anywhere']),
  ].join('\n')
}
