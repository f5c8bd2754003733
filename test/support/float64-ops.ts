/**
 * Every operation of a network as plain loops over doubles: what an engine's results are compared with. Slow
 * and obvious on purpose, and sharing nothing with the program. Shapes are explicit; layouts are the
 * program's: values [batch, frames, height, width, channels], filters [kt, kh, kw, cin, cout] (channelwise
 * [kt, kh, kw, c]), linear weights [cin, cout], all row-major.
 */

/** [batch, frames, height, width, channels]. */
export type Shape5 = readonly [number, number, number, number, number]

/** Along frames, height and width. */
export type Triple = readonly [number, number, number]

export interface Values {
  readonly shape: Shape5
  readonly data: Float64Array
}

export interface Window {
  readonly kernel: Triple
  readonly stride: Triple
  /** Empty positions on both sides of each axis. */
  readonly padding: Triple
}

type Numbers = ArrayLike<number>
type Position = readonly [n: number, t: number, h: number, w: number, c: number]

/** Dense convolution to `out` channels; `filter` is [kt, kh, kw, cin, out]. */
export function conv(x: Values, filter: Numbers, out: number, window: Window): Values {
  const cin = x.shape[4]
  return fill(slid(x.shape, window, out), (position) => {
    let sum = 0
    eachTap(x.shape, window, position, (seen, tap) => {
      for (let c = 0; c < cin; c++) {
        sum += read(x, [...seen, c]) * filter[(tap * cin + c) * out + position[4]]!
      }
    })
    return sum
  })
}

/** Convolution of each channel by itself; `filter` is [kt, kh, kw, c]. */
export function channelwiseConv(x: Values, filter: Numbers, window: Window): Values {
  const channels = x.shape[4]
  return fill(slid(x.shape, window, channels), (position) => {
    const c = position[4]
    let sum = 0
    eachTap(x.shape, window, position, (seen, tap) => {
      sum += read(x, [...seen, c]) * filter[tap * channels + c]!
    })
    return sum
  })
}

/** The largest value in each window; padding never wins. */
export function maxPool(x: Values, window: Window): Values {
  return fill(slid(x.shape, window, x.shape[4]), (position) => {
    let largest = Number.NEGATIVE_INFINITY
    eachTap(x.shape, window, position, (seen) => {
      largest = Math.max(largest, read(x, [...seen, position[4]]))
    })
    return largest
  })
}

/** The mean over windows at stride 1, without padding. A window as large as the input gives one position. */
export function averagePool(x: Values, kernel: Triple): Values {
  const window = { kernel, stride: [1, 1, 1], padding: [0, 0, 0] } as const
  return fill(slid(x.shape, window, x.shape[4]), (position) => {
    let sum = 0
    eachTap(x.shape, window, position, (seen) => {
      sum += read(x, [...seen, position[4]])
    })
    return sum / (kernel[0] * kernel[1] * kernel[2])
  })
}

/** Average pooling to given extents as PyTorch defines it: output i reads ⌊i·from/to⌋ … ⌈(i+1)·from/to⌉ − 1. */
export function adaptiveAveragePool(x: Values, to: Triple): Values {
  const [batch, ...extents] = x.shape
  const range = (axis: 0 | 1 | 2, i: number) => ({
    start: Math.floor((i * extents[axis]) / to[axis]),
    end: Math.ceil(((i + 1) * extents[axis]) / to[axis]),
  })
  return fill([batch, ...to, x.shape[4]], ([n, i, j, k, c]) => {
    const [frames, rows, columns] = [range(0, i), range(1, j), range(2, k)]
    let sum = 0
    let count = 0
    for (let t = frames.start; t < frames.end; t++) {
      for (let h = rows.start; h < rows.end; h++) {
        for (let w = columns.start; w < columns.end; w++) {
          sum += read(x, [n, t, h, w, c])
          count++
        }
      }
    }
    return sum / count
  })
}

/** Multiplies each channel of each sample by its gate; `gates` is [batch, channels]. */
export function gate(x: Values, gates: Numbers): Values {
  return fill(x.shape, (position) => read(x, position) * gates[position[0] * x.shape[4] + position[4]]!)
}

/** A linear layer at every position; `weight` is [cin, out]. */
export function linear(x: Values, weight: Numbers, bias: Numbers): Values {
  const [batch, frames, height, width, cin] = x.shape
  const out = bias.length
  return fill([batch, frames, height, width, out], ([n, t, h, w, k]) => {
    let sum = bias[k]!
    for (let c = 0; c < cin; c++) sum += read(x, [n, t, h, w, c]) * weight[c * out + k]!
    return sum
  })
}

