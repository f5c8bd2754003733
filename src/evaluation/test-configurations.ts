import { MnVideoError } from '../errors.ts'
import type { Configuration } from '../network/graph.ts'
import { configurationKey, resolve } from '../network/resolve.ts'
import { configurationsOf, type QueryTable } from '../runs/query-table.ts'
import type { WeightedRun } from '../runs/run-folder.ts'
import type { TestOptions, TestSetup } from './test-setup.ts'
import { findAllStatistics, noTrainingData } from './test-statistics.ts'

/** What is asked for and can be tested. Without training data that is what has statistics; who asks for more is told. */
export async function testable(
  setup: TestSetup,
  table: QueryTable | undefined,
  options: TestOptions,
): Promise<{ readonly asked: readonly Configuration[]; readonly withoutStatistics: number }> {
  const asked = askedConfigurations(setup.run, options)
  if (setup.training) return { asked, withoutStatistics: 0 }
  const ready = (table?.entries ?? []).filter(({ statistics }) => statistics).toReversed()
  const wanted = [options.widths, options.frames, options.sizes].some((list) => list !== undefined)
    ? asked
    : [...new Map([...ready, ...asked].map((one) => [configurationKey(one), one])).values()]
  const found = await findAllStatistics(setup, wanted)
  const [has, lacks] = [true, false].map((is) =>
    wanted.filter((one) => found.has(configurationKey(one)) === is),
  )
  if (has!.length === 0 || (wanted === asked && lacks!.length > 0))
    throw noTrainingData(setup, lacks![0]!, ready)
  return {
    asked: has!.map(({ width, frames, size }) => ({ width, frames, size })),
    withoutStatistics: lacks!.length,
  }
}

/** Every combination that was asked for, from the dearest to the cheapest. */
function askedConfigurations(
  { folder, config, network }: WeightedRun,
  options: TestOptions,
): Configuration[] {
  const widths = options.widths ?? config.width_mult_list
  const [narrowest, widest] = config.width_mult_range
  const outside = widths.find((width) => width < narrowest || width > widest)
  if (outside !== undefined) {
    throw new MnVideoError(
      'usage',
      `width ${outside} is outside the range that the run was trained in. Give widths from ${narrowest} to ${widest}.`,
    )
  }
  const frames = options.frames ?? config.frames_list
  const tooMany = frames.find((count) => count > network.frames)
  if (tooMany !== undefined) {
    throw new MnVideoError(
      'usage',
      `frames ${tooMany} is more than a clip of ${folder} has. Give 1 to ${network.frames} frames.`,
    )
  }
  return configurationsOf({
    widths,
    frames,
    sizes: options.sizes ?? config.resolution_list,
  })
    .map((configuration) => ({ configuration, macs: resolve(network, configuration).macs }))
    .sort((a, b) => b.macs - a.macs)
    .map(({ configuration }) => configuration)
}
