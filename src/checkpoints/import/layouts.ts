/**
 * Between PyTorch's layouts and ours: convolutions [out, in, kt, kh, kw] (2D ones without kt) and
 * [kt, kh, kw, in, out], channelwise ones [c, 1, kt, kh, kw] and [kt, kh, kw, c], linear weights [out, in] and
 * [in, out]; vectors are the same.
 */
import type { ParameterRole } from '../../network/parameters.ts'
import { sizeOf } from '../../network/parameters.ts'

/** A weight as [out, in, kt, kh, kw], or a vector [c]. */
export type TorchShape = readonly number[]

/** The shape in PyTorch of one of our parameters; linear weights and 2D kernels with axes of 1. */
export function torchShapeOf(role: ParameterRole, shape: readonly number[]): TorchShape {
  switch (role) {
    case 'conv': {
      const [kt, kh, kw, cin, cout] = shape as [number, number, number, number, number]
      return [cout, cin, kt, kh, kw]
    }
    case 'channelwise': {
      const [kt, kh, kw, c] = shape as [number, number, number, number]
      return [c, 1, kt, kh, kw]
    }
    case 'linear':
      return [shape[1]!, shape[0]!, 1, 1, 1]
    default:
      return shape
  }
}

/** The shape in PyTorch of a tensor of ours whose role only its rank tells. */
export function torchShapeOfRank(shape: readonly number[]): TorchShape {
  const role = ({ 5: 'conv', 4: 'channelwise', 2: 'linear' } as const)[shape.length]
  return role ? savedShape(role, torchShapeOf(role, shape), 'video') : shape
}

/** A weight's shape with the axes that 2D and linear weights lack; vectors as they are. */
export function withAllAxes(shape: readonly number[]): TorchShape {
  const [cout, cin, ...kernel] = shape
  if (cin === undefined) return shape
  return [cout!, cin, ...Array<number>(Math.max(0, 3 - kernel.length)).fill(1), ...kernel]
}

/** The shape that PyTorch saves: 2D networks have no time axis, linear weights no kernel. */
export function savedShape(role: ParameterRole, shape: TorchShape, media: 'video' | 'image'): number[] {
  if (role === 'linear') return shape.slice(0, 2)
  return role !== 'conv' && role !== 'channelwise'
    ? [...shape]
    : media === 'image'
      ? [shape[0]!, shape[1]!, shape[3]!, shape[4]!]
      : [...shape]
}

/** Values of [out, in, kt, kh, kw] in our order [kt, kh, kw, in, out]; vectors are copied. */
export function fromTorch(values: Float32Array, shape: TorchShape): Float32Array<ArrayBuffer> {
  const target = new Float32Array(sizeOf(shape))
  if (shape.length === 1) {
    target.set(values)
    return target
  }
  const [cout, cin, ...kernel] = shape as [number, number, ...number[]]
  const taps = sizeOf(kernel)
  for (let o = 0; o < cout; o++) {
    for (let i = 0; i < cin; i++) {
      for (let tap = 0; tap < taps; tap++) {
        target[(tap * cin + i) * cout + o] = values[(o * cin + i) * taps + tap]!
      }
    }
  }
  return target
}

/** Values in our order [kt, kh, kw, in, out] as [out, in, kt, kh, kw]. */
export function toTorch(values: Float32Array, shape: TorchShape): Float32Array<ArrayBuffer> {
  const target = new Float32Array(sizeOf(shape))
  if (shape.length === 1) {
    target.set(values)
    return target
  }
  const [cout, cin, ...kernel] = shape as [number, number, ...number[]]
  const taps = sizeOf(kernel)
  for (let o = 0; o < cout; o++) {
    for (let i = 0; i < cin; i++) {
      for (let tap = 0; tap < taps; tap++) {
        target[(o * cin + i) * taps + tap] = values[(tap * cin + i) * cout + o]!
      }
    }
  }
  return target
}

/**
 * A 2D kernel's weights for a 3D one: repeated at each time tap, divided by their number, so that a still
 * picture gives what it gave (Carreira and Zisserman 2017, section 2.4.1). Both in PyTorch's order.
 */
export function inflate(values: Float32Array, from: TorchShape, to: TorchShape): Float32Array {
  const [cout, cin, kt, kh, kw] = to as [number, number, number, number, number]
  const area = kh * kw
  const sourceIn = from[1]!
  const target = new Float32Array(sizeOf(to))
  for (let o = 0; o < cout; o++) {
    // Inputs that the 2D network does not have (a lateral connection's) start at 0.
    for (let i = 0; i < sourceIn; i++) {
      for (let t = 0; t < kt; t++) {
        for (let at = 0; at < area; at++) {
          target[((o * cin + i) * kt + t) * area + at] = values[(o * sourceIn + i) * area + at]! / kt
        }
      }
    }
  }
  return target
}
