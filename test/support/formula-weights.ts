/**
 * The deterministic weights and inputs that the golden numbers were computed from: every value is a hash of
 * its tensor's PyTorch name and row-major index in PyTorch's layout (formula in test/reference/README.md).
 */
import type { FrameBatch } from '../../src/frames/batch.ts'
import type { Network } from '../../src/network/graph.ts'
import type { ParameterRole } from '../../src/network/parameters.ts'
import { resolve } from '../../src/network/resolve.ts'
import { type BatchNormStatistics, ParameterStore, parametersOf } from '../../src/network/store.ts'

/** The whole network's weights; a golden's `salt` chooses among sets. */
export function formulaWeights(network: Network, salt: string): ParameterStore {
  const values = parametersOf(network).map(
    ({ name, role, shape }) => [name, valuesOf(`${salt}/${name}`, role, shape)] as const,
  )
  return new ParameterStore(network, new Map(values))
}

function valuesOf(key: string, role: ParameterRole, shape: readonly number[]): Float32Array {
  switch (role) {
    case 'conv':
      return filter(key, shape)
    case 'channelwise': {
      const [kt, kh, kw, c] = shape as [number, number, number, number]
      return filter(key, [kt, kh, kw, 1, c])
    }
    case 'linear':
      return filter(key, [1, 1, 1, ...shape])
    case 'scale':
      return vector(key, shape[0]!, (v) => 1 + 0.1 * v)
    case 'bias':
    case 'shift':
      return vector(key, shape[0]!, (v) => 0.1 * v)
  }
}

/** Running statistics at full width. */
export function formulaStatistics(network: Network, salt: string): BatchNormStatistics {
  const { maxWidth: width, frames, size } = network
  return new Map(
    resolve(network, { width, frames, size })
      .nodes.filter(({ node }) => node.kind === 'batchNorm')
      .map(({ node: { name }, shape: { channels } }) => [
        name,
        {
          mean: vector(`${salt}/${name}.running_mean`, channels, (v) => 0.1 * v),
          variance: vector(`${salt}/${name}.running_var`, channels, (v) => 1 + 0.5 * Math.abs(v)),
        },
      ]),
  )
}

/** An input of the goldens (`SALT/NAME`), from PyTorch's [N, C, T, H, W] (or [N, C, H, W]) to our layout. */
export function formulaInput(key: string, shape: readonly number[]): FrameBatch {
  const [batch, channels, frames, height, width] = (
    shape.length === 4 ? [shape[0], shape[1], 1, shape[2], shape[3]] : shape
  ) as [number, number, number, number, number]
  const value = hashed(key)
  const data = new Float32Array(batch * frames * height * width * channels)
  const positions = frames * height * width
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < positions; i++) {
        data[(n * positions + i) * channels + c] = value((n * channels + c) * positions + i)
      }
    }
  }
  return { data, batch, frames, height, width }
}

/** [kt, kh, kw, in, out] in our layout, from indices of PyTorch's [out, in, kt, kh, kw]. */
function filter(key: string, [kt, kh, kw, cin, cout]: readonly number[]): Float32Array {
  const value = hashed(key)
  const taps = kt! * kh! * kw!
  const scale = Math.sqrt(4 / (cin! * taps))
  const values = new Float32Array(taps * cin! * cout!)
  for (let tap = 0; tap < taps; tap++) {
    for (let i = 0; i < cin!; i++) {
      for (let o = 0; o < cout!; o++) {
        values[(tap * cin! + i) * cout! + o] = value((o * cin! + i) * taps + tap) * scale
      }
    }
  }
  return values
}

function vector(key: string, length: number, map: (v: number) => number): Float32Array {
  const value = hashed(key)
  return Float32Array.from({ length }, (_, i) => map(value(i)))
}

/** The hash as a function of the index, in [−1, 1). */
function hashed(key: string): (index: number) => number {
  let seed = 2166136261
  for (const byte of Buffer.from(key, 'utf8')) seed = Math.imul(seed ^ byte, 16777619)
  return (index) => {
    let x = (seed + index) | 0
    x ^= x >>> 16
    x = Math.imul(x, 0x85ebca6b)
    x ^= x >>> 13
    x = Math.imul(x, 0xc2b2ae35)
    x ^= x >>> 16
    return (x >>> 0) / 2 ** 31 - 1
  }
}
