/** How well a model finds known spans: films with annotations in ActivityNet's format, searched and compared. */
import { readdir } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { z } from 'zod'
import { MnVideoError, reasonOf } from '../../errors.ts'
import {
  type DetectionResult,
  detectionMap,
  type FoundSpan,
  type TrueSpan,
} from '../../evaluation/detection.ts'
import { isFolder } from '../../files/exists.ts'
import { readText } from '../../files/read.ts'
import type { Model } from '../model.ts'
import { type FindSpansOptions, findSpans } from './spans.ts'

/** ActivityNet's annotations; what else the file has is passed over. */
const annotations = z.looseObject({
  database: z.record(
    z.string(),
    z.looseObject({
      subset: z.string().optional(),
      annotations: z.array(
        z.looseObject({
          label: z.string().min(1),
          segment: z.tuple([z.number().nonnegative(), z.number().positive()]),
        }),
      ),
    }),
  ),
})

const MAX_BYTES = 2 ** 29

export interface TestSpansOptions extends FindSpansOptions {
  /** The folder of the videos; default: the one that is named as the file is, else the file's own. */
  readonly root?: string
  /** Which videos, where they are of several subsets; default: `validation`. */
  readonly subset?: string
  /** Told of each film before it is looked through. */
  readonly onFilm?: (name: string, number: number, total: number) => void
}

export interface TestedSpans extends DetectionResult {
  readonly films: number
  readonly spans: { readonly known: number; readonly found: number }
  /** Labels that the model has no class for: they count as never found. */
  readonly unknown: readonly string[]
  /** What was found, as ActivityNet's evaluator reads it. */
  readonly results: Readonly<
    Record<
      string,
      readonly { readonly label: string; readonly score: number; readonly segment: [number, number] }[]
    >
  >
}

/**
 * Looks through every film that a file annotates.
 *
 * @param file ActivityNet's JSON: `{ database: { ID: { subset, annotations: [{ label, segment: [start, end] }] } } }`; a
 *   video is `ID.mp4` (or of another ending), or `v_ID.mp4`
 * @throws MnVideoError `data` for a file that is none or a video that is not there; as `findSpans`
 */
export async function testSpans(
  model: Model,
  file: string,
  options: TestSpansOptions = {},
): Promise<TestedSpans> {
  const { root, subset = 'validation', onFilm, ...find } = options
  const known = await readAnnotations(file, subset)
  const videos = await findVideos(file, root, [...known.keys()])
  const truth: TrueSpan[] = [...known].flatMap(([video, spans]) => spans.map((span) => ({ video, ...span })))
  const found: FoundSpan[] = []
  let number = 0
  for (const [video, path] of videos) {
    onFilm?.(basename(path), ++number, videos.size)
    const { spans } = await findSpans(model, path, find)
    found.push(...spans.map(({ label, start, end, score }) => ({ video, label, start, end, score })))
  }
  const labels = new Set(model.labels)
  const unknown = [...new Set(truth.map(({ label }) => label))].filter((label) => !labels.has(label))
  const results = Object.fromEntries(
    [...videos.keys()].map((id) => [
      id,
      found
        .filter(({ video }) => video === id)
        .map(({ label, score, start, end }) => ({ label, score, segment: [start, end] as [number, number] })),
    ]),
  )
  return {
    ...detectionMap(truth, found),
    films: videos.size,
    spans: { known: truth.length, found: found.length },
    unknown,
    results,
  }
}

async function readAnnotations(
  file: string,
  subset: string,
): Promise<Map<string, Omit<TrueSpan, 'video'>[]>> {
  const fail = (what: string) =>
    new MnVideoError(
      'data',
      `${file}: ${what}.\nExpected ActivityNet's JSON: {"database": {"ID": {"subset": "${subset}", "annotations": [{"label": …, "segment": [start, end]}]}}}.`,
    )
  const json = await readText(file, MAX_BYTES)
    .then((text) => JSON.parse(text) as unknown)
    .catch((error: unknown) => {
      throw fail(error instanceof SyntaxError ? 'is not JSON' : `cannot be read: ${reasonOf(error)}`)
    })
  const parsed = annotations.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw fail(`${issue!.path.join('.') || 'the whole'}: ${issue!.message}`)
  }
  const all = Object.entries(parsed.data.database)
  const wanted = all.filter((entry) => (entry[1].subset ?? subset) === subset)
  if (wanted.length === 0) {
    const others = [...new Set(all.map((entry) => entry[1].subset))].join(', ') || 'none at all'
    throw fail(`has no videos of the subset ${subset} (it has: ${others})`)
  }
  return new Map(
    wanted.map(([id, entry]) => [
      id,
      entry.annotations.map(({ label, segment: [start, end] }) => {
        if (end > start) return { label, start, end }
        throw fail(`database.${id}: a segment ends at ${end}, before its start at ${start}`)
      }),
    ]),
  )
}

async function findVideos(
  file: string,
  root: string | undefined,
  ids: readonly string[],
): Promise<Map<string, string>> {
  const named = file.slice(0, file.length - extname(file).length)
  const folder = root ?? ((await isFolder(named)) ? named : dirname(file))
  const files = await readdir(folder).catch((error: unknown) => {
    throw new MnVideoError(
      'data',
      `${folder}: cannot be read: ${reasonOf(error)}. Give the folder of the videos.`,
    )
  })
  const byName = new Map<string, string>()
  for (const name of files.sort()) {
    const stem = name.slice(0, name.length - extname(name).length)
    if (extname(name) !== '' && extname(name) !== '.json' && !byName.has(stem)) byName.set(stem, name)
  }
  return new Map(
    ids.map((id) => {
      const name = byName.get(id) ?? byName.get(`v_${id}`)
      if (name !== undefined) return [id, join(folder, name)]
      throw new MnVideoError(
        'data',
        `${folder}: has no video ${id} (of ${file}). Give --root FOLDER for where the videos are.`,
      )
    }),
  )
}
