/**
 * The network's operations as plain loops in double precision, to judge engines by. Slow and simple: one loop per
 * axis, no padding buffers, nothing shared with any engine.
 */
import type { Inputs } from '../../src/frames/batch.ts'
import type { Triple } from '../../src/network/graph.ts'
import type { ParameterSlice } from '../../src/network/parameters.ts'
import type { ResolvedNode, Shape, SubNetwork } from '../../src/network/resolve.ts'
import { forEachRun } from '../../src/network/store.ts'

interface Value {
  readonly batch: number
  readonly shape: Shape
  /** [batch, frames, height, width, channels]. */
  readonly data: Float64Array
}

/** Full-size weights by name. */
export type PlainWeights = ReadonlyMap<string, Float64Array>

export type PlainStatistics =
  | 'batch'
  | ReadonlyMap<string, { readonly mean: Float32Array; readonly variance: Float32Array }>

/** [batch, classes]: the mean of the classifier's outputs over positions. */
export function plainLogits(
  subNetwork: SubNetwork,
  weights: PlainWeights,
  inputs: Inputs,
  statistics: PlainStatistics,
): Float64Array {
  const values = new Map<string, Value>()
  for (const resolved of subNetwork.nodes) {
    values.set(resolved.node.name, compute(resolved, values, weights, inputs, statistics))
  }
  return values.get(subNetwork.network.output)!.data
}

function compute(
  resolved: ResolvedNode,
  values: ReadonlyMap<string, Value>,
  weights: PlainWeights,
  inputs: Inputs,
  statistics: PlainStatistics,
): Value {
  const { node, shape, parameters } = resolved
  const read = (name: string) => values.get(name)!
  const parameter = (index: number) => gather(weights, parameters[index]!)
  if (node.kind === 'input') {
    const { data, batch } = inputs[node.name]!
    return { batch, shape, data: Float64Array.from(data) }
  }
  const first = read(node.kind === 'add' || node.kind === 'concat' ? node.inputs[0]! : node.input)
  const { batch } = first
  const eachPosition = (
    fill: (channels: Float64Array, n: number, t: number, h: number, w: number) => void,
  ): Value => {
    const data = new Float64Array(batch * shape.frames * shape.height * shape.width * shape.channels)
    let i = 0
    for (let n = 0; n < batch; n++)
      for (let t = 0; t < shape.frames; t++)
        for (let h = 0; h < shape.height; h++)
          for (let w = 0; w < shape.width; w++, i += shape.channels)
            fill(data.subarray(i, i + shape.channels), n, t, h, w)
    return { batch, shape, data }
  }
  const each = (value: (n: number, t: number, h: number, w: number, c: number) => number): Value =>
    eachPosition((channels, n, t, h, w) => {
      for (let c = 0; c < shape.channels; c++) channels[c] = value(n, t, h, w, c)
    })
  const pointwise = (f: (x: number, c: number) => number): Value => ({
    batch,
    shape,
    data: first.data.map((x, i) => f(x, i % shape.channels)),
  })
  switch (node.kind) {
    case 'conv':
    case 'linear': {
      const cin = first.shape.channels
      const filter = parameter(0)
      const bias = parameters.length > 1 ? parameter(1) : undefined
      const window = node.kind === 'conv' ? node : { kernel: UNIT, stride: UNIT, padding: [0, 0, 0] as const }
      // All output channels go along: a loop for each of them would read the filter across its rows, ten times as slow.
      return eachPosition((sums, n, t, h, w) => {
        if (bias) sums.set(bias)
        forWindow(window, first.shape, t, h, w, (it, ih, iw, tap) => {
          for (let i = 0; i < cin; i++) {
            const x = at(first, n, it, ih, iw, i)
            const row = (tap * cin + i) * shape.channels
            for (let o = 0; o < shape.channels; o++) sums[o]! += x * filter[row + o]!
          }
        })
      })
    }
    case 'channelwiseConv': {
      const filter = parameter(0)
      return each((n, t, h, w, c) => {
        let sum = 0
        forWindow(node, first.shape, t, h, w, (it, ih, iw, tap) => {
          sum += at(first, n, it, ih, iw, c) * filter[tap * shape.channels + c]!
        })
        return sum
      })
    }
    case 'batchNorm': {
      const { mean, variance } = statistics === 'batch' ? moments(first) : statistics.get(node.name)!
      const [scale, shift] = [parameter(0), parameter(1)]
      return pointwise(
        (x, c) => ((x - mean[c]!) / Math.sqrt(variance[c]! + node.epsilon)) * scale[c]! + shift[c]!,
      )
    }
    case 'activation':
      return pointwise(ACTIVATIONS[node.activation])
    case 'add': {
      const other = read(node.inputs[1])
      return { batch, shape, data: first.data.map((x, i) => x + other.data[i]!) }
    }
    case 'concat': {
      const parts = node.inputs.map(read)
      return each((n, t, h, w, c) => {
        let channel = c
        for (const part of parts) {
          if (channel < part.shape.channels) return at(part, n, t, h, w, channel)
          channel -= part.shape.channels
        }
        throw new Error('no such channel')
      })
    }
    case 'gate': {
      const gates = read(node.gate)
      return each((n, t, h, w, c) => at(first, n, t, h, w, c) * at(gates, n, 0, 0, 0, c))
    }
    case 'maxPool':
      return each((n, t, h, w, c) => {
        let largest = Number.NEGATIVE_INFINITY
        forWindow(node, first.shape, t, h, w, (it, ih, iw) => {
          largest = Math.max(largest, at(first, n, it, ih, iw, c))
        })
        return largest
      })
    case 'globalPool': {
      const kernel = resolved.kernel!
      return each((n, t, h, w, c) => {
        let sum = 0
        forWindow({ kernel, stride: UNIT, padding: [0, 0, 0] }, first.shape, t, h, w, (it, ih, iw) => {
          sum += at(first, n, it, ih, iw, c)
        })
        return sum / (kernel[0] * kernel[1] * kernel[2])
      })
    }
    case 'resample': {
      const from = first.shape
      const range = (i: number, size: number, to: number) =>
        [Math.floor((i * size) / to), Math.ceil(((i + 1) * size) / to)] as const
      return each((n, t, h, w, c) => {
        const [t0, t1] = range(t, from.frames, shape.frames)
        const [h0, h1] = range(h, from.height, shape.height)
        const [w0, w1] = range(w, from.width, shape.width)
        let sum = 0
        for (let it = t0; it < t1; it++)
          for (let ih = h0; ih < h1; ih++) for (let iw = w0; iw < w1; iw++) sum += at(first, n, it, ih, iw, c)
        return sum / ((t1 - t0) * (h1 - h0) * (w1 - w0))
      })
    }
    case 'dropout':
      return first
  }
}

