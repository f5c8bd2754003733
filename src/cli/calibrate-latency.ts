/** `mn-video calibrate-latency`: times a run's configurations on this machine. */
import type { Command } from 'commander'
import { describeEngine, type Precision, skippedLines } from '../engines/precision.ts'
import { MnVideoError } from '../errors.ts'
import { loadModel } from '../inference/model.ts'
import { formatMacs, isReady, roundedUp } from '../runs/query-table.ts'
import { exampleInput } from './arguments.ts'
import { addEngineOptions, addPrecision, chosenEngine, type EngineChoice } from './engine-options.ts'
import { countMeasured, doing, print } from './progress.ts'
import { shellQuoted } from './report.ts'
import { formatTable } from './table.ts'

export function addCalibrateLatency(program: Command): void {
  const command = program
    .command('calibrate-latency')
    .description('time the configurations of a run that can run here, for budgets in milliseconds')
    .argument('<run>', 'the folder of a run')
    .addHelpText(
      'after',
      '\nExample:\n  mn-video calibrate-latency runs/x3d\n\nOne clip or image at a time, decoding not counted; let nothing else run meanwhile. The medians are kept in the\nrun (latency.json), for this processor, engine and number of threads; `eval --latency MS` uses them.',
    )
    .action(async (run: string, options: EngineChoice & { readonly precision: Precision }) => {
      doing(`loading ${run}`)
      const { engine, backend, threads, precision } = options
      const model = await loadModel(run, { ...chosenEngine(options), precision })
      try {
        const rows: (string | number)[][] = []
        const medians: number[] = []
        const ready = model.table.entries.filter((entry) => isReady(model.table, entry))
        const counted = countMeasured(ready.length)
        for (const line of skippedLines(model.engine)) print(line)
        await model.measureLatencies(({ width, frames, size, macs }, { median, fastest, slowest }) => {
          counted()
          const range = `${fastest.toPrecision(3)}–${slowest.toPrecision(3)}`
          rows.push([width, frames, size, formatMacs(macs), median.toPrecision(3), range])
          medians.push(median)
        })
        if (medians.length === 0) {
          throw new MnVideoError(
            'run',
            `${run}: no configuration has batch-norm statistics of its own, so none can run. Calibrate some: mn-video test ${shellQuoted(run)}`,
          )
        }
        print(`${model.network.name} on ${describeEngine(model.engine, precision)}, one at a time\n`)
        print(formatTable([['width', 'frames', 'size', 'cost', 'median ms', 'fastest–slowest'], ...rows]))
        const budget = roundedUp(medians.toSorted((a, b) => a - b)[medians.length >> 1]!, 2)
        const flags = [
          ...(engine ? [`--engine ${engine}`] : []),
          ...(backend ? [`--backend ${backend}`] : []),
          ...(threads === undefined ? [] : [`--threads ${threads}`]),
          ...(precision === 'float32' ? [] : [`--precision ${precision}`]),
        ]
        print(
          `Next: ${['mn-video eval', exampleInput(model.network.media), '--model', shellQuoted(run), `--latency ${budget}`, ...flags].join(' ')}`,
        )
      } finally {
        model.dispose()
      }
    })
  addEngineOptions(command)
  addPrecision(command)
}
