/** `mn-video init`: a run with fresh weights, to try the program or to measure costs before training. */
import type { Command } from 'commander'
import { applyOverrides, loadConfig } from '../config/index.ts'
import { classNamesOf, withClassesOfData } from '../data/sets/dataset.ts'
import { buildNetwork, freshWeights } from '../models/index.ts'
import { writeRun } from '../runs/create-run.ts'
import { formatMacs, untrainedTable } from '../runs/query-table.ts'
import { budgetFlag, collect, exampleInput } from './arguments.ts'
import { doing, print } from './progress.ts'
import { shellQuoted } from './report.ts'

export function addInit(program: Command): void {
  program
    .command('init')
    .description('make a run with fresh (untrained) weights and a query table by cost alone')
    .argument('<config>', 'a configuration file, or the name of a recipe (x3d, slow, mobilenet_v1, …)')
    .option('--set <key=value>', 'a configuration key to change; may be repeated', collect)
    .requiredOption('--out <run>', 'the folder to make; new or empty')
    .addHelpText('after', '\nExample:\n  mn-video init configs/x3d.yml --out runs/x3d')
    .action(async (file: string, { out, set = [] }: { out: string; set?: readonly string[] }) => {
      const config = await withClassesOfData(applyOverrides(await loadConfig(file), set))
      const network = buildNetwork(config)
      const table = untrainedTable(network, {
        widths: config.width_mult_list,
        frames: config.frames_list,
        sizes: config.resolution_list,
      })
      doing(`writing ${out}`)
      await writeRun(out, {
        config,
        weights: freshWeights(network, config),
        table,
        labels: await classNamesOf(config),
      })
      const cheapest = formatMacs(table.entries[0]!.macs)
      const dearest = formatMacs(table.entries.at(-1)!.macs)
      // What half of the dearest's cost buys, else the cheapest.
      const half = table.entries.at(-1)!.macs / 2
      const bought = table.entries.findLast(({ macs }) => macs <= half) ?? table.entries[0]!
      print(
        [
          `${out}: ${network.name} with fresh weights, ${table.entries.length} configurations from ${cheapest} to ${dearest}. It is untrained.`,
          `Next: mn-video eval ${exampleInput(network.media)} --model ${shellQuoted(out)} ${budgetFlag(bought.macs)}`,
        ].join('\n'),
      )
    })
}
