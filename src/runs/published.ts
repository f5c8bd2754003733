/**
 * Accuracies that papers published, to draw beside ours: curves, points and query tables, each with its source,
 * what it was read from and how exactly. They are data files under `configs/published`.
 */
import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { MnVideoError } from '../errors.ts'
import { readText } from '../files/read.ts'
import type { Configuration } from '../network/graph.ts'

const folder = fileURLToPath(new URL('../../configs/published/', import.meta.url))

const point = z.strictObject({
  /** What tells it from the others, where it has no configuration. */
  name: z.string().optional(),
  /** 1e9 multiply-adds per clip, image or video, as the file's `per` says. */
  gflops: z.number().positive(),
  /** Percent. */
  top1: z.number().min(0).max(100),
  width: z.number().positive().optional(),
  frames: z.int().positive().optional(),
  size: z.int().positive().optional(),
  /** Keys of the recipe that this point's network differs in. */
  set: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
})

const series = z.strictObject({
  name: z.string(),
  /** `independent`: separate networks, each trained alone. */
  method: z.enum(['mutualnet', 'us_net', 'independent']),
  drawn_as: z.enum(['curve', 'points']),
  /** Whose numbers they are. */
  source: z.string(),
  /** Where we have them from: a figure, a table. */
  read_from: z.string(),
  /** Half the uncertainty of each figure, in its unit. */
  reading_error: z.strictObject({ gflops: z.number().positive(), top1: z.number().positive() }),
  note: z.string().optional(),
  /** The recipe of ours whose costs these are; absent where another program's networks were counted. */
  recipe: z.string().optional(),
  /** True for a network's query table: weights of the same name and method may answer by it. */
  query_table: z.boolean().optional(),
  /** From the dearest to the cheapest. */
  points: z.array(point).min(1),
})

const schema = z.strictObject({
  format: z.literal('mn-video published results 1'),
  title: z.string(),
  dataset: z.string(),
  per: z.enum(['clip', 'image', 'video']),
  /** Clips of a video, where `per` is that. */
  views: z.int().positive().optional(),
  series: z.array(series).min(1),
})

export type Published = Readonly<z.infer<typeof schema>>
export type PublishedSeries = Published['series'][number]
export type PublishedPoint = PublishedSeries['points'][number]

/** The names that `loadPublished` knows. */
export async function publishedNames(): Promise<string[]> {
  return (await readdir(folder))
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .sort()
}

const MAX_BYTES = 2 ** 20

/** @throws MnVideoError `usage` for a name that is not there, with those that are */
export async function loadPublished(name: string): Promise<Published> {
  const names = await publishedNames()
  if (!names.includes(name)) {
    throw new MnVideoError('usage', `nothing published is called "${name}". Give one of ${names.join(', ')}.`)
  }
  return parsePublished(await readText(`${folder}${name}.json`, MAX_BYTES), `configs/published/${name}.json`)
}

/** Reads a file's text; `name` is for messages. */
export function parsePublished(text: string, name: string): Published {
  const parsed = schema.safeParse(JSON.parse(text))
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0]!
  throw new MnVideoError(
    'config',
    `${name}: ${path.join('.')}: ${message}. The file is damaged; install again.`,
  )
}

/** The configuration of a published point; undefined where it has none. */
export const configurationOf = ({ width, frames, size }: PublishedPoint): Configuration | undefined =>
  width === undefined || frames === undefined || size === undefined ? undefined : { width, frames, size }
