/** The server: models behind HTTP, from its start to its end. */
import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import multipart from '@fastify/multipart'
import swagger from '@fastify/swagger'
import websocket from '@fastify/websocket'
import { type FastifyError, type FastifyInstance, type FastifyReply, fastify } from 'fastify'
import { MnVideoError, shown } from '../errors.ts'
import type { Model } from '../inference/model.ts'
import { isLoopback, type Refusal, refusedSite, refusedToken, SECURITY_HEADERS } from './access.ts'
import { Admission } from './admission.ts'
import { streamEvent, streamMessage } from './api.ts'
import { EngineQueue } from './engine-queue.ts'
import { HttpError, Overloaded } from './errors.ts'
import { configurationLabel, createMetrics } from './metrics.ts'
import { jsonSchema } from './requests.ts'
import { addClassify } from './routes/classify.ts'
import { addPage } from './routes/page.ts'
import { addSpans } from './routes/spans.ts'
import { addHealth, addState } from './routes/state.ts'
import { addStream } from './routes/stream.ts'
import { prepareModel, type ServedModel } from './served-model.ts'
import type { ServerOptions, Service } from './service.ts'
import { Uploads } from './uploads.ts'

/** Bytes of JSON, and of one message of a stream: a picture. */
const JSON_BYTES = 2 ** 16
const MESSAGE_BYTES = 8 * 2 ** 20
/** Milliseconds for a request's head, and for all of a request. */
const HEAD_MS = 10_000
const REQUEST_MS = 900_000
const CONNECTIONS = 1024
/** A socket's close code. */
const GOING_AWAY = 1001
/** Milliseconds that a refused body may go on. */
const LINGER_MS = 2000
/** Requests that wait for each that is worked for, and at least. */
const WAITING_EACH = 16
const WAITING = 64
const FILMS_WAITING = 4
/** What HTTP calls errors; others are the server's own. */
const STATUS: Readonly<Record<string, number>> = {
  usage: 400,
  budget: 400,
  network: 400,
  media: 422,
  cancelled: 503,
}

export interface RunningServer {
  /** Where it answers. */
  readonly url: string
  readonly models: readonly ServedModel[]
  /**
   * Takes no more work, waits for what is under way, and ends it when the time is over.
   *
   * @param grace milliseconds
   */
  stop(grace: number): Promise<void>
}

/**
 * Starts a server. The models stay the caller's, who disposes them after it has stopped.
 *
 * @param onNote told what is worth knowing at the start
 * @throws MnVideoError `usage` for a host that everyone reaches without tokens, a port that is taken
 */
export async function startServer(
  models: readonly Model[],
  options: ServerOptions,
  onNote: (text: string) => void = () => {},
): Promise<RunningServer> {
  const { host, port, tokens, isOpen, concurrency } = options
  if (!isLoopback(host) && tokens.length === 0 && !isOpen)
    throw new MnVideoError(
      'usage',
      `host ${host}: everyone who reaches this machine could ask. Give --token-file FILE, or --no-auth where that is meant.`,
    )
  const { root } = options
  if (root !== undefined && !(await stat(root).catch(() => undefined))?.isDirectory())
    throw new MnVideoError('usage', `--root ${shown(root)}: there is no such folder.`)
  const stopping = new AbortController()
  const admission = new Admission({
    concurrency,
    waiting: Math.max(WAITING, WAITING_EACH * concurrency),
    isSwitching: options.isSwitching,
  })
  const films = new Admission({ concurrency, waiting: FILMS_WAITING, isSwitching: options.isSwitching })
  const metrics = createMetrics({
    waiting: () => admission.waiting,
    running: () => admission.running,
    queued: () => queue.length,
  })
  const names = namesOf(models)
  const queue = new EngineQueue(({ model, entry, batch, milliseconds }) => {
    const labels = { model: names.get(model) ?? '', configuration: configurationLabel(entry) }
    metrics.compute.observe(labels, milliseconds / 1000)
    metrics.batch.observe(batch)
  })
  const served: ServedModel[] = []
  for (const [model, name] of names) served.push(await prepareModel(name, model, queue, onNote))
  const uploads = await Uploads.open(options.mostBytes)
  const service: Service = {
    ...{ options, models: served, queue, admission, films, uploads, metrics },
    ...{ stopping: stopping.signal, isClosing: false },
  }
  try {
    const app = await createApp(service)
    await app.listen({ host, port, backlog: 1024 }).catch((error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is taken' : error.message
      throw new MnVideoError('usage', `${host}:${port}: ${why}. Give another --port or --host.`, {
        cause: error,
      })
    })
    const address = app.server.address()
    const shownHost = host.includes(':') ? `[${host}]` : host
    const taken = typeof address === 'object' && address ? address.port : port
    return {
      url: `http://${shownHost}:${taken}/`,
      models: served,
      async stop(grace) {
        service.isClosing = true
        const end = setTimeout(() => {
          stopping.abort(new MnVideoError('cancelled', 'the server is stopping.'))
          setTimeout(() => app.server.closeAllConnections(), 500).unref()
        }, grace)
        await app.close()
        clearTimeout(end)
        await uploads.remove()
      },
    }
  } catch (error) {
    await uploads.remove()
    throw error
  }
}

