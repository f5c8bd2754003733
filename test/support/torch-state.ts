/**
 * State dicts as PyTorch would save them, of deterministic values: a hash of the tensor's own name and of its
 * index in PyTorch's layout. Written apart from the program's own conversions, which it tests.
 */

import type { Network } from '../../src/network/graph.ts'
import type { ParameterRole } from '../../src/network/parameters.ts'
import { parametersOf } from '../../src/network/store.ts'
import { float32, type TensorSpec, tensor, torchZip } from './torch-writer.ts'

export interface State {
  readonly shape: readonly number[]
  readonly values: Float32Array
}

/** PyTorch's shape of one of our parameters. */
export function torchShape(
  role: ParameterRole,
  shape: readonly number[],
  media: 'video' | 'image',
): number[] {
  const [a, b, c, d, e] = shape as [number, number, number, number, number]
  if (role === 'conv') return media === 'image' ? [e, d, b, c] : [e, d, a, b, c]
  if (role === 'channelwise') return media === 'image' ? [d, 1, b, c] : [d, 1, a, b, c]
  return role === 'linear' ? [b, a] : [...shape]
}

/** All parameters and running statistics of a network under other names. */
export function torchState(
  network: Network,
  nameOf: (ours: string) => string = (ours) => ours,
): Map<string, State> {
  const state = new Map<string, State>()
  const channels = new Map<string, number>()
  for (const { name, role, shape } of parametersOf(network)) {
    state.set(nameOf(name), hashed(nameOf(name), torchShape(role, shape, network.media)))
    if (role === 'scale') channels.set(name.replace(/\.weight$/, ''), shape[0]!)
  }
  for (const [node, count] of channels) {
    for (const part of ['running_mean', 'running_var']) {
      state.set(nameOf(`${node}.${part}`), hashed(nameOf(`${node}.${part}`), [count]))
    }
  }
  return state
}

export function hashed(name: string, shape: readonly number[]): State {
  let seed = 7
  for (const byte of Buffer.from(name)) seed = (Math.imul(seed, 31) + byte) | 0
  const size = shape.reduce((a, b) => a * b, 1)
  const offset = name.endsWith('running_var') || (shape.length === 1 && name.endsWith('weight')) ? 1.5 : 0
  const values = Float32Array.from({ length: size }, (_, i) => {
    const x = Math.imul(seed + i, 2654435761) ^ ((seed + i) >>> 13)
    return offset + (x | 0) / 2 ** 33
  })
  return { shape, values }
}

/** A zip checkpoint of a state dict, with what PySlowFast saves around it. */
export function checkpointOf(state: ReadonlyMap<string, State>, container = 'model_state'): Buffer {
  const specs = [...state].map(([name, { shape, values }], key): readonly [string, TensorSpec] => [
    name,
    float32(String(key), shape, values),
  ])
  const weights = new Map(specs.map(([name, spec]) => [name, tensor(spec)]))
  const value = new Map<string, unknown>([
    ['epoch', 1],
    [container, weights],
    ['cfg', 'TRAIN: {}'],
  ])
  return torchZip(
    value,
    specs.map(([, spec]) => spec),
  )
}
