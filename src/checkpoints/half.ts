/** IEEE 754 half precision, by bits: Node 20 has no array of it. */

const single = new Float32Array(1)
const bits = new Uint32Array(single.buffer)

/** The bits of the half nearest to a number, of two the even one; beyond 65504 an infinity. */
export function toHalf(value: number): number {
  single[0] = value
  const sign = (bits[0]! >>> 16) & 0x8000
  const magnitude = bits[0]! & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  // From 65520 on nearest is infinity, whose bits follow those of the largest half.
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  // Below 2^-14 halves are multiples of 2^-24: adding 2^-1 leaves these as the last bits of the sum.
  if (magnitude < 0x38800000) {
    single[0] = Math.abs(single[0]) + 0.5
    return sign | (bits[0]! - 0x3f000000)
  }
  const odd = (magnitude >>> 13) & 1
  return sign | ((magnitude - 0x38000000 + 0xfff + odd) >>> 13)
}

/** The bits in single precision of a half's bits. */
export function halfToSingle(half: number): number {
  const sign = (half & 0x8000) << 16
  const exponent = (half >> 10) & 0x1f
  const fraction = half & 0x3ff
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13)
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13)
  if (fraction === 0) return sign
  // A subnormal half is a normal single: shift its leading one out.
  const shift = Math.clz32(fraction) - 21
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)
}

/** Each number as the half nearest to it. */
export function roundedToHalf(values: Float32Array): Float32Array {
  const words = new Int32Array(values.length)
  for (let i = 0; i < values.length; i++) words[i] = halfToSingle(toHalf(values[i]!))
  return new Float32Array(words.buffer)
}

/** Numbers as bits of halves, where each is one; undefined where any would change. */
export function asHalves(values: Float32Array): Uint16Array | undefined {
  const halves = Uint16Array.from(values, toHalf)
  const back = roundedToHalf(values)
  return values.every((value, i) => value === back[i]) ? halves : undefined
}
