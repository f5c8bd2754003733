/** What the server has and how it does: models, health, metrics, the OpenAPI document. */
import type { FastifyInstance } from 'fastify'
import { healthAnswer, type ModelsAnswer, modelsAnswer } from '../api.ts'
import { jsonSchema } from '../requests.ts'
import type { Service } from '../service.ts'

const STATE = jsonSchema(healthAnswer)

export function addState(app: FastifyInstance, service: Service): void {
  app.get(
    '/v1/models',
    {
      schema: {
        summary: 'The models, with their query tables',
        response: { 200: jsonSchema(modelsAnswer) },
      },
    },
    (): ModelsAnswer => ({ models: service.models.map(({ json }) => json) }),
  )
  app.get('/metrics', { schema: { summary: 'For Prometheus', produces: ['text/plain'] } }, (_, reply) => {
    const { registry } = service.metrics
    return registry.metrics().then((text) => reply.type(registry.contentType).send(text))
  })
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
}

/** Asked by whoever starts and stops servers, who has no token. */
export function addHealth(app: FastifyInstance, service: Service): void {
  app.get('/healthz', { schema: { summary: 'Whether the process lives', response: { 200: STATE } } }, () => ({
    status: 'ok',
  }))
  app.get(
    '/readyz',
    { schema: { summary: 'Whether it takes requests', response: { 200: STATE, 503: STATE } } },
    (_, reply) =>
      service.isClosing ? reply.code(503).send({ status: 'stopping' }) : reply.send({ status: 'ready' }),
  )
}
