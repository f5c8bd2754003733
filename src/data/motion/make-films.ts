/** Writes films in which motions of `scene.ts` follow one another, and a list of their spans, to find them again. */
import { mkdir, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { temporaryBeside } from '../../files/temporary.ts'
import { writeAtomically } from '../../files/write.ts'
import type { Size } from '../../frames/geometry.ts'
import type { Random } from '../../network/random.ts'
import { randomAt } from '../loading/streams.ts'
import { encodeFilm, fileName, RATE } from './encode.ts'
import { checkMotion } from './make-motion.ts'
import { noiseTable, renderScene } from './render.ts'
import { drawScene, MOTION_CLASSES, type MotionClass } from './scene.ts'

export interface FilmsOptions {
  /** The folder to write `films` and `films.json` into. */
  readonly out: string
  readonly films: number
  /** Minutes of each; 10 by default. */
  readonly minutes?: number
  /** Pixels, even; 96×72 by default. */
  readonly size?: Size
  /** What everything random follows from; 1 by default. */
  readonly seed?: number
  readonly signal?: AbortSignal
  /** Told of seconds painted so far, of all films. */
  readonly onProgress?: (done: number, total: number) => void
}

/** Seconds of a motion, and of what lies between: a cut, or a picture in which nothing moves. */
const SPAN = [3, 15] as const
const GAP = [2, 6] as const
const GAP_SHARE = 1 / 3
/** Apart from the clips' generators (make-motion.ts), whose first number is 0 or 1. */
const STREAM = 2

interface Part {
  readonly motion: MotionClass | undefined
  readonly frames: number
}

/**
 * Renders films: `films/0001.mp4` … and `films.json`, their spans in ActivityNet's format. The same options give the same
 * pixels.
 *
 * @returns seconds of one film, and the spans of all
 * @throws MnVideoError 'usage' for options that cannot be, 'missing' without FFmpeg, 'data' where it cannot encode
 */
export async function makeFilms(options: FilmsOptions) {
  const { films, minutes = 10, size = { width: 96, height: 72 }, seed = 1, signal, onProgress } = options
  checkMotion({ films, minutes, width: size.width, height: size.height })
  const out = resolve(options.out)
  const noise = noiseTable(randomAt(seed))
  const frames = minutes * 60 * RATE
  const total = films * frames
  let done = 0
  const paint = function* (film: number, parts: readonly Part[]) {
    for (const [i, { motion, frames: count }] of parts.entries()) {
      const random = randomAt(seed, STREAM, film, i)
      const scene = drawScene(random, motion, size.width / size.height, count / RATE)
      // A second at a time: a long scene would take the memory of a film.
      for (let from = 0; from < count; from += RATE) {
        const times = Array.from({ length: Math.min(RATE, count - from) }, (_, k) => (from + k) / RATE)
        yield renderScene(scene, size, times, { table: noise, random })
        done += times.length
        onProgress?.(done / RATE, total / RATE)
      }
    }
  }
  const database: Record<string, object> = {}
  await mkdir(join(out, 'films'), { recursive: true })
  const staging = await temporaryBeside(join(out, 'making'))
  try {
    await rm(join(out, 'films.json'), { force: true })
    for (let film = 0; film < films; film++) {
      const parts = drawParts(randomAt(seed, STREAM, film), frames)
      await mkdir(staging, { recursive: true })
      await encodeFilm(staging, paint(film, parts), size, signal)
      await rename(join(staging, 'film.mp4'), join(out, 'films', fileName(film)))
      database[fileName(film).replace('.mp4', '')] = {
        subset: 'validation',
        duration: frames / RATE,
        annotations: annotationsOf(parts),
      }
    }
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
  // Last, so that a list that is there is of films that are whole.
  const json = JSON.stringify({ version: 'mn-video motion films', database }, null, 1)
  await writeAtomically(join(out, 'films.json'), [Buffer.from(`${json}\n`)])
  const spans = Object.values(database).reduce(
    (sum, film) => sum + (film as { annotations: object[] }).annotations.length,
    0,
  )
  return { out, films, seconds: frames / RATE, spans }
}

/** What follows what, until the film is full; no motion twice in a row. */
function drawParts(random: Random, frames: number): Part[] {
  const parts: Part[] = []
  let last: MotionClass | undefined
  for (let left = frames; left > 0; ) {
    const isGap = parts.length > 0 && parts.at(-1)!.motion !== undefined && random.uniform() < GAP_SHARE
    const [least, most] = isGap ? GAP : SPAN
    const drawn = Math.round((least + random.uniform() * (most - least)) * RATE)
    // No rest that is too short to be one.
    const count = left - drawn < least * RATE ? left : drawn
    const others = MOTION_CLASSES.filter((motion) => motion !== last)
    const motion = isGap ? undefined : others[random.integer(others.length)]!
    parts.push({ motion, frames: count })
    last = motion ?? last
    left -= count
  }
  return parts
}

function annotationsOf(parts: readonly Part[]): object[] {
  let reached = 0
  return parts.flatMap(({ motion, frames }) => {
    const segment = [reached / RATE, (reached + frames) / RATE]
    reached += frames
    return motion === undefined ? [] : [{ label: motion, segment }]
  })
}
