/** What all routes work with. */
import type { Admission } from './admission.ts'
import type { EngineQueue } from './engine-queue.ts'
import type { Metrics } from './metrics.ts'
import type { ServedModel } from './served-model.ts'
import type { Uploads } from './uploads.ts'

export interface ServerOptions {
  readonly host: string
  /** 0 takes any that is free. */
  readonly port: number
  readonly tokens: readonly string[]
  /** Whether others than this machine may ask without a token. */
  readonly isOpen: boolean
  /** Milliseconds for requests that give none of their own. */
  readonly deadline: number | undefined
  /** Bytes of one file. */
  readonly mostBytes: number
  /** Milliseconds without a byte after which a sender is given up. */
  readonly patience: number
  /** Requests that are worked for at once. */
  readonly concurrency: number
  readonly isSwitching: boolean
  /** A folder whose files requests may name. */
  readonly root: string | undefined
  /** Streams at once. */
  readonly streams: number
  /** Whether requests are logged, as JSON lines on standard output. */
  readonly log: boolean
}

export interface Service {
  readonly options: ServerOptions
  readonly models: readonly ServedModel[]
  readonly queue: EngineQueue
  readonly admission: Admission
  /** Films that are looked through at once: they would keep clips waiting. */
  readonly films: Admission
  readonly uploads: Uploads
  readonly metrics: Metrics
  /** Ends what is under way when the time to stop is over. */
  readonly stopping: AbortSignal
  /** No new work is taken. */
  isClosing: boolean
}
