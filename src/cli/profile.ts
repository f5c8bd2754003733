/** `mn-video profile`: what a network costs, in all, layer by layer, or over a grid of configurations. */
import type { Command } from 'commander'
import { applyOverrides, type Config, loadConfig } from '../config/index.ts'
import { withClassesOfData } from '../data/sets/dataset.ts'
import { MnVideoError } from '../errors.ts'
import { buildNetwork } from '../models/index.ts'
import type { Configuration, Network } from '../network/graph.ts'
import { MACS_CONVENTION, type Profile, profile } from '../network/profile.ts'
import { fullConfiguration, resolve, type Shape } from '../network/resolve.ts'
import { configurationsOf, formatMacs } from '../runs/query-table.ts'
import { collect, count, positiveNumber } from './arguments.ts'
import { doing, print } from './progress.ts'
import { formatTable, thousands } from './table.ts'

interface Options extends Partial<Configuration> {
  readonly layers?: true
  readonly json?: true
  readonly grid?: true
  readonly set?: readonly string[]
}

export function addProfile(program: Command): void {
  program
    .command('profile')
    .description('print the shapes, parameters and multiply-adds of a network at any width, frames and size')
    .argument('<config>', 'a configuration file, or the name of a recipe (x3d, slow, mobilenet_v1, …)')
    .option('--width <multiplier>', 'width multiplier (default: 1)', positiveNumber)
    .option('--frames <count>', "frames; SlowFast: of the slow pathway (default: the configuration's)", count)
    .option('--size <pixels>', "side of the square input (default: the configuration's)", count)
    .option('--set <key=value>', 'a configuration key to change; may be repeated', collect)
    .option('--layers', 'every layer: kernel, stride, channels, output, params, MACs')
    .option('--grid', "every combination of the configuration's widths, frame counts and sizes")
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  mn-video profile configs/x3d.yml --width 0.63 --frames 6 --size 144 --layers\n  mn-video profile x3d --set variant=s --grid',
    )
    .action(async (file: string, options: Options) => {
      if (options.grid && options.layers) {
        throw new MnVideoError('usage', 'give --grid or --layers, not both.')
      }
      doing(`counting ${file}`)
      const config = await withClassesOfData(applyOverrides(await loadConfig(file), options.set ?? []))
      print(options.grid ? describeGrid(config, options) : describeOne(buildNetwork(config), options))
    })
}

function describeOne(network: Network, options: Options): string {
  const { width, frames, size } = { ...fullConfiguration(network), ...options }
  const result = profile(resolve(network, { width, frames, size }))
  if (options.json) {
    const { layers, ...summary } = result
    return JSON.stringify(options.layers ? result : summary, null, 2)
  }
  const blocks = [summaryOf(network, result)]
  if (options.layers) blocks.push(layersOf(result))
  return blocks.join('\n\n')
}

function summaryOf(network: Network, result: Profile): string {
  const { width, frames, size } = result.configuration
  const inputs = Object.entries(result.inputs).map(([name, shape]) => `${name} ${shapeText(shape)}`)
  return [
    `${result.network}, ${network.classes} classes: width ${width}, frames ${frames}, size ${size}`,
    `input       ${inputs.join(', ')}   (frames×height×width×channels)`,
    `parameters  ${thousands(result.params)}`,
    `MACs        ${thousands(result.macs)}   (${formatMacs(result.macs)} per ${network.media === 'video' ? 'clip' : 'image'})`,
    MACS_CONVENTION,
    '',
    formatTable([
      ['part', 'MACs', 'share'],
      ...Object.entries(result.stages)
        .filter(([, macs]) => macs > 0)
        .map(([stage, macs]) => [stage, thousands(macs), `${((100 * macs) / result.macs).toFixed(1)} %`]),
    ]),
  ].join('\n')
}

function layersOf(result: Profile): string {
  return formatTable([
    ['layer', 'kind', 'kernel', 'stride', 'in', 'out', 'output', 'params', 'MACs'],
    ...result.layers.map((layer) => [
      layer.name,
      layer.kind,
      layer.kernel?.join('×') ?? '-',
      layer.stride?.join('×') ?? '-',
      layer.in,
      layer.out,
      shapeText(layer.shape),
      thousands(layer.params),
      thousands(layer.macs),
    ]),
  ])
}

function describeGrid(config: Config, options: Options): string {
  const network = buildNetwork(config)
  const only = <T>(one: T | undefined, all: readonly T[]) => (one === undefined ? all : [one])
  const rows = configurationsOf({
    widths: only(options.width, config.width_mult_list),
    frames: only(options.frames, config.frames_list),
    sizes: only(options.size, config.resolution_list),
  }).map((configuration) => {
    const { macs, params } = resolve(network, configuration)
    return { ...configuration, params, macs }
  })
  rows.sort((a, b) => b.macs - a.macs)
  if (options.json) {
    return JSON.stringify(
      { network: network.name, convention: MACS_CONVENTION, configurations: rows },
      null,
      2,
    )
  }
  return [
    `${network.name}, ${network.classes} classes, from the dearest to the cheapest`,
    MACS_CONVENTION,
    '',
    formatTable([
      ['width', 'frames', 'size', 'params', 'MACs', ''],
      ...rows.map((row) => [
        row.width,
        row.frames,
        row.size,
        thousands(row.params),
        thousands(row.macs),
        formatMacs(row.macs),
      ]),
    ]),
  ].join('\n')
}

const shapeText = ({ frames, height, width, channels }: Shape): string =>
  `${frames}×${height}×${width}×${channels}`
