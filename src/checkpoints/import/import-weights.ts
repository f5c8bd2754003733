/**
 * From a file's named tensors to a network's weights and statistics: each tensor goes where its name says,
 * never where its position is; what does not fit is reported or refused. No files, no printing.
 */
import { MnVideoError } from '../../errors.ts'
import type { Scaling } from '../../frames/geometry.ts'
import type { Network } from '../../network/graph.ts'
import { freshValues, type InitialiseOptions } from '../../network/initialise.ts'
import { sizeOf } from '../../network/parameters.ts'
import { createRandom } from '../../network/random.ts'
import { type Parameter, ParameterStore, parametersOf } from '../../network/store.ts'
import type { WeightsFile } from '../weights-file.ts'
import { type Gathered, gather } from './gather.ts'
import { fromTorch, inflate, savedShape, type TorchShape, torchShapeOf, withAllAxes } from './layouts.ts'
import { statisticsIn, type WidthStatistics } from './statistics.ts'

export interface ImportOptions {
  /**
   * `keep`: the classifier must be in the file and fit. `replace`: a fresh one. Default: kept where it fits,
   * replaced where the class counts differ.
   */
  readonly head?: 'keep' | 'replace'
  /** Refuse a file that lacks anything, or has anything more. */
  readonly strict?: boolean
  /** Widths that a slimmable checkpoint's statistics may belong to, besides the full one. */
  readonly widths?: readonly number[]
  /** For the weights that the file does not have: their seed, and how they are drawn. */
  readonly seed?: number
  readonly initialisation?: InitialiseOptions
}

export interface ImportReport {
  readonly scheme: string
  /** What all names of weights began with besides, a wrapper's: `model.`, `module._orig_mod.`; empty for none. */
  readonly wrapper: string
  /** How the pictures that the weights were trained on were scaled, where that is known. */
  readonly scaling?: Scaling
  /** Our names of the tensors that were taken over, statistics included. */
  readonly matched: readonly string[]
  /** Our names of what the file lacks: parameters (fresh ones take their place) and statistics. */
  readonly missing: readonly string[]
  /** The file's names that the network has no place for. */
  readonly unexpected: readonly string[]
  /** Weights whose shape was changed beyond the order of axes and axes of length 1. */
  readonly reshaped: readonly {
    readonly name: string
    readonly from: readonly number[]
    readonly to: readonly number[]
  }[]
  /** Batch norms that this network does without, exactly: their effect is in the layers around them. */
  readonly folded: readonly string[]
  /** Counters and optimiser state among the tensors, left out. */
  readonly ignored: number
  /** Why the classifier is a fresh one; absent where it is the file's. */
  readonly headReplaced?: string
}

export interface Imported {
  readonly weights: ParameterStore
  /** Of the widths that the file has them for; the full width is first where it is there. */
  readonly statistics: readonly WidthStatistics[]
  /** Whether nothing is fresh: every weight and the statistics of the full width are the file's. */
  readonly complete: boolean
  readonly report: ImportReport
}

/** With less than this share of the weights found, the file is another network's. */
const LEAST_SHARE = 0.5

/**
 * @param name the file, for messages
 * @throws MnVideoError `weights` when the names are of no known scheme, shapes differ, or (`strict`) anything
 *   is missing or unexpected
 */
export function importWeights(
  network: Network,
  file: WeightsFile,
  name: string,
  options: ImportOptions = {},
): Imported {
  const gathered = gather(network, file, name)
  const parameters = parametersOf(network)
  const headReplaced = headChoice(network, parameters, gathered, options.head, name)
  const placed = place(network, parameters, gathered, headReplaced !== undefined, options, name)
  refuseStranger(network, parameters, placed.matched, gathered.scheme, name)

  const statistics = statisticsIn(network, gathered.values, [1, ...(options.widths ?? [])])
  const used = new Set(statistics.flatMap(({ names }) => names))
  const vectors = [...gathered.values.keys()].filter((ours) => /\.running_(?:mean|var)$/.test(ours))
  const full = statistics.find(({ width }) => width === 1)
  const norms = network.nodes.filter((node) => node.kind === 'batchNorm')
  const report: ImportReport = {
    scheme: gathered.scheme,
    wrapper: gathered.wrapper,
    ...(gathered.scaling && { scaling: gathered.scaling }),
    matched: [...placed.matched, ...vectors.filter((ours) => used.has(ours))],
    missing: [
      ...placed.missing,
      ...(full?.absent ?? norms.flatMap((node) => [`${node.name}.running_mean`, `${node.name}.running_var`])),
    ],
    unexpected: [
      ...gathered.unexpected,
      ...vectors.filter((ours) => !used.has(ours)).map((ours) => gathered.sources.get(ours)!.name),
    ],
    reshaped: placed.reshaped,
    folded: gathered.folded,
    ignored: gathered.ignored,
    ...(headReplaced !== undefined && { headReplaced }),
  }
  if (options.strict) refuseDifferences(network, report, name)
  return {
    weights: placed.weights,
    statistics,
    complete: report.missing.length === 0 && headReplaced === undefined,
    report,
  }
}

