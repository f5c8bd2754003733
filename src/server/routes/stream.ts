/** `WS /v1/stream`: frames in, answers out, at a budget or by a deadline that may change while it goes on. */
import type { FastifyInstance } from 'fastify'
import type { RawData, WebSocket } from 'ws'
import { MnVideoError, shown } from '../../errors.ts'
import { decodeImageBytes } from '../../image/decode.ts'
import type { Happened } from '../../inference/streaming/answers.ts'
import type { CostOptions } from '../../inference/streaming/candidates.ts'
import { type FrameStream, openStream } from '../../inference/streaming/stream.ts'
import { type StreamEvent, type StreamMessage, streamMessage } from '../api.ts'
import { configurationLabel } from '../metrics.ts'
import { costOf } from '../requests.ts'
import { configurationJson, type ServedModel, servedModel } from '../served-model.ts'
import type { Service } from '../service.ts'
import { rounded } from './classify.ts'

type Start = Extract<StreamMessage, { type: 'start' }>

/** A client that does not say what it wants is not waited for, nor one that is gone without a word. */
const START_MS = 10_000
const PING_MS = 20_000
/** Pictures that wait to be decoded, and bytes that wait for a slow reader. */
const MOST_FRAMES = 6
const MOST_BUFFERED = 4 * 2 ** 20
/** Seconds of a picture's time stand before it. */
const TIME_BYTES = 8
const CLASSES = 5
/** Close codes: try again later, bad message, too slow. */
const [LATER, INVALID, SLOW] = [1013, 1008, 1009]

export function addStream(app: FastifyInstance, service: Service): void {
  let open = 0
  app.get('/v1/stream', { websocket: true }, (socket) => {
    if (open >= service.options.streams || service.isClosing) {
      say(socket, {
        event: 'error',
        code: 'budget',
        message: `${open} streams are open; no more are taken now.`,
      })
      socket.close(LATER)
      return
    }
    open++
    service.metrics.streams.set(open)
    new Connection(service, socket)
    socket.once('close', () => {
      open--
      service.metrics.streams.set(open)
    })
  })
}

function say(socket: WebSocket, event: StreamEvent): void {
  if (socket.readyState !== socket.OPEN) return
  if (socket.bufferedAmount > MOST_BUFFERED) socket.close(SLOW, 'answers are not read')
  else socket.send(JSON.stringify(event))
}

class Connection {
  readonly #service: Service
  readonly #socket: WebSocket
  readonly #stop = new AbortController()
  #start: Start | undefined
  #served: ServedModel | undefined
  #stream: FrameStream | undefined
  /** What is done one after the other: opening, pictures, changes. */
  #work: Promise<void> = Promise.resolve()
  #waiting = 0
  #dropped = 0

  constructor(service: Service, socket: WebSocket) {
    this.#service = service
    this.#socket = socket
    const unspoken = setTimeout(
      () => this.#fail(new MnVideoError('usage', 'no start message came.')),
      START_MS,
    )
    let isAlive = true
    const pinging = setInterval(() => {
      if (!isAlive) socket.terminate()
      isAlive = false
      socket.ping()
    }, PING_MS)
    socket.on('pong', () => {
      isAlive = true
    })
    socket.on('error', () => {})
    socket.once('close', () => {
      clearTimeout(unspoken)
      clearInterval(pinging)
      this.#stop.abort()
    })
    socket.on('message', (data, isBinary) => {
      clearTimeout(unspoken)
      if (isBinary) this.#frame(bytesOf(data))
      else this.#enqueue(() => this.#message(bytesOf(data).toString('utf8')))
    })
  }

