/** `mn-video train`: trains the network of a configuration into a run. */
import { join } from 'node:path'
import type { Command } from 'commander'
import type { Taken } from '../checkpoints/import/taken.ts'
import { applyOverrides, type Config, configFile, isVideo, loadConfig } from '../config/index.ts'
import { classNamesOf, withClassesOfData } from '../data/sets/dataset.ts'
import { MnVideoError } from '../errors.ts'
import { shownPath } from '../files/media-file.ts'
import { buildNetwork } from '../models/index.ts'
import { writeRun } from '../runs/create-run.ts'
import type { DataChangedEvent, StepEvent, TrainingEvent, UsedData } from '../runs/log.ts'
import { formatMacs, untrainedTable } from '../runs/query-table.ts'
import { dryRun } from '../training/dry-run.ts'
import { freshStart } from '../training/start.ts'
import { type Trained, train } from '../training/train.ts'
import { collect } from './arguments.ts'
import { addEngineOptions, chosenEngine, type EngineChoice } from './engine-options.ts'
import { describeTaken } from './import-report.ts'
import { doing, endActivity, print, warn } from './progress.ts'
import { EXIT, shellQuoted } from './report.ts'
import { folderFor } from './run-folders.ts'
import { duration, openStatusLine, type StatusLine } from './status-line.ts'
import { formatTable, interval, percent, thousands } from './table.ts'
import { runTest } from './test.ts'

interface Options extends EngineChoice {
  readonly set?: readonly string[]
  readonly out?: string
  readonly resume?: true
  readonly dryRun?: true
  readonly tensorboard?: true
}

const SIGNAL_EXITS = { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated } as const

export function addTrain(program: Command): void {
  const command = program
    .command('train')
    .description('train one network for every budget, by mutual learning over width × size × frames')
    .argument(
      '<config>',
      "a configuration file, a run's folder, or the name of a recipe (x3d, slow, mobilenet_v1, …)",
    )
    .option('--set <key=value>', 'a configuration key to change; may be repeated', collect)
    .option('--out <run>', "the run's folder (default: log_dir/CONFIG)")
    .option('--resume', "go on from the run's latest checkpoint")
    .option('--dry-run', 'read the data, run one step, and tell time and memory; nothing is written')
    .option('--tensorboard', "write TensorBoard event files into the run's folder")
    .addHelpText(
      'after',
      '\nExamples:\n  mn-video train configs/x3d.yml --set dataset_dir=/data/kinetics --set batch_size=8 --set accumulate=16\n' +
        '  mn-video train configs/mobilenet_v1.yml --dry-run\n  mn-video train configs/x3d.yml --resume',
    )
    .action(async (path: string, options: Options) => {
      const file = await configFile(path)
      doing(`reading ${file}`)
      const config = await withClassesOfData(applyOverrides(await loadConfig(file), options.set ?? []))
      const using = chosenEngine(options)
      if (options.dryRun) doing('decoding one batch and running one step')
      if (options.dryRun) return print(await describeDryRun(config, using))
      const folder = options.out ?? folderFor(file, config)
      if (config.test_only) return testOnly(config, folder, using)
      await trainWithSignals(config, folder, { ...using, ...options })
    })
  addEngineOptions(command)
}

/** MutualNet's `test_only: True`: the weights of `pretrained` are tested, no training. */
async function testOnly(config: Config, folder: string, using: Parameters<typeof dryRun>[1]): Promise<void> {
  if (config.pretrained !== '') {
    const network = buildNetwork(config)
    const { weights, taken } = await freshStart(network, config)
    if (taken) print(pretrainedLines(taken))
    const { width_mult_list: widths, frames_list: frames, resolution_list: sizes } = config
    const labels = await classNamesOf(config)
    await writeRun(folder, {
      config,
      weights,
      labels,
      table: untrainedTable(network, { widths, frames, sizes }),
    })
  }
  await runTest(folder, using ?? {})
}

