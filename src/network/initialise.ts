/** Fresh weights for a network, from a seed. */
import { MnVideoError } from '../errors.ts'
import type { Network } from './graph.ts'
import { sizeOf } from './parameters.ts'
import { createRandom, type Random } from './random.ts'
import { type Parameter, ParameterStore, parametersOf } from './store.ts'

/** 4 GiB of weights. */
const MAX_PARAMETERS = 2 ** 30

/** Standard deviation of the classifier's weights (PySlowFast's FC_INIT_STD, MutualNet's linear layers). */
const LINEAR_DEVIATION = 0.01

export interface InitialiseOptions {
  /** Start the last batch norm of every residual block at 0 (the default), so that blocks begin as identities. */
  readonly zeroInit?: boolean
  /**
   * What the variance of a channelwise convolution's weights is 2 over: `fan_out` (the default) counts taps × channels
   * as PyTorch's `kaiming_normal_` and every published recipe do, `taps` the taps alone, each channel feeding one.
   */
  readonly channelwise?: 'fan_out' | 'taps'
}

/**
 * Convolutions from He et al. 2015 (normal, fan out), linear weights from N(0, 0.01²) or as PyTorch leaves them where
 * the model says so, batch-norm scales 1 (0 for the last of a residual block), everything else 0. The same seed gives
 * the same weights.
 */
export function initialise(network: Network, seed: number, options: InitialiseOptions = {}): ParameterStore {
  const random = createRandom(seed)
  const parameters = parametersOf(network)
  const total = parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0)
  if (total > MAX_PARAMETERS) {
    throw new MnVideoError(
      'network',
      `${network.name}: would have ${total} parameters, more than ${MAX_PARAMETERS}. Give fewer classes or smaller factors.`,
    )
  }
  return new ParameterStore(
    network,
    new Map(parameters.map((parameter) => [parameter.name, freshValues(parameter, random, options)])),
  )
}

/** Fresh values of one parameter. */
export function freshValues(
  { role, shape, start }: Parameter,
  random: Random,
  { zeroInit = true, channelwise = 'fan_out' }: InitialiseOptions = {},
): Float32Array {
  const values = new Float32Array(sizeOf(shape))
  switch (role) {
    case 'conv': {
      const [kt, kh, kw, , out] = shape as [number, number, number, number, number]
      return normal(values, Math.sqrt(2 / (kt * kh * kw * out)), random)
    }
    case 'channelwise': {
      const [kt, kh, kw, channels] = shape as [number, number, number, number]
      return normal(values, Math.sqrt(2 / (kt * kh * kw * (channelwise === 'taps' ? 1 : channels))), random)
    }
    case 'linear':
      return start === 'uniform'
        ? uniform(values, 1 / Math.sqrt(shape[0]!), random)
        : normal(values, LINEAR_DEVIATION, random)
    case 'scale':
      return values.fill(zeroInit && start === 'zero' ? 0 : 1)
    case 'bias':
    case 'shift':
      return values
  }
}

/** Evenly between -bound and bound. */
function uniform(values: Float32Array, bound: number, random: Random): Float32Array {
  for (let i = 0; i < values.length; i++) values[i] = bound * (2 * random.uniform() - 1)
  return values
}

function normal(values: Float32Array, deviation: number, random: Random): Float32Array {
  for (let i = 0; i < values.length; i++) values[i] = deviation * random.normal()
  return values
}
