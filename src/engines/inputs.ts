/**
 * What engines check before they compute, and how they prepare it; the same for every engine, and the only place:
 * kernels read without looking at bounds. Callers may be plain JavaScript, so that types are checked as well.
 */
import { types } from 'node:util'
import { MnVideoError, throwIfCancelled } from '../errors.ts'
import type { FrameBatch, Inputs } from '../frames/batch.ts'
import { peakActivations } from '../network/profile.ts'
import { isKind, type SubNetwork } from '../network/resolve.ts'
import { ParameterStore } from '../network/store.ts'
import { show } from '../options.ts'
import type { AccumulateOptions, CompileOptions, Normalisation, TrainerOptions } from './engine.ts'
import type { Target } from './loss.ts'

/**
 * The common batch size of the inputs.
 *
 * @throws MnVideoError `engine` naming the input that is missing, of another type or shape, detached or not finite
 */
export function checkInputs(subNetwork: SubNetwork, inputs: Inputs): number {
  const network = subNetwork.network.name
  if (typeof inputs !== 'object' || inputs === null) {
    throw new MnVideoError(
      'engine',
      `${network}: inputs must be an object of frames by name, not ${kindOf(inputs)}.`,
    )
  }
  let batch: number | undefined
  for (const resolved of subNetwork.nodes) {
    if (!isKind(resolved, 'input')) continue
    const { name } = resolved.node
    const given = inputs[name]
    const what = `${network}: input "${name}"`
    if (!given) throw new MnVideoError('engine', `${what} is missing.`)
    checkData(what, given)
    const { frames, height, width } = resolved.shape
    batch ??= given.batch
    const isCount = Number.isSafeInteger(batch) && batch >= 1
    const asked = `${isCount ? batch : 'BATCH'}×${frames}×${height}×${width}×3`
    checkShape(what, given, asked)
    checkFinite(what, given.data)
  }
  return batch!
}

/**
 * The inputs of a run as arrays of the engine's own, so that the caller's may be filled anew, transferred or shrunk
 * while it waits and computes. Copied when the run is asked for: what was given then is what is computed.
 *
 * @throws as `checkInputs`; MnVideoError `engine` for bytes without a normalisation
 */
export function takeInputs(
  subNetwork: SubNetwork,
  inputs: Inputs,
  normalisation: Normalisation | undefined,
): { readonly batch: number; readonly inputs: Inputs } {
  const batch = checkInputs(subNetwork, inputs)
  const taken: Record<string, FrameBatch> = {}
  for (const resolved of subNetwork.nodes) {
    if (!isKind(resolved, 'input')) continue
    const { name } = resolved.node
    const given = inputs[name]!
    if (!normalisation && types.isUint8Array(given.data)) throw needsNormalisation()
    taken[name] = { ...given, data: ownCopy(given.data) }
  }
  return { batch, inputs: taken }
}

/** Inputs in arrays of their own. Unchecked: what is no array of bytes or floats, or has lost its memory, is left for the check to refuse. */
export function copyInputs(inputs: Inputs): Inputs {
  return Object.fromEntries(
    Object.entries(inputs ?? {}).map(([name, given]) => {
      const data: unknown = given?.data
      const isCopied = (types.isUint8Array(data) || types.isFloat32Array(data)) && !isGone(data)
      return [name, isCopied ? { ...given, data: ownCopy(data) } : given]
    }),
  )
}

/**
 * Checks a batch of whole clips, which smaller inputs are made from.
 *
 * @param what what it is called in messages
 * @param frames that every clip must have
 * @throws MnVideoError `usage` naming what was expected
 */
export function checkClips(what: string, clips: FrameBatch, frames: number): void {
  const whole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 1
  checkData(what, clips, 'usage')
  const asked = `${whole(clips.batch) ? clips.batch : 'BATCH'}×${frames}×${whole(clips.height) ? `${clips.height}×${clips.height}` : 'SIZE×SIZE'}×3`
  checkShape(what, clips, asked, 'usage')
  checkFinite(what, clips.data, 'usage')
}

type Code = 'engine' | 'usage'

