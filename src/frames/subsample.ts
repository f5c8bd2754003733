/** Fewer frames of a clip. */
import { MnVideoError } from '../errors.ts'

/**
 * Which t of a clip's T frames a sub-network that sees fewer takes: trunc(linspace(0, T - 1, t)), PySlowFast's
 * rule, in whole numbers so that no rounding error can shift a frame. A linspace in float32 or float64, filled
 * from both ends as torch fills it, agrees for every T up to 28 and for T = 32; beyond, it may land a hair below
 * a whole number and so one frame earlier (T = 29, t = 27 is the smallest case).
 */
export function subsampleFrames(total: number, count: number): number[] {
  requireCount('frames', total)
  requireCount('frames taken', count)
  if (count > total)
    throw new MnVideoError('config', `cannot take ${count} frames of a clip that has ${total}.`)
  if (count === 1) return [0]
  return Array.from({ length: count }, (_, i) => Math.floor((i * (total - 1)) / (count - 1)))
}

/** More frames or views than any clip has that fits in memory. */
const MOST = 2 ** 16

export function requireCount(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new MnVideoError('config', `${name}: must be a whole number from 1, not ${value}.`)
  }
  if (value > MOST) throw new MnVideoError('config', `${name}: at most ${MOST} can be decoded, not ${value}.`)
}
