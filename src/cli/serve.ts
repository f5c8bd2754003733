/** `mn-video serve`: models behind HTTP, with a page. */
import { availableParallelism } from 'node:os'
import type { Command } from 'commander'
import type { Precision } from '../engines/precision.ts'
import { loadModel, type Model } from '../inference/model.ts'
import { newestRun } from '../runs/run-folder.ts'
import { limitMemory } from '../video/spawn-guarded.ts'
import { count, positiveNumber } from './arguments.ts'
import { addEngineOptions, addPrecision, chosenEngine, type EngineChoice } from './engine-options.ts'
import { modelHeading } from './model-heading.ts'
import { doing, endActivity, print, warn } from './progress.ts'
import { EXIT } from './report.ts'

interface Options extends EngineChoice {
  readonly host: string
  readonly port: number
  readonly tokenFile?: string
  readonly auth: boolean
  readonly deadline?: number
  readonly maxUpload: number
  readonly concurrency?: number
  readonly switching: boolean
  readonly root?: string
  readonly streams: number
  readonly grace: number
  readonly log?: true
  readonly labels?: string
  readonly precision: Precision
}

const MiB = 2 ** 20
const PATIENCE_MS = 20_000
/** What FFmpeg may take: its threads reserve more than they use. */
const FFMPEG_BYTES = 4096 * MiB
const FFMPEG_BYTES_EACH = 128 * MiB

export function addServe(program: Command): void {
  const command = program
    .command('serve')
    .description('serve models over HTTP, with a page; under load answers cost less before any is refused')
    .argument('[run...]', 'the runs to serve (default: the newest under ./runs)')
    .option('--host <address>', 'where to listen', '127.0.0.1')
    .option('--port <number>', '… and at which port; 0 takes one that is free', port, 8080)
    .option('--token-file <file>', 'tokens, one a line, of which a request must bring one')
    .option('--no-auth', 'let everyone ask who reaches the server')
    .option(
      '--deadline <ms>',
      'from the whole request to its answer, for those that give none',
      positiveNumber,
    )
    .option('--max-upload <MB>', 'the largest file', positiveNumber, 512)
    .option('--concurrency <count>', 'requests worked for at once (default: one a processor)', count)
    .option('--streams <count>', 'streams at once', count, 16)
    .option('--root <folder>', 'a folder whose files requests may name by path')
    .option('--no-switching', 'never answer with less than was asked for')
    .option('--grace <seconds>', 'to finish what is under way when asked to stop', positiveNumber, 20)
    .option('--log', 'requests as JSON lines on standard output')
    .option('--labels <file>', "class names, one a line (default: the run's)")
    .addHelpText(
      'after',
      '\nExamples:\n  mn-video serve runs/mine\n  mn-video serve runs/mine --host 0.0.0.0 --token-file tokens --deadline 500\n' +
        '  curl -F file=@video.mp4 "http://127.0.0.1:8080/v1/classify?gflops=2"',
    )
    .action(run)
  addEngineOptions(command)
  addPrecision(command)
}

async function run(folders: readonly string[], options: Options): Promise<void> {
  // Loaded here: no other command should wait for it.
  const [{ startServer }, { readTokens }] = await Promise.all([
    import('../server/serve.ts'),
    import('../server/access.ts'),
  ])
  const tokens = options.tokenFile === undefined ? [] : await readTokens(options.tokenFile)
  limitMemory(FFMPEG_BYTES + availableParallelism() * FFMPEG_BYTES_EACH)
  // What is sent is seen once.
  process.env.MN_VIDEO_CACHE = 'off'
  const models: Model[] = []
  try {
    for (const folder of folders.length > 0 ? folders : [await newestRun()]) {
      doing(`loading ${folder}`)
      const { labels, precision } = options
      models.push(
        await loadModel(folder, {
          ...chosenEngine(options),
          ...(labels !== undefined && { labels }),
          precision,
        }),
      )
    }
    doing('measuring')
    const server = await startServer(
      models,
      {
        ...{ host: options.host, port: options.port, tokens, isOpen: !options.auth },
        deadline: options.deadline,
        mostBytes: options.maxUpload * MiB,
        patience: PATIENCE_MS,
        concurrency: options.concurrency ?? availableParallelism(),
        isSwitching: options.switching,
        root: options.root,
        streams: options.streams,
        log: options.log === true,
      },
      warn,
    )
    for (const model of models) warn(modelHeading(model))
    endActivity()
    // Heard from now on: whoever reads the line may ask at once.
    const toStop = asked()
    print(`serving on ${server.url}`)
    await toStop
    warn(`stopping, within ${options.grace} s`)
    await server.stop(1000 * options.grace)
  } finally {
    for (const model of models) model.dispose()
  }
}

/** Waits to be asked to stop; a second time ends at once. */
function asked(): Promise<void> {
  return new Promise((settle) => {
    let isAsked = false
    const stop = () => {
      if (isAsked) process.exit(EXIT.interrupted)
      isAsked = true
      settle()
    }
    process.on('SIGINT', stop).on('SIGTERM', stop)
  })
}

function port(text: string): number {
  const value = Number(text)
  return text.trim() !== '' && value === 0 ? 0 : Math.min(65_535, count(text))
}
