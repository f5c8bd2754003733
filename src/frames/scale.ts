/**
 * Scales pictures that are in memory, on the grid that PIL, torchvision and PyTorch share: pixel i of n covers i/n to
 * (i + 1)/n of the side. Only the part that a crop keeps is computed.
 */
import type { Rectangle, Scaling, Size } from './geometry.ts'

export interface ScaleRequest {
  /** Of the picture given. */
  readonly native: Size
  /** Of the whole picture after scaling. */
  readonly scaled: Size
  readonly scaling: Scaling
  /** The part of the scaled picture that is wanted; all of it where left out. */
  readonly crop?: Rectangle | undefined
  /** Mirrors left and right, after cropping. */
  readonly flip?: boolean
}

/**
 * Prepares scaling for pictures of one size.
 *
 * @returns a function from 8-bit RGB [H, W, 3] to the same of the crop, written into `target`
 */
export function createScaler({ native, scaled, scaling, crop, flip = false }: ScaleRequest) {
  const wanted = crop ?? { left: 0, top: 0, ...scaled }
  const columns = weightsOf(native.width, scaled.width, wanted.left, wanted.width, scaling)
  const rows = weightsOf(native.height, scaled.height, wanted.top, wanted.height, scaling)
  // PIL keeps bytes between its two passes and rounds halves up, PyTorch keeps floats and rounds them to the even number.
  const isPil = scaling === 'antialiased'
  const firstRow = rows.from[0]!
  const usedRows = rows.from[wanted.height - 1]! + rows.count - firstRow
  const between = new Float32Array(usedRows * wanted.width * 3)
  return (source: Uint8Array, target: Uint8Array): void => {
    for (let row = 0; row < usedRows; row++) {
      const line = (firstRow + row) * native.width
      for (let column = 0; column < wanted.width; column++) {
        let r = 0
        let g = 0
        let b = 0
        let at = (line + columns.from[column]!) * 3
        for (let k = column * columns.count; k < (column + 1) * columns.count; k++, at += 3) {
          const weight = columns.weights[k]!
          r += weight * source[at]!
          g += weight * source[at + 1]!
          b += weight * source[at + 2]!
        }
        const to = (row * wanted.width + (flip ? wanted.width - 1 - column : column)) * 3
        between[to] = isPil ? Math.floor(r + 0.5) : r
        between[to + 1] = isPil ? Math.floor(g + 0.5) : g
        between[to + 2] = isPil ? Math.floor(b + 0.5) : b
      }
    }
    const length = wanted.width * 3
    const sums = new Float64Array(length)
    const rounded = isPil ? target : new Uint8ClampedArray(target.buffer, target.byteOffset, target.length)
    for (let row = 0; row < wanted.height; row++) {
      sums.fill(isPil ? 0.5 : 0)
      for (let k = 0; k < rows.count; k++) {
        const weight = rows.weights[row * rows.count + k]!
        if (weight === 0) continue
        const line = (rows.from[row]! - firstRow + k) * length
        for (let i = 0; i < length; i++) sums[i]! += weight * between[line + i]!
      }
      for (let i = 0; i < length; i++) rounded[row * length + i] = sums[i]!
    }
  }
}

/** For each new pixel `count` old ones from `from` on, and their weights, which add up to 1. */
interface Weights {
  readonly from: Int32Array
  readonly count: number
  readonly weights: Float64Array
}

/** PIL's weights are whole multiples of one in this. */
const PIL_UNIT = 2 ** 22

/** The triangle filter over a side, for `length` of the new pixels from `begin` on. */
function weightsOf(side: number, scaled: number, begin: number, length: number, scaling: Scaling): Weights {
  const ratio = side / scaled
  const reach = scaling === 'antialiased' ? Math.max(1, ratio) : 1
  const count = Math.min(side, Math.ceil(2 * reach))
  const from = new Int32Array(length)
  const weights = new Float64Array(length * count)
  for (let i = 0; i < length; i++) {
    const exact = (begin + i + 0.5) * ratio
    // PyTorch moves a centre outside the outermost ones onto them; with whole weights PIL's is the same.
    const centre = Math.min(Math.max(exact, 0.5), side - 0.5)
    const middle = scaling === 'antialiased' ? exact : centre
    const first = Math.min(Math.max(0, Math.floor(middle - reach + 0.5)), side - count)
    let sum = 0
    for (let k = 0; k < count; k++) {
      const weight = Math.max(0, 1 - Math.abs(first + k + 0.5 - middle) / reach)
      weights[i * count + k] = weight
      sum += weight
    }
    for (let k = 0; k < count; k++) {
      const share = weights[i * count + k]! / sum
      weights[i * count + k] = scaling === 'antialiased' ? Math.round(share * PIL_UNIT) / PIL_UNIT : share
    }
    from[i] = first
  }
  return { from, count, weights }
}
