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
}

/**
 * Convolutions from He et al. 2015 (normal, fan out), linear weights from N(0, 0.01²), batch-norm scales 1
 * (0 for the last of a residual block), everything else 0. The same seed gives the same weights.
 */
export function initialise(
  network: Network,
  seed: number,
  { zeroInit = true }: InitialiseOptions = {},
): ParameterStore {
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
    new Map(
      parameters.map((parameter) => [
        parameter.name,
        freshValues({ ...parameter, zeroInit: zeroInit && parameter.zeroInit }, random),
      ]),
    ),
  )
}

/** Fresh values of one parameter. */
export function freshValues({ role, shape, zeroInit }: Parameter, random: Random): Float32Array {
  const values = new Float32Array(sizeOf(shape))
  switch (role) {
    case 'conv': {
      const [kt, kh, kw, , out] = shape as [number, number, number, number, number]
      return normal(values, Math.sqrt(2 / (kt * kh * kw * out)), random)
    }
    case 'channelwise': {
      const [kt, kh, kw] = shape as [number, number, number, number]
      return normal(values, Math.sqrt(2 / (kt * kh * kw)), random)
    }
    case 'linear':
      return normal(values, LINEAR_DEVIATION, random)
    case 'scale':
      return values.fill(zeroInit ? 0 : 1)
    case 'bias':
    case 'shift':
      return values
  }
}

function normal(values: Float32Array, deviation: number, random: Random): Float32Array {
  for (let i = 0; i < values.length; i++) values[i] = deviation * random.normal()
  return values
}
