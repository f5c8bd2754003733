/** `POST /v1/classify`: the classes of a video or an image. */
import type { FastifyInstance } from 'fastify'
import { parseViews } from '../../config/views.ts'
import { classify } from '../../inference/classify.ts'
import type { TableEntry } from '../../runs/query-table.ts'
import type { Admitted } from '../admission.ts'
import { type ClassifyAnswer, type ClassifyRequest, classifyAnswer, classifyRequest } from '../api.ts'
import { configurationLabel } from '../metrics.ts'
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

/** Seconds without progress after which FFmpeg is stopped, and for all of a request. */
export const PATIENCE = 20
const MOST_SECONDS = 600
/** Where no deadline is given: so long, or so many times as long as the request takes by itself. */
const RELAXED_MS = 2000
const RELAXED_TIMES = 4

export function addClassify(app: FastifyInstance, service: Service): void {
  app.post(
    '/v1/classify',
    {
      schema: {
        summary: 'Classify a video or an image',
        description:
          'The file is a part of a form, the body itself (options then in the query), or a path under --root as JSON. ' +
          'Under load the answer comes from a cheaper configuration, and says so; 503 only where the cheapest is too slow.',
        ...describeRequest(classifyRequest),
        response: {
          200: jsonSchema(classifyAnswer),
          ...ERROR_RESPONSES,
        },
      },
    },
    async (request, reply) => {
      service.admission.requireRoom()
      const { options, file } = await receive(request, classifyRequest, service)
      try {
        return await answer(service, options, file, signalOf(reply, service.stopping, MOST_SECONDS))
      } catch (error) {
        throw named(error, file)
      } finally {
        await file.remove()
      }
    },
  )
}

async function answer(
  service: Service,
  options: ClassifyRequest,
  file: ReceivedFile,
  signal: AbortSignal,
): Promise<ClassifyAnswer> {
  const begun = performance.now()
  const { admission, metrics } = service
  const served = servedModel(service.models, options.model)
  const { model } = served
  const { budget, isExact } = costOf(options)
  const asked = model.choose(budget)
  const views = parseViews(options.views ?? model.config.views)
  const clips = model.network.media === 'video' ? views.temporal * views.spatial : 1
  const candidates = candidatesFrom(served, asked)
  const deadline =
    options.deadline_ms ??
    service.options.deadline ??
    Math.max(RELAXED_MS, RELAXED_TIMES * clips * candidates[0]!.milliseconds)
  const turn = await admission
    .admit({
      ...{ candidates, views: clips, deadline, signal, kind: served.name },
      isExact: isExact || options.switching === false,
    })
    .catch((error: unknown) => {
      metrics.shed.inc({ how: 'refused' })
      throw error
    })
  let decode: number | undefined
  try {
    const { width, frames, size } = turn.entry
    const result = await classify(model, file.path, {
      budget: { width, frames, size },
      ...(model.network.media === 'video' && { views }),
      deadline: PATIENCE,
      signal,
    })
    decode = 1000 * result.decodeSeconds
    const total = performance.now() - begun
    count(service, served, turn, asked, total, total <= deadline)
    return {
      model: served.name,
      trained: model.table.trained,
      asked: configurationJson(model, asked),
      configuration: configurationJson(model, result.configuration),
      switched: turn.entry !== asked,
      views: result.views,
      gflops_in_all: result.macs / 1e9,
      top: result.ranking.slice(0, options.topk ?? 5),
      waited_ms: rounded(turn.waited),
      decode_ms: rounded(decode),
      compute_ms: rounded(1000 * result.computeSeconds),
      total_ms: rounded(total),
      in_time: total <= deadline,
    }
  } finally {
    turn.done(decode)
  }
}

export function count(
  { metrics }: Service,
  { name }: ServedModel,
  { entry, waited }: Admitted<TableEntry>,
  asked: TableEntry,
  total: number,
  isInTime?: boolean,
): void {
  metrics.seconds.observe({ model: name, configuration: configurationLabel(entry) }, total / 1000)
  metrics.waited.observe(waited / 1000)
  if (isInTime !== undefined) metrics.deadlines.inc({ held: isInTime ? 'yes' : 'no' })
  if (entry !== asked) metrics.shed.inc({ how: 'cheaper' })
}

export const rounded = (milliseconds: number): number => Number(milliseconds.toFixed(3))
