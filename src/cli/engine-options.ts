/** The options of commands that open an engine: what the table of engines has. */
import { type Command, Option } from 'commander'
import { ENGINE_SPECS, ENGINES, type EngineName, type TfjsBackend } from '../engines/index.ts'
import { count } from './arguments.ts'

export interface EngineChoice {
  readonly engine?: EngineName
  readonly backend?: TfjsBackend
  readonly threads?: number
}

/** Adds the options to a command. */
export function addEngineOptions(command: Command): Command {
  command.option('--engine <name>', `one of ${ENGINES.join(', ')} (default: the best there is)`)
  for (const { name, backends } of ENGINE_SPECS) {
    if (backends.length === 0) continue
    const about = `of the ${name} engine: one of ${backends.join(', ')} (default: the first that loads)`
    command.option('--backend <name>', about)
  }
  const threaded = ENGINE_SPECS.filter(({ hasThreads }) => hasThreads).map(({ name }) => name)
  const about = `threads of the ${threaded.join(' or ')} engine (default: all processors)`
  return command.option('--threads <count>', about, count)
}

/** Adds the option of commands that run a network and train none. */
export const addPrecision = (command: Command): Command =>
  command.addOption(
    new Option(
      '--precision <name>',
      'what dense layers multiply: bf16 is for processors with avx512_bf16, and checks answers elsewhere',
    )
      .choices([...new Set(ENGINE_SPECS.flatMap(({ precisions }) => precisions))])
      .default('float32'),
  )

/** What was chosen, without the rest of a command's options. */
export const chosenEngine = ({ engine, backend, threads }: EngineChoice): EngineChoice => ({
  ...(engine && { engine }),
  ...(backend && { backend }),
  ...(threads !== undefined && { threads }),
})
