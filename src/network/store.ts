/**
 * The weights of a network: every parameter once, at full size, by name. Sub-networks read slices of it.
 * Batch-norm statistics are kept apart, because they differ per configuration.
 */
import { MnVideoError } from '../errors.ts'
import type { ChannelSlice } from './channels.ts'
import type { Network } from './graph.ts'
import { type ParameterRole, type ParameterSlice, sizeOf } from './parameters.ts'
import { resolve, type SubNetwork } from './resolve.ts'

/** A parameter at full size. */
export interface Parameter {
  readonly name: string
  readonly role: ParameterRole
  /** The full-size shape: conv [kt, kh, kw, cin, cout], channelwise [kt, kh, kw, c], linear [cin, cout], others [c]. */
  readonly shape: readonly number[]
  /** Where fresh values are not those of the role. */
  readonly start?: ParameterSlice['start']
}

/** Every trainable parameter of a network at full size, in execution order. */
export function parametersOf(network: Network): Parameter[] {
  const { maxWidth: width, frames, size } = network
  return resolve(network, { width, frames, size }).nodes.flatMap(({ parameters }) =>
    parameters.map(({ name, role, fullShape, start }) => ({
      name,
      role,
      shape: fullShape,
      ...(start && { start }),
    })),
  )
}

/** Full-size weights by parameter name. Whoever changes values in place says so with `touch`. */
export class ParameterStore {
  readonly values: ReadonlyMap<string, Float32Array>
  /** Grows with every change, so that engines know when packed copies are stale. */
  version = 0

  /** @throws MnVideoError `weights` when a parameter is missing or has the wrong number of values. */
  constructor(network: Network, values: ReadonlyMap<string, Float32Array>) {
    for (const { name, shape } of parametersOf(network)) {
      const found = values.get(name)?.length
      if (found !== sizeOf(shape)) {
        throw new MnVideoError(
          'weights',
          `${network.name}: parameter "${name}" needs ${sizeOf(shape)} values (${shape.join('×')}), ${found === undefined ? 'but it is missing' : `not ${found}`}.`,
        )
      }
    }
    this.values = values
  }

  touch(): void {
    this.version++
  }

  /**
   * The values of a parameter.
   *
   * @throws MnVideoError `weights` when they were transferred or replaced since the store was made
   */
  of(name: string, count: number): Float32Array {
    const values = this.values.get(name)
    if (values?.length === count) return values
    throw new MnVideoError(
      'weights',
      `parameter "${name}" has ${values?.length ?? 0} of ${count} values: its memory has been transferred or replaced. Give a copy away instead.`,
    )
  }

  /** A copy of the values that a sub-network uses, in the slice's own shape. */
  gather(slice: ParameterSlice): Float32Array<ArrayBuffer> {
    const source = this.of(slice.name, sizeOf(slice.fullShape))
    const target = new Float32Array(sizeOf(slice.shape))
    let position = 0
    forEachRun(slice, (start, count) => {
      target.set(source.subarray(start, start + count), position)
      position += count
    })
    return target
  }
}

/** Calls back for every contiguous run of the full-size parameter that a slice uses, in the slice's order. */
export function forEachRun(slice: ParameterSlice, visit: (start: number, count: number) => void): void {
  const fullOut = slice.fullShape.at(-1)!
  const fullIn = slice.in ? slice.fullShape.at(-2)! : 1
  const inRuns: readonly ChannelSlice[] = slice.in ?? [{ start: 0, count: 1 }]
  const taps = sizeOf(slice.fullShape) / (fullIn * fullOut)
  for (let tap = 0; tap < taps; tap++) {
    for (const run of inRuns) {
      for (let channel = run.start; channel < run.start + run.count; channel++) {
        const row = (tap * fullIn + channel) * fullOut
        for (const out of slice.out) visit(row + out.start, out.count)
      }
    }
  }
}

/** Mean and variance of each channel that a batch-norm node has in use. */
export interface ChannelStatistics {
  readonly mean: Float32Array
  readonly variance: Float32Array
}

/** Running statistics of one configuration, by batch-norm node name. */
export type BatchNormStatistics = ReadonlyMap<string, ChannelStatistics>

/** Mean 0 and variance 1 everywhere: what an untrained network starts from. */
export function initialStatistics(subNetwork: SubNetwork): BatchNormStatistics {
  return new Map(
    subNetwork.nodes
      .filter(({ node }) => node.kind === 'batchNorm')
      .map(({ node, shape }) => [
        node.name,
        { mean: new Float32Array(shape.channels), variance: new Float32Array(shape.channels).fill(1) },
      ]),
  )
}