function checkData(what: string, given: FrameBatch, code: Code = 'engine'): void {
  const expected = 'must be { data, batch, frames, height, width } with data a Uint8Array or a Float32Array'
  if (typeof given !== 'object' || given === null)
    throw new MnVideoError(code, `${what} ${expected}, not ${kindOf(given)}.`)
  const { data } = given
  if (!types.isUint8Array(data) && !types.isFloat32Array(data))
    throw new MnVideoError(code, `${what} ${expected}, not ${kindOf(data)}.`)
}

function checkShape(what: string, given: FrameBatch, asked: string, code: Code = 'engine'): void {
  const { data, batch, frames, height, width } = given
  const got = `${batch}×${frames}×${height}×${width}×3`
  const values = batch * frames * height * width * 3
  if (got === asked && data.length === values) return
  const length = isGone(data) ? 'its memory has been transferred or freed' : `${data.length} given`
  throw new MnVideoError(code, `${what} must be ${asked} values, not ${got} (${length}).`)
}

/** Whether an array's memory has been taken from it. Node.js 20 does not tell this from an empty one. */
const isGone = (data: ArrayBufferView): boolean => data.byteLength === 0 && data.buffer.byteLength === 0

/** @throws MnVideoError naming the first value that is NaN or infinite, and where it is */
function checkFinite(what: string, data: Uint8Array | Float32Array, code: Code = 'engine'): void {
  if (!types.isFloat32Array(data) || areFinite(data)) return
  const at = data.findIndex((value) => !Number.isFinite(value))
  throw new MnVideoError(
    code,
    `${what} has values that are not finite (${data[at]} at ${at}). Give finite ones.`,
  )
}

/** A finite value times 0 is 0, any other is NaN. Four sums, so that an addition need not wait for the one before. */
function areFinite(data: Float32Array): boolean {
  let [a, b, c, d] = [0, 0, 0, 0]
  const whole = data.length - (data.length % 4)
  for (let i = 0; i < whole; i += 4) {
    a += data[i]! * 0
    b += data[i + 1]! * 0
    c += data[i + 2]! * 0
    d += data[i + 3]! * 0
  }
  for (let i = whole; i < data.length; i++) a += data[i]! * 0
  return a + b + c + d === 0
}

/** A copy whose memory nobody else can reach; `slice` of a subclass (Buffer) may share it. */
function ownCopy(data: Uint8Array | Float32Array): Uint8Array | Float32Array {
  return types.isFloat32Array(data) ? new Float32Array(data) : new Uint8Array(data)
}

/** What a value is, in a word or two. */
const kindOf = (value: unknown): string =>
  ArrayBuffer.isView(value) ? (value.constructor?.name ?? 'a view') : show(value)

/** @throws MnVideoError `usage` naming the option of a trainer that is out of bounds */
export function checkTrainerOptions(weights: ParameterStore, options: TrainerOptions): void {
  checkStore(weights)
  requireOptions('a trainer', options)
  const { momentum, nesterov, weightDecay, normalisation } = options
  requireNumber('momentum', momentum, { min: 0, below: 1 })
  requireNumber('weightDecay', weightDecay, { min: 0 })
  if (typeof nesterov !== 'boolean')
    throw new MnVideoError('usage', `nesterov must be true or false, not ${kindOf(nesterov)}.`)
  if (normalisation !== undefined) checkNormalisation(normalisation)
}

/** @throws MnVideoError `usage` naming a parameter that lacks a gradient of its size */
export function checkGradients(weights: ParameterStore, gradients: ReadonlyMap<string, Float32Array>): void {
  if (!types.isMap(gradients))
    throw new MnVideoError('usage', `gradients must be a map by parameter name, not ${kindOf(gradients)}.`)
  for (const [name, { length }] of weights.values) {
    const given = gradients.get(name)
    if (types.isFloat32Array(given) && given.length === length) continue
    const found = types.isFloat32Array(given) ? `${given.length} values` : kindOf(given)
    throw new MnVideoError('usage', `the gradient of "${name}" must be ${length} floats, not ${found}.`)
  }
}