const UNIT: Triple = [1, 1, 1]

const ACTIVATIONS = {
  relu: (x: number) => Math.max(x, 0),
  relu6: (x: number) => Math.min(Math.max(x, 0), 6),
  swish: (x: number) => x / (1 + Math.exp(-x)),
  sigmoid: (x: number) => 1 / (1 + Math.exp(-x)),
}

function at({ shape, data }: Value, n: number, t: number, h: number, w: number, c: number): number {
  return data[(((n * shape.frames + t) * shape.height + h) * shape.width + w) * shape.channels + c]!
}

function forWindow(
  window: { readonly kernel: Triple; readonly stride: Triple; readonly padding: Triple },
  from: Shape,
  t: number,
  h: number,
  w: number,
  visit: (t: number, h: number, w: number, tap: number) => void,
): void {
  const { kernel, stride, padding } = window
  for (let tap = 0; tap < kernel[0] * kernel[1] * kernel[2]; tap++) {
    const it = t * stride[0] - padding[0] + Math.floor(tap / (kernel[1] * kernel[2]))
    const ih = h * stride[1] - padding[1] + (Math.floor(tap / kernel[2]) % kernel[1])
    const iw = w * stride[2] - padding[2] + (tap % kernel[2])
    const inside = it >= 0 && it < from.frames && ih >= 0 && ih < from.height && iw >= 0 && iw < from.width
    if (inside) visit(it, ih, iw, tap)
  }
}

function moments({ shape, data }: Value) {
  const { channels } = shape
  const rows = data.length / channels
  const mean = new Float64Array(channels)
  const variance = new Float64Array(channels)
  data.forEach((x, i) => {
    mean[i % channels]! += x / rows
  })
  data.forEach((x, i) => {
    variance[i % channels]! += (x - mean[i % channels]!) ** 2 / rows
  })
  return { mean, variance }
}

function gather(weights: PlainWeights, slice: ParameterSlice): Float64Array {
  const source = weights.get(slice.name)!
  const values: number[] = []
  forEachRun(slice, (start, count) => values.push(...source.subarray(start, start + count)))
  return Float64Array.from(values)
}
