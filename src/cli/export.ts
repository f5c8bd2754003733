/** `mn-video export`: one configuration of a run for other programs. */
import type { Command } from 'commander'
import { skippedLines } from '../engines/precision.ts'
import { MnVideoError } from '../errors.ts'
import { requireOtherFile } from '../files/write.ts'
import {
  checkOnnx,
  type Export,
  LARGEST_DIFFERENCE,
  openExport,
  writeOnnx,
  writeWeightsOf,
} from '../inference/export-run.ts'
import { formatMacs } from '../runs/query-table.ts'
import { weightsFile } from '../runs/run-files.ts'
import { type BudgetOptions, budgetOf, count, positiveNumber } from './arguments.ts'
import { doing, print } from './progress.ts'
import { thousands } from './table.ts'

interface Options extends BudgetOptions {
  readonly onnx?: string
  readonly safetensors?: string
  readonly torchNames?: string
  readonly opset: number
}

export function addExport(program: Command): void {
  program
    .command('export')
    .description('write one configuration of a run as ONNX or safetensors')
    .argument('<run>', 'the run')
    .option('--onnx <file>', 'an ONNX model: batch norm folded, labels and preprocessing in its metadata')
    .option('--safetensors <file>', "the weights in use and statistics, in this program's layouts")
    .option('--torch-names <file>', "the same as PyTorchVideo's load_state_dict takes them (safetensors)")
    .option(
      '--gflops <budget>',
      'the best configuration that costs no more (default: the full one)',
      positiveNumber,
    )
    .option('--mflops <budget>', 'the same in 1e6 multiply-adds', positiveNumber)
    .option('--width <multiplier>', 'an exact configuration: width multiplier', positiveNumber)
    .option('--frames <count>', '… frames', count)
    .option('--size <pixels>', '… side of the square input', count)
    .option('--opset <version>', "ONNX's operator set", count, 17)
    .addHelpText(
      'after',
      '\nExamples:\n  mn-video export runs/x3d --onnx x3d.onnx --gflops 2\n  mn-video export runs/x3d --torch-names x3d.safetensors',
    )
    .action(exportRun)
}

async function exportRun(folder: string, options: Options): Promise<void> {
  const { onnx, safetensors, torchNames, opset } = options
  if (onnx === undefined && safetensors === undefined && torchNames === undefined) {
    throw new MnVideoError(
      'usage',
      'nothing to write. Give --onnx FILE, --safetensors FILE or --torch-names FILE.',
    )
  }
  for (const target of [onnx, safetensors, torchNames]) {
    if (target !== undefined) await requireOtherFile(weightsFile(folder), target, "the run's own weights")
  }
  doing(`reading ${folder}`)
  const exported = await openExport(folder, budgetOf(options))
  print(heading(exported))
  doing('writing')
  if (safetensors !== undefined) {
    await writeWeightsOf(safetensors, exported, 'own')
    print(`${safetensors}: safetensors, this program's layouts`)
  }
  if (torchNames !== undefined) {
    await writeWeightsOf(torchNames, exported, 'torch')
    print(`${torchNames}: safetensors for load_state_dict`)
  }
  if (onnx === undefined) return
  const bytes = await writeOnnx(onnx, exported, opset)
  print(`${onnx}: ONNX, operator set ${opset}, ${(bytes / 1e6).toFixed(1)} MB`)
  doing(`running ${onnx} with ONNX Runtime and with the engine`)
  const difference = await checkOnnx(onnx, exported, (engine) => {
    for (const line of skippedLines(engine)) print(line)
  })
  if (difference === undefined) {
    print('not checked: npm install onnxruntime-node to have it run after every export')
    return
  }
  print(
    `ONNX Runtime's logits differ from the engine's by at most ${difference.toExponential(1)} of the largest`,
  )
  if (!(difference <= LARGEST_DIFFERENCE)) {
    throw new MnVideoError(
      'engine',
      `${onnx}: differs by more than ${LARGEST_DIFFERENCE}. Do not use it; this is a bug to report.`,
    )
  }
}

function heading({ run, entry, subNetwork }: Export): string {
  const untrained = run.table.trained ? '' : ' — UNTRAINED weights'
  return `${run.folder}: ${run.network.name}, width ${entry.width}, frames ${entry.frames}, size ${entry.size}: ${formatMacs(entry.macs)}, ${thousands(subNetwork.params)} parameters${untrained}`
}
