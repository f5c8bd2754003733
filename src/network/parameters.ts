/** What the trainable parameters of a network are, and how the full-size ones are sliced for a sub-network. */
import { type ChannelSlice, countOf } from './channels.ts'

/** What a parameter does; decides weight decay and initialisation. */
export type ParameterRole = 'conv' | 'channelwise' | 'linear' | 'bias' | 'scale' | 'shift'

/** Which parameters weight decay applies to: dense convolutions and linear weights, all but batch norm's, or all. */
export type DecayRule = 'dense' | 'no_norms' | 'all'

export function decays(role: ParameterRole, rule: DecayRule): boolean {
  switch (rule) {
    case 'dense':
      return role === 'conv' || role === 'linear'
    case 'no_norms':
      return role !== 'scale' && role !== 'shift'
    case 'all':
      return true
  }
}

/**
 * How a parameter of the full-size store is cut for a sub-network: the leading axes (kernel taps) whole,
 * the channel axes in runs.
 */
export interface ParameterSlice {
  readonly name: string
  readonly role: ParameterRole
  /** The shape in use: conv [kt, kh, kw, cin, cout], channelwise [kt, kh, kw, c], linear [cin, cout], others [c]. */
  readonly shape: readonly number[]
  /** The shape in the store. */
  readonly fullShape: readonly number[]
  /** Input channels in use, as runs of the full input axis; absent for parameters without that axis. */
  readonly in?: readonly ChannelSlice[]
  /** Output channels in use, as runs of the last axis. */
  readonly out: readonly ChannelSlice[]
  /** Where fresh values are not those of the role: a batch-norm scale of 0, linear weights as PyTorch leaves them. */
  readonly start?: 'zero' | 'uniform'
}

/** Channels that a node reads and writes: those in use, and how many there are at full size. */
export interface Cut {
  readonly in: readonly ChannelSlice[]
  readonly out: readonly ChannelSlice[]
  readonly fullIn: number
  readonly fullOut: number
}

/** A parameter with values for each output channel by itself. */
export const perChannel = (
  { name }: { readonly name: string },
  cut: Cut,
  suffix: string,
  role: ParameterRole,
  taps: readonly number[] = [],
): ParameterSlice => ({
  name: `${name}.${suffix}`,
  role,
  shape: [...taps, countOf(cut.out)],
  fullShape: [...taps, cut.fullOut],
  out: cut.out,
})

/** Weights from every input channel to every output channel. */
export const dense = (
  { name }: { readonly name: string },
  cut: Cut,
  role: ParameterRole,
  taps: readonly number[],
): ParameterSlice => ({
  name: `${name}.weight`,
  role,
  shape: [...taps, countOf(cut.in), countOf(cut.out)],
  fullShape: [...taps, cut.fullIn, cut.fullOut],
  in: cut.in,
  out: cut.out,
})

/** The number of values in a shape. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, axis) => product * axis, 1)