async function trainWithSignals(config: Config, folder: string, options: Options): Promise<void> {
  const stop = new AbortController()
  let ended: keyof typeof SIGNAL_EXITS | undefined
  const end = (signal: keyof typeof SIGNAL_EXITS) => {
    // Asked twice: at once. The last checkpoint is whole.
    if (ended) process.exit(SIGNAL_EXITS[signal])
    ended = signal
    status.say('stopping after this step; once more stops at once')
    stop.abort()
  }
  const status = openStatusLine()
  doing('opening data sets and engine')
  const resume = `mn-video train ${shellQuoted(join(folder, 'config.yml'))} --resume`
  process.on('SIGINT', end).on('SIGTERM', end)
  const show = showEvents(config, status)
  let saved: number | undefined
  try {
    const { tensorboard } = options
    const trained = await train(config, {
      folder,
      signal: stop.signal,
      onEvent: (event) => {
        const isResumed = event.event === 'start' && event.step > 0
        if (event.event === 'checkpoint' || isResumed) saved = event.step
        show(event)
      },
      ...(options.resume && { resume: true }),
      ...(tensorboard && { tensorboard }),
      ...chosenEngine(options),
    })
    status.clear()
    if (trained.reason === 'done') return print(summary(config, trained))
    print(`Stopped after step ${trained.step}, which is kept. Go on with:\n  ${resume}`)
    process.exitCode = SIGNAL_EXITS[ended ?? 'SIGINT']
  } catch (error) {
    status.clear()
    // What a training ends with by itself it would come to again.
    const isItsOwn = error instanceof MnVideoError && error.code === 'training'
    if (saved !== undefined && !isItsOwn)
      warn(`The checkpoint of step ${saved} is whole; go on from it with:\n  ${resume}`)
    throw error
  } finally {
    status.clear()
    process.off('SIGINT', end).off('SIGTERM', end)
  }
}

/** A line that is drawn over on a terminal; in a file or pipe a plain line now and then. */
function showEvents(config: Config, status: StatusLine): (event: TrainingEvent) => void {
  let recent: StepEvent[] = []
  let steps = 0
  let stepsPerEpoch = 1
  return (event) => {
    switch (event.event) {
      case 'start':
        endActivity()
        steps = event.steps
        stepsPerEpoch = event.stepsPerEpoch
        status.say(
          `${event.network}, method ${event.method}, on ${event.engine}\n` +
            `${thousands(event.trainingSamples)} training and ${thousands(event.validationSamples)} validation samples; ${thousands(steps)} steps, ${thousands(stepsPerEpoch)} an epoch; ` +
            `a step takes ${(event.bytes / 2 ** 30).toFixed(2)} GiB${event.step > 0 ? `; resumed after step ${event.step}` : ''}`,
        )
        for (const line of event.notes ?? []) status.say(line)
        break
      case 'pretrained':
        status.say(pretrainedLines(event))
        break
      case 'data-changed':
        status.say(dataChangedLine(event))
        break
      case 'step':
        recent.push(event)
        if (event.step % config.print_freq === 0 || event.step === steps) {
          status.say(stepLine(recent, steps))
          recent = []
        } else status.show(stepLine(recent, steps))
        break
      case 'progress':
        status.show(`${event.what} ${event.done} of ${event.total}`)
        break
      case 'validation': {
        const { width, frames, size } = event
        status.say(
          `  validation after epoch ${Math.round(event.epoch)}: width ${width}, ${isVideo(config.model) ? `frames ${frames}, ` : ''}size ${size}, ${formatMacs(event.macs)}: top-1 ${percent(event.top1)} (${interval(event.top1, event.samples)}), top-5 ${percent(event.top5)}, ${thousands(event.samples)} samples${event.unreadable ? `, ${thousands(event.unreadable)} more cannot be read` : ''}`,
        )
        break
      }
      case 'bad-file':
        status.say(
          `  cannot be read, ${event.split === 'val' ? 'left out' : 'another of its class taken'}: ${shownPath(event.file)} (${event.reason})`,
        )
        break
      case 'checkpoint':
      case 'end':
        break
    }
  }
}

