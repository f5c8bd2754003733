/** `mn-video watch`: what happens now, held to a deadline. */
import { spawn } from 'node:child_process'
import { type Command, InvalidArgumentError } from 'commander'
import type { Precision } from '../engines/precision.ts'
import { loadModel } from '../inference/model.ts'
import { type WatchEvent, watch } from '../inference/streaming/watch.ts'
import { configurationKey } from '../network/resolve.ts'
import { formatMacs, type TableEntry } from '../runs/query-table.ts'
import { newestRun } from '../runs/run-folder.ts'
import { addBudgetOptions, type BudgetOptions, budgetOf, fraction, positiveNumber } from './arguments.ts'
import { addEngineOptions, addPrecision, chosenEngine, type EngineChoice } from './engine-options.ts'
import { timeOnce } from './latencies.ts'
import { modelHeading } from './model-heading.ts'
import { doing, endActivity, print, warn } from './progress.ts'
import { EXIT } from './report.ts'

interface Options extends BudgetOptions, EngineChoice {
  readonly model?: string
  readonly deadline?: number
  readonly share?: number
  readonly every?: number
  readonly fast?: true
  readonly raw?: { readonly width: number; readonly height: number; readonly rate: number }
  readonly spans?: true
  readonly minScore?: number
  readonly minLength?: number
  readonly background?: string
  readonly onSpan?: string
  readonly patience?: number
  readonly labels?: string
  readonly precision: Precision
  readonly json?: true
}

export function addWatch(program: Command): void {
  const command = program
    .command('watch')
    .description('watch a camera, a stream or a file as it goes on, and answer by a deadline')
    .argument('<source>', 'a file, - for standard input, /dev/video0, or an rtsp, rtmp, srt, udp or http URL')
    .option(
      '--deadline <ms>',
      "from a window's end to its answer: the best network that holds it",
      positiveNumber,
    )
    .option('--share <part>', 'in place of that: of the time between answers (default: 0.5)', fraction)
    .option('--every <ms>', 'from one answer to the next (default: half a clip)', positiveNumber)
  addBudgetOptions(command, 'answer')
  command
    .option('--model <run>', 'the run to use (default: the newest under ./runs)')
    .option('--fast', 'a file as fast as it goes, every window answered')
    .option('--raw <WxH@FPS>', 'standard input is RGB frames of that size', rawFormat)
    .option('--spans', 'tell spans as they close')
    .option('--min-score <share>', 'the smoothed score that a span begins with (default: 0.5)', fraction)
    .option('--min-length <seconds>', 'what is shorter is no span (default: half a clip)', positiveNumber)
    .option('--background <class>', 'a class that is no span')
    .option('--on-span <program>', 'a program to run for each span, which gets it as JSON on standard input')
    .option(
      '--patience <seconds>',
      'without a frame before the source is taken for lost (default: 10)',
      positiveNumber,
    )
    .option('--labels <file>', "class names, one a line (default: the run's)")
    .option('--json', 'as JSON Lines: all that happens')
    .addHelpText(
      'after',
      '\nExamples:\n  mn-video watch rtsp://camera/stream --deadline 50\n  mn-video watch /dev/video0 --every 200 --share 0.3 --json\n' +
        '  mn-video watch film.mp4 --fast --gflops 1 --spans',
    )
    .action(run)
  addEngineOptions(command)
  addPrecision(command)
}

