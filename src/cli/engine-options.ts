/** The options of commands that open an engine: what the table of engines has. */
import { type Command, Option } from 'commander'
import { ENGINE_SPECS, ENGINES, type EngineName, type TfjsBackend } from '../engines/index.ts'
import { PRECISIONS } from '../engines/precision.ts'
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
  return command.option('--threads <count>', 'threads of the native engine (default: all processors)', count)
}

/** Adds the option of commands that run a network and train none. */
export const addPrecision = (command: Command): Command =>
  command.addOption(
    new Option(
      '--precision <name>',
      'what dense layers multiply: bf16 is for processors with avx512_bf16, and checks answers elsewhere',
    )
      .choices(PRECISIONS)
      .default('float32'),
  )

/** What was chosen, without the rest of a command's options. */
export const chosenEngine = ({ engine, backend, threads }: EngineChoice): EngineChoice => ({
  ...(engine && { engine }),
  ...(backend && { backend }),
  ...(threads !== undefined && { threads }),
})