  #enqueue(work: () => Promise<void>): void {
    this.#work = this.#work
      .then(async () => {
        if (!this.#stop.signal.aborted) await work()
      })
      .catch((error: unknown) => this.#fail(error))
  }

  #fail(error: unknown): void {
    const isOurs = error instanceof MnVideoError
    if (!isOurs) console.error(error)
    const message = isOurs ? error.message : 'the server failed; its log says why.'
    say(this.#socket, { event: 'error', code: isOurs ? error.code : 'internal', message })
    this.#socket.close(INVALID)
    this.#stop.abort()
  }

  async #message(text: string): Promise<void> {
    const message = parse(text)
    if (message.type === 'start') return this.#begin(message)
    const stream = this.#stream
    if (!stream) throw new MnVideoError('usage', `${message.type}: send start first.`)
    if (message.type === 'end') return stream.end()
    await stream.set(this.#costOf(message))
  }

  async #begin(start: Start): Promise<void> {
    if (this.#start) throw new MnVideoError('usage', 'start: the stream has begun already.')
    if (start.format === 'rgb' && (start.picture_width === undefined || start.picture_height === undefined))
      throw new MnVideoError('usage', 'start: rgb frames need picture_width and picture_height.')
    this.#start = start
    const served = servedModel(this.#service.models, start.model)
    this.#served = served
    const { fps, every_ms: every, spans } = start
    const stream = await openStream(served.model, {
      ...{ fps, changes: true, signal: this.#stop.signal },
      ...(every !== undefined && { every }),
      ...(spans !== undefined && { spans }),
      ...this.#costOf(start),
    })
    this.#stream = stream
    const everyMs = every ?? 500 * (served.json.clip?.seconds ?? 1)
    say(this.#socket, { event: 'ready', model: served.name, every_ms: everyMs })
    void this.#tell(stream)
  }

  async #tell(stream: FrameStream): Promise<void> {
    try {
      for await (const event of stream) this.#say(event)
      say(this.#socket, { event: 'end' })
      this.#socket.close(1000)
    } catch (error) {
      this.#fail(error)
    }
  }

  #costOf(message: Start | Extract<StreamMessage, { type: 'set' }>): CostOptions {
    const { budget, isExact } = costOf(message)
    const { deadline_ms: deadline, share } = message
    return {
      ...((isExact || Object.keys(budget).length > 0) && { budget }),
      ...(deadline !== undefined && { deadline }),
      ...(share !== undefined && { share }),
    }
  }

  #frame(data: Buffer): void {
    if (this.#waiting >= MOST_FRAMES) {
      this.#dropped++
      return
    }
    this.#waiting++
    this.#enqueue(async () => {
      try {
        await this.#push(data)
      } finally {
        this.#waiting--
      }
      if (this.#dropped > 0 && this.#waiting === 0) {
        say(this.#socket, { event: 'dropped', frames: this.#dropped })
        this.#dropped = 0
      }
    })
  }

  async #push(data: Buffer): Promise<void> {
    const [start, stream] = [this.#start, this.#stream]
    if (!start || !stream) throw new MnVideoError('usage', 'a frame came before start.')
    if (data.length <= TIME_BYTES) throw new MnVideoError('usage', 'a frame is its time and its picture.')
    const time = data.readDoubleLE(0)
    const picture = data.subarray(TIME_BYTES)
    if (start.format === 'rgb') {
      stream.push({ data: picture, width: start.picture_width!, height: start.picture_height!, time })
      return
    }
    const { data: pixels, width, height } = await decodeImageBytes(picture, 'a frame')
    if (!this.#stop.signal.aborted) stream.push({ data: pixels, width, height, time })
  }

  #say(event: Happened): void {
    const { model, name } = this.#served!
    switch (event.event) {
      case 'answer': {
        const { start, end, scores, configuration, latencyMs, computeMs, inTime } = event
        const { metrics } = this.#service
        metrics.seconds.observe(
          { model: name, configuration: configurationLabel(configuration) },
          latencyMs / 1000,
        )
        if (inTime !== undefined) metrics.deadlines.inc({ held: inTime ? 'yes' : 'no' })
        const top = [...scores]
          .map((score, index) => ({ index, label: model.labels[index]!, score: rounded(score) }))
          .sort((a, b) => b.score - a.score)
          .slice(0, this.#start!.topk ?? CLASSES)
        return say(this.#socket, {
          ...{
            event: 'answer',
            start,
            end,
            top,
            latency_ms: rounded(latencyMs),
            compute_ms: rounded(computeMs),
          },
          configuration: configurationJson(model, configuration),
          ...(inTime !== undefined && { in_time: inTime }),
        })
      }
      case 'skipped':
        if (event.reason !== 'gap') this.#service.metrics.deadlines.inc({ held: 'no' })
        return say(this.#socket, event)
      case 'span': {
        const { start, end, label, index, score, peak } = event
        return say(this.#socket, { event: 'span', start, end, label, index, score, peak })
      }
      case 'switch': {
        const { time, load } = event
        return say(this.#socket, {
          ...{ event: 'switch', time, load: rounded(load) },
          configuration: configurationJson(model, event.configuration),
        })
      }
    }
  }
}

function parse(text: string): StreamMessage {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new MnVideoError('usage', `a message must be JSON, not ${shown(text, 60)}.`)
  }
  const parsed = streamMessage.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new MnVideoError(
    'usage',
    `${issue?.path.join('.') || 'the message'}: ${issue?.message ?? 'not valid'}.`,
  )
}

const bytesOf = (data: RawData): Buffer =>
  Array.isArray(data) ? Buffer.concat(data) : Buffer.isBuffer(data) ? data : Buffer.from(data)
