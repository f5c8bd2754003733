/** What a Prometheus server collects: requests, times by configuration, the line, deadlines, what load has cost. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { TableEntry } from '../runs/query-table.ts'

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** What tells configurations apart in labels: `1x8x48`, width × frames × size. */
export const configurationLabel = ({ width, frames, size }: TableEntry): string =>
  `${width}x${frames}x${size}`

export function createMetrics(now: {
  readonly waiting: () => number
  readonly queued: () => number
  readonly running: () => number
}) {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  gauge('mn_video_requests_waiting', 'Requests in line', now.waiting)
  gauge('mn_video_requests_running', 'Requests that are worked for', now.running)
  gauge('mn_video_engine_queue', 'Inputs that wait for the engine', now.queued)
  return {
    registry,
    requests: new Counter({
      name: 'mn_video_requests_total',
      help: 'Requests answered, by status',
      labelNames: ['route', 'status'],
      registers,
    }),
    seconds: new Histogram({
      name: 'mn_video_request_seconds',
      help: 'From the whole request to its answer, by the configuration that it got',
      labelNames: ['model', 'configuration'],
      buckets: SECONDS,
      registers,
    }),
    waited: new Histogram({
      name: 'mn_video_waited_seconds',
      help: 'Seconds in line',
      buckets: SECONDS,
      registers,
    }),
    compute: new Histogram({
      name: 'mn_video_compute_seconds',
      help: 'One run of the engine, by configuration',
      labelNames: ['model', 'configuration'],
      buckets: SECONDS,
      registers,
    }),
    batch: new Histogram({
      name: 'mn_video_batch_size',
      help: 'Inputs that ran together',
      buckets: [1, 2, 3, 4, 8],
      registers,
    }),
    deadlines: new Counter({
      name: 'mn_video_deadlines_total',
      help: 'Answers with a deadline, held or not',
      labelNames: ['held'],
      registers,
    }),
    shed: new Counter({
      name: 'mn_video_shed_total',
      help: 'Requests that load made cheaper, or refused',
      labelNames: ['how'],
      registers,
    }),
    streams: new Gauge({ name: 'mn_video_streams', help: 'Streams that are open', registers }),
  }
}

export type Metrics = ReturnType<typeof createMetrics>