/** @throws MnVideoError `usage` naming the rate of a step that is out of bounds */
export function checkRates(rates: { readonly learningRate: number; readonly clipNorm?: number }): void {
  requireOptions('a step', rates)
  requireNumber('learningRate', rates.learningRate, { min: 0 })
  if (rates.clipNorm !== undefined) requireNumber('clipNorm', rates.clipNorm, { min: 0 })
}

/** @throws MnVideoError `usage` naming the option of `accumulate` that is out of bounds */
export function checkAccumulateOptions({ scale, dropoutSeed }: AccumulateOptions): void {
  if (scale !== undefined) requireNumber('scale', scale, {})
  if (dropoutSeed !== undefined && !Number.isSafeInteger(dropoutSeed)) {
    throw new MnVideoError('usage', `dropoutSeed must be a whole number, not ${kindOf(dropoutSeed)}.`)
  }
}

/** @throws MnVideoError `engine` when the target is not one finite row of `classes`, or one label, per sample */
export function checkTarget(target: Target, batch: number, classes: number): void {
  const refuse = (text: string) => new MnVideoError('engine', `target: ${text}.`)
  const {
    labels,
    probabilities,
    labelSmoothing = 0,
  } = (target ?? {}) as Partial<
    Extract<Target, { labels: unknown }> & Extract<Target, { probabilities: unknown }>
  >
  if (types.isFloat32Array(probabilities)) {
    if (probabilities.length !== batch * classes)
      throw refuse(`${batch}×${classes} probabilities are needed, not ${probabilities.length}`)
    checkFinite('target: it', probabilities)
    return
  }
  if (!types.isInt32Array(labels))
    throw refuse('{ labels: Int32Array } or { probabilities: Float32Array } is needed')
  if (labels.length !== batch) throw refuse(`${batch} labels are needed, not ${labels.length}`)
  const wrong = labels.find((label) => label < 0 || label >= classes)
  if (wrong !== undefined) throw refuse(`label ${wrong} is not below ${classes} classes`)
  if (!(labelSmoothing >= 0 && labelSmoothing < 1))
    throw refuse(`labelSmoothing must be a number of at least 0 and below 1, not ${kindOf(labelSmoothing)}`)
}

/**
 * @throws MnVideoError `usage` for options of another kind; `engine` when batch-norm statistics are missing or belong
 * to another width
 */
export function checkCompileOptions(
  subNetwork: SubNetwork,
  weights: ParameterStore,
  options: CompileOptions,
): void {
  if (!Array.isArray(subNetwork?.nodes) || !subNetwork.network)
    throw new MnVideoError(
      'usage',
      `compile takes a sub-network as resolve gives it, not ${kindOf(subNetwork)}.`,
    )
  checkStore(weights)
  requireOptions('compile', options)
  const { normalisation, statistics } = options
  if (normalisation !== undefined) checkNormalisation(normalisation)
  if (statistics !== 'batch' && !types.isMap(statistics)) {
    throw new MnVideoError(
      'usage',
      `statistics must be "batch" or a map by batch norm, not ${kindOf(statistics)}.`,
    )
  }
  checkStatistics(subNetwork, statistics)
}

/** @throws MnVideoError `usage` when a mean or std is not three finite numbers, or a std not above 0 */
export function checkNormalisation(normalisation: Normalisation): void {
  for (const key of ['mean', 'std'] as const) {
    const values = normalisation?.[key]
    const isWhole =
      (Array.isArray(values) || types.isTypedArray(values)) &&
      values.length === 3 &&
      [0, 1, 2].every((i) => Number.isFinite(values[i]) && (key === 'mean' || values[i]! > 0))
    if (isWhole) continue
    throw new MnVideoError(
      'usage',
      `normalisation: ${key} must be three finite numbers${key === 'std' ? ' above 0' : ''}.`,
    )
  }
}

/** @throws MnVideoError `usage` when something that was disposed of is used */
export function checkOpen(isOpen: boolean, what: string): void {
  if (!isOpen) throw new MnVideoError('usage', `${what} has been disposed of. Make another one.`)
}

function checkStore(weights: ParameterStore): void {
  if (weights instanceof ParameterStore) return
  throw new MnVideoError('usage', `weights must be a ParameterStore, not ${kindOf(weights)}.`)
}

