/** `mn-video test RUN --spans FILE`: how well known spans of films are found. */
import { mkdir } from 'node:fs/promises'
import { basename, dirname, extname } from 'node:path'
import type { Precision } from '../engines/precision.ts'
import { MnVideoError } from '../errors.ts'
import { writeAtomically } from '../files/write.ts'
import { loadModel } from '../inference/model.ts'
import { type TestedSpans, testSpans } from '../inference/streaming/test-spans.ts'
import { formatMacs } from '../runs/query-table.ts'
import { spanResultsFile } from '../runs/run-files.ts'
import { budgetOf } from './arguments.ts'
import { chosenEngine, type EngineChoice } from './engine-options.ts'
import { doing, print, startSeconds, warn } from './progress.ts'
import { formatTable, percent } from './table.ts'

export interface SpansOptions {
  readonly spans?: string | undefined
  readonly root?: string | undefined
  readonly gflops?: number | undefined
  readonly mflops?: number | undefined
}

interface Options extends SpansOptions, EngineChoice {
  readonly widths?: readonly number[]
  readonly sizes?: readonly number[]
  readonly frames?: readonly number[]
  readonly views?: string
  readonly set?: readonly string[]
  readonly precision?: Precision
  readonly json?: true
}

export async function runSpansTest(folder: string, file: string, options: Options): Promise<void> {
  const { root, gflops, mflops, widths, sizes, frames, views, set, precision, json } = options
  const other = Object.entries({ widths, sizes, frames, views, set }).find(([, value]) => value !== undefined)
  if (other)
    throw new MnVideoError(
      'usage',
      `--${other[0]} means nothing with --spans, which searches at one budget: --gflops or --mflops.`,
    )
  doing(`loading ${folder}`)
  const model = await loadModel(folder, { ...chosenEngine(options), ...(precision && { precision }) })
  try {
    const budget = budgetOf({
      ...(gflops !== undefined && { gflops }),
      ...(mflops !== undefined && { mflops }),
    })
    let progress = (_done: number, _total: number) => {}
    const tested = await testSpans(model, file, {
      budget,
      ...(root !== undefined && { root }),
      onFilm: (name, number, total) => {
        progress = startSeconds(`looking through ${name}, film ${number} of ${total}`)
      },
      onProgress: (done, total) => progress(done, total),
    })
    const output = spanResultsFile(folder, basename(file, extname(file)))
    await mkdir(dirname(output), { recursive: true })
    const results = { version: 'mn-video', external_data: {}, results: tested.results }
    await writeAtomically(output, [Buffer.from(`${JSON.stringify(results)}\n`)])
    if (tested.unknown.length > 0)
      warn(
        `${file}: ${folder} has no class ${tested.unknown.slice(0, 5).join(', ')}: counted as never found.`,
      )
    const { results: _, ...figures } = tested
    if (json) print(JSON.stringify(figures, null, 2))
    else print(describe(tested, output, formatMacs(model.choose(budget).macs)))
  } finally {
    model.dispose()
  }
}

function describe(
  { films, spans, averageMap, thresholds, classes }: TestedSpans,
  output: string,
  macs: string,
): string {
  const at = (tiou: number) => thresholds.find((each) => Math.abs(each.tiou - tiou) < 1e-9)!
  const shown = [0.5, 0.75, 0.95]
  return [
    `${films} film${films === 1 ? '' : 's'}, ${spans.known} spans known, ${spans.found} found, at ${macs} per window`,
    `mAP ${percent(averageMap)} over temporal IoU 0.5:0.05:0.95; ${shown.map((tiou) => `${percent(at(tiou).map)} at ${tiou}`).join(', ')}`,
    formatTable([
      ['class', 'AP at 0.5', 'at 0.75', 'mean'],
      ...classes.map(({ label, averagePrecision }) => [
        label,
        ...[0, 5].map((i) => percent(averagePrecision[i]!)),
        percent(averagePrecision.reduce((sum, value) => sum + value, 0) / averagePrecision.length),
      ]),
    ]),
    `What was found, as ActivityNet's evaluator reads it: ${output}`,
  ].join('\n')
}
