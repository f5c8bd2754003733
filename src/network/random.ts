/** A seeded generator of random numbers, whose whole state can be saved and restored. */

export interface Random {
  /** Uniform in [0, 1) with 32 random bits. */
  uniform(): number
  /** Uniform whole number in [0, n). */
  integer(n: number): number
  /** Standard normal. */
  normal(): number
  /** Everything the next numbers depend on. */
  readonly state: RandomState
}

export type RandomState = readonly [number, number, number, number]

/** xoshiro128** (Blackman and Vigna 2018), seeded by splitmix32; or resumed from a saved state. */
export function createRandom(seed: number | RandomState): Random {
  let [a, b, c, d] = typeof seed === 'number' ? expand(seed) : seed
  const next = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = rotate(d, 11)
    return result
  }
  const uniform = () => next() / 2 ** 32
  return {
    uniform,
    integer: (n) => Math.floor(uniform() * n),
    // Box–Muller without keeping the second value, so that the state is the four words alone.
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    get state(): RandomState {
      return [a, b, c, d]
    },
  }
}

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by))

function expand(seed: number): RandomState {
  let x = seed | 0
  const word = () => {
    x = (x + 0x9e3779b9) | 0
    let z = x
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return z ^ (z >>> 15)
  }
  return [word(), word(), word(), word()]
}