function requireOptions(what: string, options: unknown): void {
  if (typeof options === 'object' && options !== null) return
  throw new MnVideoError('usage', `the options of ${what} must be an object, not ${kindOf(options)}.`)
}

function requireNumber(
  name: string,
  value: unknown,
  { min = Number.NEGATIVE_INFINITY, below = Number.POSITIVE_INFINITY },
): void {
  if (typeof value === 'number' && Number.isFinite(value) && value >= min && value < below) return
  const bounds = [
    ...(Number.isFinite(min) ? [`of at least ${min}`] : []),
    ...(Number.isFinite(below) ? [`below ${below}`] : []),
  ].join(' and ')
  throw new MnVideoError(
    'usage',
    `${name} must be a finite number${bounds && ` ${bounds}`}, not ${kindOf(value)}.`,
  )
}

/** @throws MnVideoError `cancelled` when the signal asks to end the run. */
export function checkSignal(subNetwork: SubNetwork, signal: AbortSignal | undefined): void {
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new MnVideoError('usage', `signal must be an AbortSignal, not ${kindOf(signal)}.`)
  throwIfCancelled(signal, `${subNetwork.network.name}: the run`)
}

/** @throws MnVideoError `engine` when a node to observe is not in the network. */
export function checkObserved(subNetwork: SubNetwork, observe: readonly string[]): void {
  if (!Array.isArray(observe))
    throw new MnVideoError('usage', `observe must be a list of node names, not ${kindOf(observe)}.`)
  const unknown = observe.find((name) => !subNetwork.nodes.some(({ node }) => node.name === name))
  if (unknown === undefined) return
  throw new MnVideoError('engine', `${subNetwork.network.name}: there is no node "${unknown}" to observe.`)
}

/** @throws MnVideoError `engine` when a run would need more memory than the engine has: some cannot recover from that. */
export function checkMemory(subNetwork: SubNetwork, batch: number, limit: number): void {
  const bytes = 4 * batch * peakActivations(subNetwork)
  if (bytes <= limit) return
  const { width, frames, size } = subNetwork.configuration
  const gib = (value: number) => (value / 2 ** 30).toFixed(2)
  throw new MnVideoError(
    'engine',
    `${subNetwork.network.name} at width ${width}, frames ${frames}, size ${size}, batch ${batch} needs about ${gib(bytes)} GiB; ` +
      `this engine has ${gib(limit)} GiB. Give a smaller size or batch, or fewer frames.`,
  )
}

function checkStatistics(subNetwork: SubNetwork, statistics: CompileOptions['statistics']): void {
  if (statistics === 'batch') return
  const { network, configuration } = subNetwork
  for (const { node, shape } of subNetwork.nodes) {
    if (node.kind !== 'batchNorm') continue
    const found = statistics.get(node.name)
    if (found?.mean.length === shape.channels && found.variance.length === shape.channels) continue
    throw new MnVideoError(
      'engine',
      `${network.name}: batch norm "${node.name}" needs statistics of ${shape.channels} channels at width ${configuration.width}, ` +
        `${found ? `not of ${found.mean.length}` : 'but has none'}. Calibrate batch norm for this configuration.`,
    )
  }
}

/** The values of a batch as floats: normalised when they are bytes. */
export function toFloats({ data }: FrameBatch, normalisation: Normalisation | undefined): Float32Array {
  if (types.isFloat32Array(data)) return data
  if (!normalisation) throw needsNormalisation()
  const tables = [0, 1, 2].map((channel) =>
    Float32Array.from(
      { length: 256 },
      (_, byte) => (byte / 255 - normalisation.mean[channel]!) / normalisation.std[channel]!,
    ),
  ) as [Float32Array, Float32Array, Float32Array]
  const floats = new Float32Array(data.length)
  for (let i = 0; i < data.length; i += 3) {
    floats[i] = tables[0][data[i]!]!
    floats[i + 1] = tables[1][data[i + 1]!]!
    floats[i + 2] = tables[2][data[i + 2]!]!
  }
  return floats
}

const needsNormalisation = () =>
  new MnVideoError('engine', 'byte inputs need the mean and std to normalise them with.')
