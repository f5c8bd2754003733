/** What the campaigns share: their seed, how long they go on, and how they tell what they counted. */
import { createRandom, type Random } from '../../src/network/random.ts'

/** What everything random follows from; printed, and given again by MN_VIDEO_HOSTILE_SEED. */
export const SEED = Number(process.env.MN_VIDEO_HOSTILE_SEED ?? Math.floor(Math.random() * 1e6))

/** Another stream for every campaign. */
export const randomOf = (campaign: number): Random => createRandom(SEED * 64 + campaign)

/** So many rounds by default; MN_VIDEO_HOSTILE_ROUNDS multiplies it. */
export const rounds = (count: number): number =>
  Math.max(1, Math.round(count * Number(process.env.MN_VIDEO_HOSTILE_ROUNDS ?? 1)))

/** One line of what a campaign counted. */
export function tell(campaign: string, counts: Readonly<Record<string, number>>): void {
  const shown = Object.entries(counts).map(([what, count]) => `${what} ${count}`)
  console.log(`${campaign} (seed ${SEED}): ${shown.join(', ')}`)
}
