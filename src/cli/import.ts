/** `mn-video import`: a run of weights that PyTorch, Caffe2, another program or this one saved. */
import { type Command, Option } from 'commander'
import { takenOf } from '../checkpoints/import/taken.ts'
import { applyOverrides, type Config, loadConfig } from '../config/index.ts'
import { clipSpan, testPicture } from '../data/loading/test-clips.ts'
import { classNamesOf, withClassesOfData } from '../data/sets/dataset.ts'
import type { Network } from '../network/graph.ts'
import { writeRun } from '../runs/create-run.ts'
import { type ImportedRun, importRun } from '../runs/import-run.ts'
import { formatMacs, isReady } from '../runs/query-table.ts'
import { collect } from './arguments.ts'
import { describeTaken, reportLine } from './import-report.ts'
import { doing, print } from './progress.ts'
import { shellQuoted } from './report.ts'

interface Options {
  readonly config: string
  readonly set?: readonly string[]
  readonly out: string
  readonly strict?: true
  readonly head?: 'keep' | 'replace'
  readonly dryRun?: true
}

export function addImport(program: Command): void {
  program
    .command('import')
    .description("make a run of a PyTorch, Caffe2 or safetensors file's weights")
    .argument('<file>', 'a checkpoint: torch.save (zip or legacy), a pickle of blobs, or safetensors')
    .requiredOption('--config <config>', 'the configuration of its network, or the name of a recipe')
    .option('--set <key=value>', 'a configuration key to change; may be repeated', collect)
    .requiredOption('--out <run>', 'the folder to make; new or empty')
    .option('--strict', 'refuse a file that lacks anything or has anything more')
    .addOption(
      new Option(
        '--head <choice>',
        "the classifier: the file's (keep) or a fresh one (replace); default: the file's where the class counts agree",
      ).choices(['keep', 'replace']),
    )
    .option('--dry-run', 'report what would be imported, and write nothing')
    .addHelpText(
      'after',
      '\nExamples:\n  mn-video import X3D_M.pyth --config x3d --out runs/x3d\n  mn-video import resnet50.pth --config slow --out runs/slow --dry-run',
    )
    .action(async (file: string, { config: path, set = [], out, strict, head, dryRun }: Options) => {
      const config = await withClassesOfData(applyOverrides(await loadConfig(path), set))
      doing(`reading ${file}`)
      const run = await importRun(file, config, { ...(strict && { strict }), ...(head && { head }) })
      print(describe(file, run))
      if (dryRun) return print(`\nNext: ${withoutDryRun()}\n\nDry run: nothing was written.`)
      doing(`writing ${out}`)
      await writeRun(out, { ...run, labels: await classNamesOf(config) })
      print(`\n${out}: ${next(run, out)}`)
    })
}

/** This command, to be done. */
const withoutDryRun = (): string =>
  ['mn-video', ...process.argv.slice(2).filter((argument) => argument !== '--dry-run')]
    .map(shellQuoted)
    .join(' ')

function describe(path: string, { file, config, network, imported }: ImportedRun): string {
  const widths = imported.statistics.map(({ width }) => width).join(', ')
  return [
    ...describeTaken(takenOf(path, file, network, imported, { statistics: true })),
    reportLine('statistics', widths ? `width ${widths}, ${network.frames} × ${network.size}²` : 'none'),
    reportLine('pictures', pictures(config, network)),
  ].join('\n')
}

/** What the run will make of a file, in the words of its configuration's keys. */
function pictures(config: Config, network: Network): string {
  const { shortSide, side, scaling } = testPicture(network, config, network.size)
  const { frames, stride, rate } = clipSpan(network, config)
  const clip = network.media === 'video' ? `${frames} frames of ${frames * stride} at ${rate} a second, ` : ''
  return `${clip}short side ${shortSide}, crop ${side}, scaling ${scaling}, mean ${config.mean.map(short)}, std ${config.std.map(short)}`
}

const short = (value: number): number => Number(value.toPrecision(4))

/** What the run is good for, and the command that goes on with it. */
function next({ network, config, table, imported }: ImportedRun, out: string): string {
  const run = shellQuoted(out)
  const input = network.media === 'video' ? '--clip video.mp4' : '--image picture.jpg'
  if (!imported.complete) {
    const data = hasData(config) ? '' : ' --set dataset_dir=DATA'
    if (hasAllWeights(imported)) {
      return [
        `${network.name}, without batch-norm statistics, which are estimated from training data.`,
        `Next: mn-video test ${run}${data}`,
      ].join('\n')
    }
    return [
      `${network.name}, partly fresh weights: a start for training, its scores mean nothing yet.`,
      `Next: mn-video train ${run} --set pretrained=${run}${data} --out ${shellQuoted(`${withoutSlash(out)}-trained`)}`,
    ].join('\n')
  }
  const ready = table.entries.filter((entry) => isReady(table, entry))
  const costs = ready.map((entry) => `width ${entry.width} at ${formatMacs(entry.macs)}`).join(', ')
  const waiting = table.entries.length - ready.length
  return [
    `${network.name}, ready at ${costs}. Other widths, frames and sizes need calibration: they have no batch-norm statistics.`,
    ...(table.entries.some(({ source }) => source === 'published')
      ? [
          `Accuracies in its query table are those published for MutualNet's weights, not measured on these; ${waiting} of its configurations wait for calibration (mn-video test ${run}).`,
        ]
      : []),
    `Next: mn-video eval ${input} --model ${run}`,
  ].join('\n')
}

const hasData = ({ dataset_dir, train_list }: Config): boolean => dataset_dir !== '' || train_list !== ''

/** Whether nothing but running statistics is missing. */
const hasAllWeights = ({ report: { missing, headReplaced } }: ImportedRun['imported']): boolean =>
  headReplaced === undefined && missing.every((name) => /\.running_(?:mean|var)$/.test(name))

const withoutSlash = (folder: string): string => folder.replace(/\/+$/, '')
