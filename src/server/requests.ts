/** From what HTTP brings to a file and options: a form, the bytes themselves, or JSON that names a path. */
import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { MnVideoError, reasonOf, shown } from '../errors.ts'
import type { Budget } from '../inference/options.ts'
import { suggestion } from '../suggestion.ts'
import { errorAnswer, withPath } from './api.ts'
import { HttpError } from './errors.ts'
import type { Service } from './service.ts'
import { fileUnder, type ReceivedFile, type Uploads } from './uploads.ts'

export interface Received<T> {
  readonly options: T
  readonly file: ReceivedFile
}

/** Fields of a form are short, and few. */
const FORM = { files: 1, fields: 32, parts: 40, fieldSize: 8192, fieldNameSize: 100, headerPairs: 64 }

/**
 * @param schema of the options
 * @throws HttpError (408 when nothing comes for a while), MnVideoError `usage` naming the option that is wrong
 */
export async function receive<T extends z.ZodObject>(
  request: FastifyRequest,
  schema: T,
  { uploads, options: { root, patience } }: Service,
): Promise<Received<z.infer<T>>> {
  const receiving = receiveAny(request, schema, uploads, root)
  let isLate = false
  const late = new Promise<never>((_, fail) => {
    request.raw.setTimeout(patience, () => {
      isLate = true
      // Answered, a request whose body is not whole ends without a word.
      request.raw.socket.once('close', () => request.raw.destroy(new Error('nothing came')))
      fail(new HttpError(408, `nothing came for ${patience / 1000} s.`))
    })
  })
  // What still comes of it when nobody waits any more is taken away.
  receiving.then(
    async ({ file }) => {
      if (isLate) await file.remove()
    },
    () => {},
  )
  try {
    return await Promise.race([receiving, late])
  } finally {
    request.raw.setTimeout(0)
  }
}

async function receiveAny<T extends z.ZodObject>(
  request: FastifyRequest,
  schema: T,
  uploads: Uploads,
  root: string | undefined,
): Promise<Received<z.infer<T>>> {
  const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()
  if (type === 'application/json') {
    const { path, ...options } = check(schema.extend(withPath), request.body)
    return { options: options as z.infer<T>, file: await fileUnder(root, String(path)) }
  }
  uploads.checkLength(request.headers['content-length'])
  if (type === 'multipart/form-data') return receiveForm(request, schema, uploads)
  const options = check(schema, request.query)
  const body = request.body as Readable | undefined
  if (typeof body?.pipe !== 'function')
    throw new HttpError(400, 'the body is empty. Send a video or an image.')
  return { options, file: await uploads.receive(body, 'the file') }
}

async function receiveForm<T extends z.ZodObject>(
  request: FastifyRequest,
  schema: T,
  uploads: Uploads,
): Promise<Received<z.infer<T>>> {
  const fields: Record<string, unknown> = { ...(request.query as object) }
  let file: ReceivedFile | undefined
  try {
    for await (const part of request.parts({ limits: { ...FORM, fileSize: Number.POSITIVE_INFINITY } })) {
      if (part.type === 'field') fields[part.fieldname] = part.value
      else file = await uploads.receive(part.file, shown(part.filename || 'the file', 200))
    }
    if (!file) throw new HttpError(400, 'the form has no file. Add the video or image as a file.')
    return { options: check(schema, fields), file }
  } catch (error) {
    await file?.remove()
    if (error instanceof MnVideoError || (error instanceof Error && 'statusCode' in error)) throw error
    throw new HttpError(400, `the form cannot be read: ${reasonOf(error)}.`)
  }
}

/** @throws MnVideoError `usage` naming the first option that is wrong, and what it must be */
export function check<T extends z.ZodObject>(schema: T, value: unknown): z.infer<T> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new MnVideoError('usage', 'the options must be an object.')
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  if (issue?.code === 'unrecognized_keys') {
    const name = issue.keys[0] ?? ''
    const known = Object.keys(schema.shape)
    throw new MnVideoError(
      'usage',
      `there is no option ${shown(name, 64)}. ${suggestion(name, known, 'option')}`,
    )
  }
  throw new MnVideoError(
    'usage',
    `${issue?.path.join('.') || 'the options'}: ${issue?.message ?? 'not valid'}.`,
  )
}

interface CostFields {
  readonly gflops?: number | undefined
  readonly mflops?: number | undefined
  readonly latency_ms?: number | undefined
  readonly width?: number | undefined
  readonly frames?: number | undefined
  readonly size?: number | undefined
}

/** What a request may cost, and whether that is one exact configuration. @throws MnVideoError `usage` for two ways at once */
export function costOf({ gflops, mflops, latency_ms, width, frames, size }: CostFields): {
  readonly budget: Budget
  readonly isExact: boolean
} {
  const exact = {
    ...(width !== undefined && { width }),
    ...(frames !== undefined && { frames }),
    ...(size !== undefined && { size }),
  }
  const isExact = Object.keys(exact).length > 0
  const budgets = [gflops, mflops, latency_ms].filter((value) => value !== undefined).length
  if (budgets + (isExact ? 1 : 0) > 1)
    throw new MnVideoError(
      'usage',
      'give one of gflops, mflops, latency_ms, or an exact width, frames and size.',
    )
  if (gflops !== undefined) return { budget: { gflops }, isExact }
  if (mflops !== undefined) return { budget: { mflops }, isExact }
  if (latency_ms !== undefined) return { budget: { latencyMs: latency_ms }, isExact }
  return { budget: exact, isExact }
}

/** Ends the work for a client that goes away before its answer, and what takes longer than it may. */
export function signalOf(reply: FastifyReply, stopping: AbortSignal, seconds?: number): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort()
  })
  return AbortSignal.any([
    gone.signal,
    stopping,
    ...(seconds === undefined ? [] : [AbortSignal.timeout(1000 * seconds)]),
  ])
}

/** An error that calls a file by the name that its sender gave it, not by where it lies here. */
export function named(error: unknown, { path, name }: ReceivedFile): unknown {
  if (!(error instanceof MnVideoError) || !error.message.includes(path)) return error
  return new MnVideoError(error.code, error.message.replaceAll(path, name), { cause: error })
}

/** A schema as OpenAPI has it. */
export function jsonSchema(schema: z.ZodType, io: 'input' | 'output' = 'output'): Record<string, unknown> {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io,
    unrepresentable: 'any',
  })
  return json
}

/** What requests with a file have in common, as OpenAPI has it. */
export const describeRequest = (schema: z.ZodObject) => ({
  querystring: jsonSchema(schema, 'input'),
  body: jsonSchema(
    schema.extend({
      file: z.string().meta({ format: 'binary' }).optional().describe('A part of a form'),
      path: withPath.path.optional(),
    }),
    'input',
  ),
  consumes: ['multipart/form-data', 'application/json', 'application/octet-stream'],
})

/** What goes wrong with them. */
export const ERROR_RESPONSES = Object.fromEntries(
  [400, 401, 403, 404, 408, 413, 422, 503].map((status) => [status, jsonSchema(errorAnswer)]),
)
