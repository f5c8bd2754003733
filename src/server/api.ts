/**
 * What is said over HTTP: requests, answers and the messages of a stream, as schemas that requests are checked by and the
 * OpenAPI document is made of. The page imports their types; nothing here is of Node.
 */
import { z } from 'zod'

const share = z.number().min(0).max(1)
const milliseconds = z.number().nonnegative()

export const configurationSchema = z
  .strictObject({
    width: z.number().positive().describe('Width multiplier'),
    frames: z.int().positive(),
    size: z.int().positive().describe('Pixels a side'),
    gflops: z.number().nonnegative().describe('1e9 multiply-adds for one clip or image'),
    top1: share.optional().describe('Share of validation samples right at the first guess'),
    map: share.optional().describe('Mean average precision, where samples have any number of labels'),
    latency_ms: milliseconds
      .optional()
      .describe('One clip or image alone on this machine, decoding not counted'),
  })
  .meta({ description: 'One sub-network and what it costs' })
export type ConfigurationJson = z.infer<typeof configurationSchema>

/** What comes in a query, a form or JSON: numbers may be text. */
const number = z.coerce.number().positive()
const whole = z.coerce.number().int().positive()
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')])

const costOptions = {
  gflops: number.optional().describe('The most that one clip or image may cost, in 1e9 multiply-adds'),
  mflops: number.optional().describe('The same in 1e6 multiply-adds'),
  latency_ms: number.optional().describe('… in milliseconds on this machine, decoding not counted'),
  width: number
    .optional()
    .describe('An exact configuration in place of a budget, which load does not change'),
  frames: whole.optional(),
  size: whole.optional(),
}

const loadOptions = {
  model: z.string().max(200).optional().describe('A name that /v1/models gives; the first by default'),
  deadline_ms: number
    .max(3_600_000)
    .optional()
    .describe('From the whole request to its answer; under load a cheaper configuration holds it'),
  switching: flag.optional().describe('false: never a cheaper configuration than was asked for'),
}

export const classifyRequest = z.strictObject({
  ...costOptions,
  ...loadOptions,
  views: z
    .string()
    .regex(/^[1-9]\d{0,2}(?:x[13])?$/)
    .optional()
    .describe("Temporal views × 1 or 3 crops of a video, such as 10x3; the run's by default"),
  topk: whole.max(10_000).optional().describe('Classes to list; 5 by default'),
})
export type ClassifyRequest = z.infer<typeof classifyRequest>

export const spansRequest = z.strictObject({
  ...costOptions,
  ...loadOptions,
  stride: number.optional().describe('Seconds from one window to the next; half a clip by default'),
  min_score: number.max(1).optional().describe('The smoothed score that a span begins with; 0.5 by default'),
  min_length: z.coerce.number().nonnegative().optional().describe('Seconds; what is shorter is no span'),
  background: z.string().max(1000).optional().describe('A class that is no span'),
})
export type SpansRequest = z.infer<typeof spansRequest>

/** With a path in place of the file itself. */
export const withPath = {
  path: z.string().min(1).max(4096).describe("Of a file, relative to the server's --root"),
}

const scored = z.strictObject({ index: z.int().nonnegative(), label: z.string(), score: share })

export const classifyAnswer = z
  .strictObject({
    model: z.string(),
    trained: z.boolean(),
    asked: configurationSchema,
    configuration: configurationSchema.describe('What it got: asked, or something cheaper under load'),
    switched: z.boolean(),
    views: z.int().positive(),
    gflops_in_all: z.number().nonnegative(),
    top: z.array(scored),
    waited_ms: milliseconds,
    decode_ms: milliseconds,
    compute_ms: milliseconds,
    total_ms: milliseconds.describe('From the whole request to its answer'),
    in_time: z.boolean().describe('Whether that was within the deadline'),
  })
  .meta({ description: 'The classes of a video or image, the most probable first' })
export type ClassifyAnswer = z.infer<typeof classifyAnswer>

const spanFields = {
  start: z.number().nonnegative().describe('Seconds'),
  end: z.number().nonnegative(),
  label: z.string(),
  index: z.int().nonnegative(),
  score: share.describe('The mean of its windows'),
  peak: share,
}

const errorFields = { code: z.string(), message: z.string() }
export const errorAnswer = z
  .strictObject({ error: z.strictObject(errorFields) })
  .meta({ description: 'What went wrong, and the way out' })
export type ErrorAnswer = z.infer<typeof errorAnswer>

