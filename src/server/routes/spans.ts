/** `POST /v1/spans`: what happens when in a film, told as JSON Lines while it is looked through. */
import { PassThrough } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { MnVideoError } from '../../errors.ts'
import { type FilmSpans, findSpans } from '../../inference/streaming/spans.ts'
import type { TableEntry } from '../../runs/query-table.ts'
import type { Admitted } from '../admission.ts'
import { type SpansEvent, type SpansRequest, spansEvent, spansRequest } from '../api.ts'
import {
  costOf,
  describeRequest,
  ERROR_RESPONSES,
  jsonSchema,
  named,
  receive,
  signalOf,
} from '../requests.ts'
import { candidatesFrom, configurationJson, type ServedModel, servedModel } from '../served-model.ts'
import type { Service } from '../service.ts'
import type { ReceivedFile } from '../uploads.ts'
import { count, PATIENCE, rounded } from './classify.ts'

/** Milliseconds that a film may wait to be begun. */
const DEADLINE = 60_000
/** From one word of progress to the next. */
const EVERY_MS = 500

export function addSpans(app: FastifyInstance, service: Service): void {
  app.post(
    '/v1/spans',
    {
      schema: {
        summary: 'Find what happens when in a video',
        description:
          'Answers with JSON Lines: begin, then progress and each span as it closes, then end or error.',
        ...describeRequest(spansRequest),
        produces: ['application/jsonl'],
        response: {
          200: { ...jsonSchema(spansEvent), description: 'One of these a line' },
          ...ERROR_RESPONSES,
        },
      },
    },
    async (request, reply) => {
      service.films.requireRoom()
      const { options, file } = await receive(request, spansRequest, service)
      const signal = signalOf(reply, service.stopping)
      try {
        const served = servedModel(service.models, options.model)
        if (served.json.media !== 'video')
          throw new MnVideoError('usage', `model: ${served.name} classifies images, which have no spans.`)
        const { budget, isExact } = costOf(options)
        const asked = served.model.choose(budget)
        const turn = await service.films.admit({
          ...{ candidates: candidatesFrom(served, asked), views: 1, kind: served.name, signal },
          deadline: options.deadline_ms ?? DEADLINE,
          isExact: isExact || options.switching === false,
        })
        const lines = new PassThrough()
        const tell = (event: SpansEvent) => void lines.write(`${JSON.stringify(event)}\n`)
        void look(service, served, { options, file, asked, turn, signal, tell }).finally(() => lines.end())
        return await reply.type('application/jsonl').send(lines)
      } catch (error) {
        await file.remove()
        throw named(error, file)
      }
    },
  )
}

interface Look {
  readonly options: SpansRequest
  readonly file: ReceivedFile
  readonly asked: TableEntry
  readonly turn: Admitted<TableEntry>
  readonly signal: AbortSignal
  readonly tell: (event: SpansEvent) => void
}

async function look(
  service: Service,
  served: ServedModel,
  { options, file, asked, turn, signal, tell }: Look,
) {
  const begun = performance.now()
  const { model, name } = served
  const { entry } = turn
  tell({
    event: 'begin',
    ...{ model: name, trained: model.table.trained, switched: entry !== asked },
    asked: configurationJson(model, asked),
    configuration: configurationJson(model, entry),
  })
  let told = 0
  try {
    const film: FilmSpans = await findSpans(
      model,
      file.path,
      {
        budget: { width: entry.width, frames: entry.frames, size: entry.size },
        ...(options.stride !== undefined && { stride: options.stride }),
        ...(options.min_score !== undefined && { minScore: options.min_score }),
        ...(options.min_length !== undefined && { minLength: options.min_length }),
        ...(options.background !== undefined && { background: options.background }),
        deadline: PATIENCE,
        signal,
        onProgress: (done, duration) => {
          if (performance.now() - told < EVERY_MS) return
          told = performance.now()
          tell({ event: 'progress', done, duration })
        },
      },
      ({ start, end, label, index, score, peak }) =>
        tell({ event: 'span', start, end, label, index, score: rounded(score), peak: rounded(peak) }),
    )
    const total = performance.now() - begun
    count(service, served, turn, asked, total)
    const { duration, windows, spans } = film
    tell({ event: 'end', duration, windows, spans: spans.length, total_ms: rounded(total) })
  } catch (thrown) {
    const error = named(thrown, file)
    if (error instanceof MnVideoError) tell({ event: 'error', code: error.code, message: error.message })
    else {
      tell({ event: 'error', code: 'internal', message: 'the server failed; its log says why.' })
      console.error(thrown)
    }
  } finally {
    turn.done()
    await file.remove()
  }
}