async function run(source: string, options: Options): Promise<void> {
  const { labels, precision, json, onSpan } = options
  const folder = options.model ?? (await newestRun())
  doing(`loading ${folder}`)
  const model = await loadModel(folder, {
    ...chosenEngine(options),
    ...(labels !== undefined && { labels }),
    precision,
  })
  const stop = new AbortController()
  const end = () => {
    if (stop.signal.aborted) process.exit(EXIT.interrupted)
    stop.abort()
  }
  process.on('SIGINT', end).on('SIGTERM', end)
  try {
    const budget = budgetOf(options)
    const isFixed = Object.keys(budget).length > 0 || options.fast === true
    // Whatever is chosen by time needs the times.
    if (!isFixed || 'latencyMs' in budget) await timeOnce(model)
    const { deadline, share, every, fast, raw, minScore, minLength, background, patience } = options
    const events = watch(model, source, {
      ...(Object.keys(budget).length > 0 && { budget }),
      ...(deadline !== undefined && { deadline }),
      ...(share !== undefined && { share }),
      ...(every !== undefined && { every }),
      ...(fast && { fast }),
      ...(raw && { raw }),
      ...(patience !== undefined && { patience }),
      ...((options.spans ?? onSpan) && { spans: true }),
      ...(minScore !== undefined && { minScore }),
      ...(minLength !== undefined && { minLength }),
      ...(background !== undefined && { background }),
      signal: stop.signal,
    })
    if (!json) print(modelHeading(model))
    const summary = new Summary()
    doing(`watching ${source}`)
    for await (const event of events) {
      summary.add(event)
      if (event.event === 'span' && onSpan !== undefined) pass(onSpan, asJson(source, event))
      if (json) print(JSON.stringify(asJson(source, event)))
      else show(event, options.spans === true)
    }
    endActivity()
    if (json) print(JSON.stringify({ event: 'end', ...summary.result() }))
    else print(summary.describe())
    if (stop.signal.aborted) process.exitCode = EXIT.interrupted
  } finally {
    process.off('SIGINT', end).off('SIGTERM', end)
    model.dispose()
  }
}

const shape = ({ width, frames, size, macs }: TableEntry): string =>
  `width ${width}, frames ${frames}, size ${size}, ${formatMacs(macs)}`

function show(event: WatchEvent, areSpansAsked: boolean): void {
  const at = (seconds: number) => `${seconds.toFixed(2).padStart(9)} s`
  switch (event.event) {
    case 'answer': {
      const late = event.inTime === false ? '  LATE' : ''
      print(
        `${at(event.end)}  ${(100 * event.score).toFixed(0).padStart(3)} %  ${event.label}  (${event.latencyMs.toFixed(1)} ms${late})`,
      )
      break
    }
    case 'skipped':
      print(`${at(event.end)}  skipped: ${SKIPPED[event.reason]}`)
      break
    case 'span':
      if (areSpansAsked)
        print(
          `${at(event.end)}  span from ${event.start.toFixed(2)} s: ${event.label}, ${(100 * event.score).toFixed(0)} %`,
        )
      break
    case 'switch':
      print(
        `${at(event.time)}  now ${shape(event.configuration)} (runs take ${event.load.toFixed(1)}× as long as alone)`,
      )
      break
    case 'lost':
      warn(`the source is lost: ${event.reason}; trying again in ${event.seconds} s`)
      break
    case 'found':
      warn('the source is back')
      break
    case 'jump':
      warn(`the source's time jumped by ${event.seconds.toFixed(1)} s; it goes on as if it had not`)
  }
}

const SKIPPED = { newer: 'a newer window came', late: 'its deadline had passed', gap: 'frames are missing' }

/** What a script reads. */
function asJson(source: string, event: WatchEvent): object {
  const seconds = (value: number) => Number(value.toFixed(4))
  switch (event.event) {
    case 'answer': {
      const { start, end, label, index, score, configuration, latencyMs, inTime } = event
      return {
        event: 'answer',
        ...{ start: seconds(start), end: seconds(end), label, index, score: seconds(score) },
        configuration: configurationOf(configuration),
        latency_ms: Number(latencyMs.toFixed(3)),
        ...(inTime !== undefined && { in_time: inTime }),
      }
    }
    case 'span': {
      const { start, end, label, index, score, peak } = event
      return {
        event: 'span',
        file: source,
        ...{ start: seconds(start), end: seconds(end), label, index },
        ...{ score: seconds(score), peak: seconds(peak) },
      }
    }
    case 'switch':
      return {
        event: 'switch',
        time: seconds(event.time),
        configuration: configurationOf(event.configuration),
        load: seconds(event.load),
      }
    default:
      return event
  }
}