export interface BatchNormParameters {
  readonly mean: Numbers
  readonly variance: Numbers
  readonly scale: Numbers
  readonly shift: Numbers
  readonly epsilon: number
}

/** (x − mean) / √(variance + ε) · scale + shift, channel by channel. */
export function batchNorm(x: Values, parameters: BatchNormParameters): Values {
  const { mean, variance, scale, shift, epsilon } = parameters
  return fill(x.shape, (position) => {
    const c = position[4]
    return ((read(x, position) - mean[c]!) / Math.sqrt(variance[c]! + epsilon)) * scale[c]! + shift[c]!
  })
}

/** Mean and biased variance of each channel over everything else. */
export function channelMoments({ shape, data }: Values): { mean: Float64Array; variance: Float64Array } {
  const channels = shape[4]
  const count = data.length / channels
  const mean = new Float64Array(channels)
  data.forEach((value, i) => {
    mean[i % channels]! += value / count
  })
  const variance = new Float64Array(channels)
  data.forEach((value, i) => {
    variance[i % channels]! += (value - mean[i % channels]!) ** 2 / count
  })
  return { mean, variance }
}

const ACTIVATIONS = {
  relu: (v: number) => Math.max(0, v),
  relu6: (v: number) => Math.min(6, Math.max(0, v)),
  sigmoid: (v: number) => 1 / (1 + Math.exp(-v)),
  swish: (v: number) => v / (1 + Math.exp(-v)),
} as const

export function activate({ shape, data }: Values, activation: keyof typeof ACTIVATIONS): Values {
  return { shape, data: data.map((value) => ACTIVATIONS[activation](value)) }
}

/** Values computed one by one from their position. */
export function fill(shape: Shape5, valueAt: (position: Position) => number): Values {
  const [batch, frames, height, width, channels] = shape
  const data = new Float64Array(batch * frames * height * width * channels)
  let i = 0
  for (let n = 0; n < batch; n++) {
    for (let t = 0; t < frames; t++) {
      for (let h = 0; h < height; h++) {
        for (let w = 0; w < width; w++) {
          for (let c = 0; c < channels; c++) data[i++] = valueAt([n, t, h, w, c])
        }
      }
    }
  }
  return { shape, data }
}

/**
 * Repeatable values in [−1, 1) that single precision holds exactly, so that an engine computing in float32
 * starts from the same numbers.
 */
export function noise(length: number, seed: number): Float64Array {
  let state = (seed * 2654435761) >>> 0 || 1
  return Float64Array.from({ length }, () => {
    // xorshift32 (Marsaglia 2003); 24 bits fit a float's mantissa.
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return ((state >>> 8) - 2 ** 23) / 2 ** 23
  })
}

/** Noise as values of a shape. */
export function noiseOf(shape: Shape5, seed: number): Values {
  return {
    shape,
    data: noise(
      shape.reduce((product, axis) => product * axis, 1),
      seed,
    ),
  }
}

function read({ shape, data }: Values, [n, t, h, w, c]: Position): number {
  return data[(((n * shape[1] + t) * shape[2] + h) * shape[3] + w) * shape[4] + c]!
}

/** The shape after a window slides over padded values: as many positions as fit. */
function slid(shape: Shape5, { kernel, stride, padding }: Window, channels: number): Shape5 {
  const positions = (axis: 0 | 1 | 2) => {
    const last = shape[axis + 1]! + padding[axis] - kernel[axis]
    let count = 0
    for (let start = -padding[axis]; start <= last; start += stride[axis]) count++
    return count
  }
  return [shape[0], positions(0), positions(1), positions(2), channels]
}

/** Calls back for every tap of the window at an output position that lies inside the values. */
function eachTap(
  shape: Shape5,
  { kernel, stride, padding }: Window,
  [n, i, j, k]: Position,
  visit: (seen: readonly [n: number, t: number, h: number, w: number], tap: number) => void,
): void {
  for (let kt = 0; kt < kernel[0]; kt++) {
    for (let kh = 0; kh < kernel[1]; kh++) {
      for (let kw = 0; kw < kernel[2]; kw++) {
        const t = i * stride[0] + kt - padding[0]
        const h = j * stride[1] + kh - padding[1]
        const w = k * stride[2] + kw - padding[2]
        const inside = t >= 0 && t < shape[1] && h >= 0 && h < shape[2] && w >= 0 && w < shape[3]
        if (inside) visit([n, t, h, w], (kt * kernel[1] + kh) * kernel[2] + kw)
      }
    }
  }
}