/** What training starts from, in the words of `import`. */
const pretrainedLines = (taken: Taken): string =>
  ['pretrained:', ...describeTaken(taken)].join('\n').replaceAll('\n', '\n  ')

function dataChangedLine({ split, before, now }: DataChangedEvent): string {
  const shown = ({ files, sha256 }: UsedData) => `${thousands(files)} samples, sha256 ${sha256.slice(0, 16)}…`
  const what = split === 'train' ? 'training' : 'validation'
  return `warning: ${now.origin}: these are not the ${what} data that the run had before (${shown(before)}; now ${shown(now)})`
}

/** The latest step, its losses averaged over the steps since the last line. */
function stepLine(events: readonly StepEvent[], steps: number): string {
  const last = events.at(-1)!
  const losses = Object.keys(last.losses).map((name) => {
    const mean = events.reduce((sum, { losses }) => sum + losses[name]!, 0) / events.length
    return `${name} ${mean.toFixed(3)}`
  })
  const top1 = events.reduce((sum, event) => sum + event.top1, 0) / events.length
  return [
    `step ${last.step}/${steps}`,
    `epoch ${last.epoch.toFixed(2)}`,
    `loss ${losses.join(', ')}`,
    `top-1 ${percent(top1)}`,
    `lr ${Number(last.lr.toPrecision(3))}`,
    `${last.samplesPerSecond.toPrecision(3)}/s`,
    `waiting ${Math.round(100 * last.waitShare)} %`,
    `${duration(last.secondsLeft)} left`,
  ].join('  ')
}

function summary(config: Config, { folder, step, validation }: Trained): string {
  const rows = validation?.entries.map(({ width, frames, size, macs, top1, top5, samples }) => [
    width,
    frames,
    size,
    formatMacs(macs),
    percent(top1),
    interval(top1, samples),
    percent(top5),
  ])
  const run = shellQuoted(folder)
  const input = isVideo(config.model) ? '--clip video.mp4' : '--image picture.jpg'
  return [
    `Done after ${thousands(step)} steps. In ${run}: model.safetensors, query-table.json, checkpoints, log.jsonl.`,
    ...(rows
      ? ['', formatTable([['width', 'frames', 'size', 'cost', 'top-1', 'interval', 'top-5'], ...rows]), '']
      : []),
    'Next:',
    `  mn-video test ${run}      # every width, size and frame count: the whole query table`,
    `  mn-video eval ${input} --model ${run}`,
  ].join('\n')
}

async function describeDryRun(config: Config, options: Parameters<typeof dryRun>[1]): Promise<string> {
  const found = await dryRun(config, options)
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(2)} GiB`
  const samples = config.batch_size * config.accumulate
  const losses = found.result.losses.map(({ name, configuration: { width, frames, size }, loss }) => [
    name,
    width,
    frames,
    size,
    loss.toFixed(4),
  ])
  return [
    ...(found.taken ? [pretrainedLines(found.taken)] : []),
    `${found.network}, method ${config.method}, on ${found.engine}`,
    `${thousands(found.trainingSamples)} training and ${thousands(found.validationSamples)} validation samples, ${config.num_classes} classes`,
    ...found.notes,
    '',
    formatTable([['sub-network', 'width', 'frames', 'size', 'loss'], ...losses]),
    '',
    `decoding     ${found.decodeSeconds.toFixed(2)} s for the first ${thousands(found.result.samples)} samples`,
    `a step       ${found.stepSeconds.toFixed(2)} s for ${thousands(found.result.samples)} of ${thousands(samples)} samples: ${(found.result.samples / found.stepSeconds).toPrecision(3)} a second`,
    `memory       ${gib(found.bytes)} for a step's values; the program has held up to ${gib(found.residentBytes)}`,
    `training     ${thousands(found.steps)} steps (${thousands(found.stepsPerEpoch)} an epoch): about ${duration(found.steps * Math.max(found.stepSeconds, found.decodeSeconds))}, and ${found.validated} configurations at every validation`,
    '',
    'Dry run: nothing was written.',
  ].join('\n')
}
