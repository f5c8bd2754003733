/** A server in this process, on a small model, as the command starts it. */
import { afterAll } from 'vitest'
import { loadModel, type Model } from '../../src/inference/model.ts'
import type { RunningServer } from '../../src/server/serve.ts'
import { startServer } from '../../src/server/serve.ts'
import type { ServerOptions } from '../../src/server/service.ts'

export const SERVER_OPTIONS: ServerOptions = {
  ...{
    host: '127.0.0.1',
    port: 0,
    tokens: [],
    isOpen: false,
    deadline: undefined,
    mostBytes: 2 ** 22,
    patience: 20_000,
  },
  ...{ concurrency: 2, isSwitching: true, root: undefined, streams: 2, log: false },
}

export interface Served extends RunningServer {
  readonly loaded: readonly Model[]
}

/** Serves runs until the file's tests are over, unless it is stopped before. */
export async function serve(runs: readonly string[], options: Partial<ServerOptions> = {}): Promise<Served> {
  const loaded = await Promise.all(runs.map((run) => loadModel(run, { threads: 2 })))
  const server = await startServer(loaded, { ...SERVER_OPTIONS, ...options })
  let stopped: Promise<void> | undefined
  const stop = (grace: number) => {
    stopped ??= server.stop(grace)
    return stopped
  }
  afterAll(async () => {
    await stop(100)
    for (const model of loaded) model.dispose()
  })
  return { ...server, stop, loaded }
}

/** A form of a file and options, as a page or curl sends it. */
export function form(
  file: Uint8Array<ArrayBuffer>,
  options: Readonly<Record<string, string | number>> = {},
  name = 'clip.mp4',
) {
  const body = new FormData()
  for (const [key, value] of Object.entries(options)) body.set(key, String(value))
  body.set('file', new Blob([file]), name)
  return { method: 'POST', body }
}