/** Puts every value where its name says; fresh ones take the place of what the file lacks. */
function place(
  network: Network,
  parameters: readonly Parameter[],
  { values, sources, inflates }: Gathered,
  freshHead: boolean,
  { seed = 0, initialisation }: ImportOptions,
  name: string,
) {
  const random = createRandom(seed)
  const weights = new Map<string, Float32Array>()
  const matched: string[] = []
  const missing: string[] = []
  const reshaped: ImportReport['reshaped'][number][] = []
  const misfits: string[] = []
  for (const parameter of parameters) {
    const source = sources.get(parameter.name)
    if (!source || (freshHead && parameter.name.startsWith(`${network.classifier}.`))) {
      weights.set(parameter.name, freshValues(parameter, random, initialisation))
      if (!source) missing.push(parameter.name)
      continue
    }
    const { shape: from } = source
    const found = values.get(parameter.name)
    const needed = torchShapeOf(parameter.role, parameter.shape)
    const usual = savedShape(parameter.role, needed, network.media)
    const reshapedValues = found && reshape(found, withAllAxes(from), needed, inflates)
    if (!reshapedValues) {
      misfits.push(`"${source.name}" is [${from}], needed is [${usual}]`)
      continue
    }
    weights.set(parameter.name, fromTorch(reshapedValues, needed))
    matched.push(parameter.name)
    const changed = withAllAxes(from).join() !== needed.join()
    if (changed) reshaped.push({ name: parameter.name, from, to: usual })
  }
  if (misfits.length > 0) {
    const some = `${misfits.slice(0, 2).join('; ')}${misfits.length > 2 ? '; …' : ''}`
    throw new MnVideoError(
      'weights',
      `${name}: ${misfits.length} weights do not fit ${network.name}: ${some}.\nGive --config the configuration of the network that the file was trained as.`,
    )
  }
  return { weights: new ParameterStore(network, weights), matched, missing, reshaped }
}

/** Values in the target's PyTorch shape; undefined where they cannot be made to fit. */
function reshape(
  values: Float32Array,
  from: TorchShape,
  to: TorchShape,
  inflates: boolean,
): Float32Array | undefined {
  if (from.join() === to.join()) return values
  const kernels = from.length === 5 && to.length === 5
  const same = kernels && from[0] === to[0] && from[3] === to[3] && from[4] === to[4]
  if (!inflates || !same || from[2] !== 1 || from[1]! > to[1]!) return undefined
  return inflate(values, from, to)
}

/** Why the classifier cannot or shall not be the file's; undefined where it is. */
function headChoice(
  network: Network,
  parameters: readonly Parameter[],
  { sources }: Gathered,
  choice: ImportOptions['head'],
  name: string,
): string | undefined {
  if (choice === 'replace') return 'as asked'
  const weight = parameters.find((parameter) => parameter.name === `${network.classifier}.weight`)!
  const found = sources.get(weight.name)?.shape
  const [classes, features] = torchShapeOf(weight.role, weight.shape) as [number, number]
  const reason = !found
    ? 'the file has none'
    : found[0] !== classes
      ? `the file's has ${found[0]} classes, the configuration ${classes}`
      : undefined
  if (reason !== undefined && choice === 'keep') {
    throw new MnVideoError(
      'weights',
      `${name}: the classifier cannot be kept: ${reason}. Leave out --head keep to start with a fresh one of ${classes} classes from ${features} features.`,
    )
  }
  return reason
}

function refuseStranger(
  network: Network,
  parameters: readonly Parameter[],
  matched: readonly string[],
  scheme: string,
  name: string,
): void {
  const found = new Set(matched)
  const sizes = (list: readonly Parameter[]) => list.reduce((sum, { shape }) => sum + sizeOf(shape), 0)
  const body = parameters.filter((parameter) => !parameter.name.startsWith(`${network.classifier}.`))
  const share = sizes(body.filter((parameter) => found.has(parameter.name))) / sizes(body)
  if (share >= LEAST_SHARE) return
  throw new MnVideoError(
    'weights',
    `${name}: has ${Math.round(100 * share)} % of the weights of ${network.name} (names: ${scheme}), so it is another network's.\n` +
      'Give --config the configuration of the network that it was trained as.',
  )
}

function refuseDifferences(network: Network, report: ImportReport, name: string): void {
  const few = (list: readonly string[]) => `${list.slice(0, 3).join(', ')}${list.length > 3 ? ', …' : ''}`
  const wrong = [
    ...(report.missing.length > 0 ? [`${report.missing.length} missing (${few(report.missing)})`] : []),
    ...(report.unexpected.length > 0
      ? [`${report.unexpected.length} unexpected (${few(report.unexpected)})`]
      : []),
    ...(report.headReplaced !== undefined && report.headReplaced !== 'as asked'
      ? [`the classifier does not fit: ${report.headReplaced}`]
      : []),
  ]
  if (wrong.length === 0) return
  throw new MnVideoError(
    'weights',
    `${name}: is not exactly ${network.name}: ${wrong.join('; ')}.\nLeave out --strict to import what fits.`,
  )
}
