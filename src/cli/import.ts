/** `mn-video import`: a run of weights that PyTorch, Caffe2 or another program saved. */
import { type Command, Option } from 'commander'
import { loadConfig } from '../config/index.ts'
import { classNamesOf, withClassesOfData } from '../data/dataset.ts'
import { type ImportedRun, importRun } from '../evaluation/import-run.ts'
import { formatMacs, isReady } from '../evaluation/query-table.ts'
import { writeRun } from '../evaluation/run-folder.ts'

interface Options {
  readonly config: string
  readonly out: string
  readonly strict?: true
  readonly head?: 'keep' | 'replace'
  readonly dryRun?: true
}

/** Names listed in each part of the report. */
const LISTED = 8

export function addImport(program: Command): void {
  program
    .command('import')
    .description("make a run of a PyTorch, Caffe2 or safetensors file's weights")
    .argument('<file>', 'a checkpoint: torch.save (zip or legacy), a pickle of blobs, or safetensors')
    .requiredOption('--config <config>', 'the configuration of its network, or the name of a recipe')
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
    .action(async (file: string, { config: path, out, strict, head, dryRun }: Options) => {
      const config = await withClassesOfData(await loadConfig(path))
      const run = await importRun(file, config, { ...(strict && { strict }), ...(head && { head }) })
      console.log(describe(file, run))
      if (dryRun) return console.log('\nDry run: nothing was written.')
      await writeRun(out, { ...run, labels: await classNamesOf(config) })
      console.log(`\n${out}: ${next(run, out)}`)
    })
}

function describe(path: string, { file, network, imported }: ImportedRun): string {
  const { report, statistics } = imported
  const { matched, missing, unexpected, reshaped, folded, ignored, headReplaced } = report
  const lines: (readonly [string, string])[] = [
    [
      'file',
      `${path}: ${file.format}${file.container && `, ${file.container}`}${file.parallel ? ', DataParallel' : ''}, ${file.tensors.size} tensors`,
    ],
    ['names', `${report.scheme}, read as ${network.name}`],
    ['matched', `${matched.length} tensors`],
    ['missing', list(missing)],
    ['unexpected', list(unexpected)],
    ['reshaped', list(reshaped.map(({ name, from, to }) => `${name} [${from}] → [${to}]`))],
  ]
  if (folded.length > 0)
    lines.push(['folded', `${folded.join(', ')}: its scale and shift are in the layers around it`])
  if (ignored > 0) lines.push(['left out', `${ignored} counters and optimiser tensors`])
  lines.push([
    'head',
    headReplaced === undefined ? `kept: ${network.classes} classes` : `FRESH: ${headReplaced}`,
  ])
  const widths = statistics.map(({ width }) => width).join(', ')
  lines.push([
    'statistics',
    statistics.length > 0 ? `width ${widths}, ${network.frames} × ${network.size}²` : 'none',
  ])
  return lines.map(([label, text]) => `${label.padEnd(12)}${text}`).join('\n')
}

function list(names: readonly string[]): string {
  if (names.length === 0) return 'none'
  const shown = names.slice(0, LISTED).map((name) => `\n              ${name}`)
  return `${names.length}${shown.join('')}${names.length > LISTED ? '\n              …' : ''}`
}

function next({ network, table, imported }: ImportedRun, out: string): string {
  const input = network.media === 'video' ? '--clip video.mp4' : '--image picture.jpg'
  if (!imported.complete) {
    return `${network.name}, partly fresh weights: a start for training, its scores mean nothing yet.`
  }
  const ready = table.entries.filter((entry) => isReady(table, entry))
  const costs = ready.map((entry) => `width ${entry.width} at ${formatMacs(entry.macs)}`).join(', ')
  const waiting = table.entries.length - ready.length
  return [
    `${network.name}, ready at ${costs}. Other widths, frames and sizes need calibration: they have no batch-norm statistics.`,
    ...(table.entries.some(({ source }) => source === 'published')
      ? [
          `Accuracies in its query table are those published for MutualNet's weights, not measured on these; ${waiting} of its configurations wait for calibration (mn-video test ${out}).`,
        ]
      : []),
    `Next: mn-video eval ${input} --model ${out}`,
  ].join('\n')
}