const configurationOf = ({ width, frames, size, macs }: TableEntry) => ({
  ...{ width, frames, size },
  gflops: macs / 1e9,
})

/** Runs a program, no shell, with a span on its standard input. */
function pass(program: string, span: object): void {
  const child = spawn(program, [], { stdio: ['pipe', 'inherit', 'inherit'] })
  child.on('error', (error) => warn(`--on-span ${program}: ${error.message}`))
  child.stdin.on('error', () => {})
  child.stdin.end(`${JSON.stringify(span)}\n`)
}

class Summary {
  readonly #started = performance.now()
  readonly #processor = process.cpuUsage()
  readonly #skipped = { newer: 0, late: 0, gap: 0 }
  readonly #used = new Map<string, { readonly entry: TableEntry; answers: number }>()
  #answers = 0
  #timed = 0
  #inTime = 0
  #spans = 0
  #switches = 0
  #lost = 0

  add(event: WatchEvent): void {
    if (event.event === 'answer') {
      this.#answers++
      if (event.inTime !== undefined) this.#timed++
      if (event.inTime) this.#inTime++
      const key = configurationKey(event.configuration)
      const used = this.#used.get(key) ?? { entry: event.configuration, answers: 0 }
      used.answers++
      this.#used.set(key, used)
    } else if (event.event === 'skipped') this.#skipped[event.reason]++
    else if (event.event === 'span') this.#spans++
    else if (event.event === 'switch') this.#switches++
    else if (event.event === 'lost') this.#lost++
  }

  result() {
    const seconds = (performance.now() - this.#started) / 1000
    const { user, system } = process.cpuUsage(this.#processor)
    const due = this.#timed + this.#skipped.newer + this.#skipped.late
    return {
      seconds: Number(seconds.toFixed(2)),
      answers: this.#answers,
      answers_per_second: Number((this.#answers / seconds).toFixed(2)),
      skipped: this.#skipped,
      ...(this.#timed > 0 && { deadline_hits: Number((this.#inTime / due).toFixed(5)) }),
      spans: this.#spans,
      switches: this.#switches,
      lost: this.#lost,
      /** Of one processor. */
      processor: Number(((user + system) / 1e6 / seconds).toFixed(3)),
      configurations: [...this.#used.values()].map(({ entry, answers }) => ({
        ...configurationOf(entry),
        answers,
      })),
    }
  }

  describe(): string {
    const { seconds, answers, answers_per_second, skipped, deadline_hits, spans, switches, lost, processor } =
      this.result()
    const all = Object.entries(skipped).filter(([, count]) => count > 0)
    return [
      `${answers} answers in ${seconds} s (${answers_per_second} a second), ${spans} spans, ${switches} switches${lost > 0 ? `, lost ${lost} times` : ''}`,
      ...(deadline_hits === undefined
        ? []
        : [`deadline held by ${(100 * deadline_hits).toFixed(2)} % of what was due`]),
      ...(all.length > 0
        ? [
            `skipped: ${all.map(([reason, count]) => `${count} (${SKIPPED[reason as keyof typeof SKIPPED]})`).join(', ')}`,
          ]
        : []),
      `processor: ${(100 * processor).toFixed(0)} % of one, FFmpeg's not counted`,
      ...[...this.#used.values()].map(
        ({ entry, answers }) => `${String(answers).padStart(7)}  ${shape(entry)}`,
      ),
    ].join('\n')
  }
}

function rawFormat(text: string) {
  const [, width, height, rate] = /^(\d+)x(\d+)@(\d+(?:\.\d+)?)$/.exec(text) ?? []
  const format = { width: Number(width), height: Number(height), rate: Number(rate) }
  if (format.width >= 1 && format.height >= 1 && format.width * format.height <= 2 ** 26 && format.rate > 0)
    return format
  throw new InvalidArgumentError('Give WIDTHxHEIGHT@FPS, such as 640x480@30.')
}
