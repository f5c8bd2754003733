/** Writes all videos of a data set anew, smaller and quick to seek in, into a folder of their own. */
import { createHash } from 'node:crypto'
import { join, relative, resolve, sep } from 'node:path'
import { MnVideoError } from '../../errors.ts'
import { inParallel } from '../../in-parallel.ts'
import { decodeClip } from '../../video/decode.ts'
import { cachedFrameIndex } from '../../video/index-cache.ts'
import { type ShrinkOptions, type Shrunk, shrinkVideo } from '../../video/shrink.ts'

export interface ResizeOptions extends ShrinkOptions {
  /** Videos at a time. */
  readonly jobs: number
  /** The folder that paths are taken relative to. */
  readonly root: string
  readonly onVideo?: (isNew: boolean) => void
}

export interface Resized {
  /** From each source that could be written to its result. */
  readonly targets: ReadonlyMap<string, string>
  readonly results: readonly Shrunk[]
  readonly failures: readonly string[]
}

/**
 * Writes every video to the place below `out` that it has below the root, as .mp4. What an earlier run has written
 * is kept; a video that fails is told and left out.
 */
export async function resizeVideos(
  paths: Iterable<string>,
  out: string,
  options: ResizeOptions,
): Promise<Resized> {
  const sources = [...new Set(paths)]
  const places = placesFor(sources, resolve(out), options.root)
  const targets = new Map<string, string>()
  const results: Shrunk[] = []
  const failures: string[] = []
  await inParallel(sources, options.jobs, async (path) => {
    const target = places.get(path)!
    try {
      const result = await shrinkVideo(path, target, options)
      results.push(result)
      targets.set(path, target)
      options.onVideo?.(result.isNew)
    } catch (error) {
      if (!(error instanceof MnVideoError) || error.code !== 'media') throw error
      failures.push(error.message)
      options.onVideo?.(true)
    }
  })
  return { targets, results, failures: failures.sort() }
}

/**
 * `a/b.avi` → `OUT/a/b.mp4`; where two would meet, they keep their extensions: `b.avi.mp4`, `b.webm.mp4`; where that is
 * not enough, their names end in a digest of their paths. Names that differ in case or in Unicode's form alone meet too.
 */
export function placesFor(paths: readonly string[], out: string, root: string): Map<string, string> {
  const below = (path: string) => {
    const short = relative(root, path)
    // From elsewhere: below its whole path.
    return short === '..' || short.startsWith(`..${sep}`) ? path.replace(/^[/\\]+/, '') : short
  }
  const plain = (path: string) => `${below(path).replace(/\.[^./\\]+$/, '')}.mp4`
  const names: readonly ((path: string) => string)[] = [
    plain,
    (path) => `${below(path)}.mp4`,
    (path) => `${below(path)}~${createHash('sha256').update(path).digest('hex').slice(0, 12)}.mp4`,
  ]
  const form = (name: string) => name.normalize('NFC').toLowerCase()
  const level = new Map(paths.map((path) => [path, 0]))
  const nameOf = (path: string) => names[level.get(path)!]!(path)
  for (let meeting = true; meeting; ) {
    const uses = new Map<string, number>()
    for (const path of paths) uses.set(form(nameOf(path)), (uses.get(form(nameOf(path))) ?? 0) + 1)
    const rising = paths.filter(
      (path) => uses.get(form(nameOf(path)))! > 1 && level.get(path)! + 1 < names.length,
    )
    for (const path of rising) level.set(path, level.get(path)! + 1)
    meeting = rising.length > 0
  }
  return new Map(paths.map((path) => [path, join(out, nameOf(path))]))
}

/** Milliseconds that a random training clip takes (16 frames, stride 5, crop 224): median over some videos, in turn. */
export async function clipMilliseconds(
  pairs: readonly (readonly [string, string])[],
  options: { readonly cache?: string } = {},
): Promise<{ readonly before: number; readonly after: number }> {
  const times: [number[], number[]] = [[], []]
  for (const [k, pair] of pairs.entries()) {
    for (const side of [0, 1] as const) {
      const index = await cachedFrameIndex(pair[side], options)
      const started = performance.now()
      const start = Math.max(0, index.duration - 80 / 30) * ((k * 0.618) % 1)
      await decodeClip(
        pair[side],
        { times: { frames: 16, stride: 5, start }, shortSide: 256, crop: { size: 224, position: 'centre' } },
        { index },
      )
      times[side].push(performance.now() - started)
    }
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? 0
  return { before: median(times[0]), after: median(times[1]) }
}