async function createApp(service: Service): Promise<FastifyInstance> {
  const { options, metrics } = service
  const app = fastify({
    logger: options.log,
    bodyLimit: JSON_BYTES,
    requestTimeout: REQUEST_MS,
    connectionTimeout: 0,
    keepAliveTimeout: 10_000,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    http: { headersTimeout: HEAD_MS, maxHeaderSize: 2 ** 14, connectionsCheckingInterval: 2000 },
  })
  app.server.maxConnections = CONNECTIONS
  // The schemas say what is taken; the routes check it, with messages of our own.
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  app.removeContentTypeParser('text/plain')
  app.addContentTypeParser('*', (_, payload, done) => done(null, payload))
  app.setErrorHandler((error: FastifyError | Error, _, reply) => fail(error, reply))
  app.setNotFoundHandler((request, reply) =>
    fail(
      new HttpError(404, `there is no ${request.method} ${request.url.slice(0, 100)}; see /openapi.json.`),
      reply,
    ),
  )
  const access = {
    tokens: options.tokens,
    isLocal: isLoopback(options.host) && options.tokens.length === 0 && !options.isOpen,
  }
  const refuse = async (refusal: Refusal | undefined, reply: FastifyReply) => {
    if (!refusal) return
    if (refusal.status === 401) reply.header('www-authenticate', 'Bearer')
    throw new HttpError(refusal.status, refusal.message)
  }
  app.addHook('onRequest', (request, reply) => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) reply.header(name, value)
    return refuse(refusedSite(access, request.headers), reply)
  })
  app.addHook('onResponse', async (request, reply) => {
    metrics.requests.inc({ route: request.routeOptions.url ?? 'none', status: reply.statusCode })
  })
  await app.register(swagger, {
    openapi: {
      openapi: '3.0.3',
      info: {
        title: 'mn-video',
        description: 'Video and image classification at the cost that one can afford.',
        version: version(),
      },
      // Sockets are no part of OpenAPI, and left out by their plugin.
      paths: {
        '/v1/stream': {
          get: {
            summary: 'A WebSocket: frames in, answers out',
            description:
              'Clients send StreamMessage as text and frames as binary messages: the time in seconds, a little-endian ' +
              'float64, then the picture. The server sends StreamEvent.',
            responses: { 101: { description: 'The stream is open' } },
          },
        },
      },
      components: {
        schemas: { StreamMessage: jsonSchema(streamMessage, 'input'), StreamEvent: jsonSchema(streamEvent) },
        ...(options.tokens.length > 0 && { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } }),
      },
      ...(options.tokens.length > 0 && { security: [{ token: [] }] }),
    },
  })
  await app.register(multipart)
  await app.register(websocket, {
    options: { maxPayload: MESSAGE_BYTES },
    // A stream has no end to wait for.
    preClose(done) {
      for (const socket of app.websocketServer.clients) socket.close(GOING_AWAY, 'the server is stopping')
      app.websocketServer.close(() => done())
    },
  })
  await app.register(async (open) => {
    addHealth(open, service)
    await addPage(open)
  })
  await app.register(async (guarded) => {
    guarded.addHook('onRequest', (request, reply) => refuse(refusedToken(access, request.headers), reply))
    addState(guarded, service)
    addClassify(guarded, service)
    addSpans(guarded, service)
    addStream(guarded, service)
  })
  return app
}

function fail(error: FastifyError | Error, reply: FastifyReply): FastifyReply {
  linger(reply)
  if (error instanceof Overloaded) reply.header('retry-after', error.retryAfter)
  // Whoever broke off hears nothing of it.
  if (reply.raw.destroyed || ('code' in error && error.code === 'ECONNRESET')) return reply.code(400).send()
  const status = statusOf(error)
  if (status >= 500 && !(error instanceof MnVideoError)) {
    console.error(error)
    return reply
      .code(status)
      .send({ error: { code: 'internal', message: 'the server failed; its log says why.' } })
  }
  const code = error instanceof MnVideoError ? error.code : 'usage'
  return reply.code(status).send({ error: { code, message: error.message } })
}

/** Who still sends is to read why nobody listens, and is cut off only if it goes on. */
function linger({ request: { raw }, raw: response }: FastifyReply): void {
  if (raw.complete) return
  raw.resume()
  response.once('finish', () => {
    const cut = setTimeout(() => raw.socket.destroy(), LINGER_MS)
    raw.once('end', () => clearTimeout(cut)).once('close', () => clearTimeout(cut))
  })
}

function statusOf(error: FastifyError | Error): number {
  if (error instanceof HttpError) return error.status
  if (error instanceof MnVideoError) return STATUS[error.code] ?? 500
  return 'statusCode' in error ? (error.statusCode ?? 500) : 500
}

/** The folders' own names, made different where two are alike. */
function namesOf(models: readonly Model[]): Map<Model, string> {
  const names = new Map<Model, string>()
  for (const model of models) {
    const name = basename(model.folder) || model.folder
    const taken = new Set(names.values())
    let other = name
    for (let i = 2; taken.has(other); i++) other = `${name}-${i}`
    names.set(model, other)
  }
  return names
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return String((JSON.parse(text) as { version: unknown }).version)
}