const errorEvent = z.strictObject({ event: z.literal('error'), ...errorFields })

/** The lines of /v1/spans. */
export const spansEvent = z.discriminatedUnion('event', [
  z.strictObject({
    event: z.literal('begin'),
    model: z.string(),
    trained: z.boolean(),
    asked: configurationSchema,
    configuration: configurationSchema,
    switched: z.boolean(),
  }),
  z.strictObject({ event: z.literal('progress'), done: z.number(), duration: z.number() }),
  z.strictObject({ event: z.literal('span'), ...spanFields }),
  z.strictObject({
    event: z.literal('end'),
    duration: z.number().nonnegative(),
    windows: z.int().nonnegative(),
    spans: z.int().nonnegative(),
    total_ms: milliseconds,
  }),
  errorEvent,
])
export type SpansEvent = z.infer<typeof spansEvent>

export const modelSchema = z.strictObject({
  name: z.string(),
  network: z.string(),
  media: z.enum(['video', 'image']),
  trained: z.boolean(),
  engine: z.string(),
  views: z.string().optional(),
  clip: z
    .strictObject({
      frames: z.int().positive(),
      seconds: z.number().positive(),
      short_side: z.int().positive(),
    })
    .optional()
    .describe('What one clip is of: the page sends frames no larger than its short side'),
  labels: z.array(z.string()),
  table: z.array(configurationSchema).describe('All that can run, from the cheapest to the dearest'),
  frontier: z
    .array(configurationSchema)
    .describe('Those that load and deadlines choose from, from the cheapest to the dearest'),
})
export const modelsAnswer = z.strictObject({ models: z.array(modelSchema) })
export type ModelJson = z.infer<typeof modelSchema>
export type ModelsAnswer = z.infer<typeof modelsAnswer>

export const healthAnswer = z.strictObject({ status: z.enum(['ok', 'ready', 'stopping']) })

/** What a stream's answers may cost: one configuration, or by time. */
const streamCost = {
  gflops: z.number().positive().optional(),
  mflops: z.number().positive().optional(),
  latency_ms: z.number().positive().optional(),
  width: z.number().positive().optional(),
  frames: z.int().positive().optional(),
  size: z.int().positive().optional(),
  deadline_ms: z.number().min(1).optional().describe("From a window's last frame to its answer"),
  share: z.number().positive().max(1).optional().describe('… as a part of the time between answers'),
}

/** What a client says on /v1/stream. Frames are binary: the time in seconds, a little-endian float64, then the picture. */
export const streamMessage = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('start'),
    model: z.string().max(200).optional(),
    format: z.enum(['jpeg', 'rgb']).describe('Of each frame; rgb is 8-bit [height, width, 3]'),
    picture_width: z.int().positive().max(8192).optional().describe('Of rgb frames'),
    picture_height: z.int().positive().max(8192).optional(),
    fps: z.number().positive().max(1000),
    every_ms: z.number().min(1).optional().describe('From one answer to the next; half a clip by default'),
    spans: z.boolean().optional(),
    topk: z.int().positive().max(1000).optional(),
    ...streamCost,
  }),
  z.strictObject({ type: z.literal('set'), ...streamCost }).describe('A new budget or deadline, from now on'),
  z.strictObject({ type: z.literal('end') }).describe('No more frames; what is under way is answered'),
])
export type StreamMessage = z.infer<typeof streamMessage>

/** What the server says on /v1/stream. */
export const streamEvent = z.discriminatedUnion('event', [
  z.strictObject({ event: z.literal('ready'), model: z.string(), every_ms: z.number() }),
  z.strictObject({
    event: z.literal('answer'),
    start: z.number(),
    end: z.number(),
    top: z.array(scored),
    configuration: configurationSchema,
    latency_ms: z.number(),
    compute_ms: z.number(),
    in_time: z.boolean().optional(),
  }),
  z.strictObject({
    event: z.literal('skipped'),
    start: z.number(),
    end: z.number(),
    reason: z.enum(['newer', 'late', 'gap']),
  }),
  z.strictObject({ event: z.literal('span'), ...spanFields }),
  z.strictObject({
    event: z.literal('switch'),
    time: z.number(),
    configuration: configurationSchema,
    load: z.number(),
  }),
  z
    .strictObject({ event: z.literal('dropped'), frames: z.int().positive() })
    .describe('They came faster than they can be read'),
  z.strictObject({ event: z.literal('end') }),
  errorEvent,
])
export type StreamEvent = z.infer<typeof streamEvent>
