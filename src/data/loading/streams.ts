/**
 * Random numbers by place: what is drawn for one sample follows from the seed and the sample's place alone, never
 * from what was drawn before it, so that a resumed epoch goes on exactly as an uninterrupted one.
 */
import { createRandom, type Random } from '../../network/random.ts'

/** The generator of a place: whole numbers such as an epoch and a position, negative ones too. */
export function randomAt(seed: number, ...place: readonly number[]): Random {
  let hash = seed | 0
  for (const number of place) hash = mix(hash ^ mix(number | 0))
  return createRandom(hash)
}

/** The numbers from 0 to count − 1 in random order (Fisher and Yates). */
export function shuffled(count: number, random: Random): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i)
  for (let last = count - 1; last > 0; last--) {
    const other = random.integer(last + 1)
    const moved = order[last]!
    order[last] = order[other]!
    order[other] = moved
  }
  return order
}

/** The finaliser of MurmurHash3 behind an odd step, so that 0 does not stay 0. */
function mix(value: number): number {
  let x = (value + 0x9e3779b9) | 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}
