/** The table of engines, and the choice of one. */
import { MnVideoError } from '../errors.ts'
import type { Engine, EngineSpec, OpenOptions } from './engine.ts'
import { nativeSpec } from './native/spec.ts'
import type { TfjsBackend } from './tfjs/backends.ts'
import { tfjsSpec } from './tfjs/spec.ts'

export type { TfjsBackend }

export interface EngineOptions extends OpenOptions {
  readonly backend?: TfjsBackend
}

/** In order of preference. */
export const ENGINE_SPECS = [nativeSpec, tfjsSpec] as const

export type EngineName = (typeof ENGINE_SPECS)[number]['name']
export const ENGINES: readonly EngineName[] = ENGINE_SPECS.map(({ name }) => name)

/**
 * Opens the engine asked for, or the best that can be used here. A backend asks for the engine that has it.
 *
 * @throws MnVideoError `engine` when it cannot be used, with the reason; `usage` for one that does not exist
 */
export async function openEngine(name?: EngineName, options: EngineOptions = {}): Promise<Engine> {
  if (name !== undefined) {
    const spec = ENGINE_SPECS.find((each) => each.name === name)
    if (!spec)
      throw new MnVideoError('usage', `there is no engine "${name}". Give one of ${ENGINES.join(', ')}.`)
    checkBackend(spec, options)
    return spec.open(options)
  }
  if (options.backend !== undefined) return withBackend(options.backend).open(options)
  const skipped: string[] = []
  const specs: readonly EngineSpec[] = ENGINE_SPECS
  for (const spec of specs) {
    const reason = spec.unavailable()
    if (reason === undefined) {
      const engine = await spec.open(options)
      return skipped.length === 0 ? engine : { ...engine, skipped: [...skipped, ...(engine.skipped ?? [])] }
    }
    skipped.push(`${spec.name} (${spec.advantage}): ${reason}`)
  }
  throw new MnVideoError('engine', `no engine can be used here.\n${skipped.join('\n')}`)
}

function withBackend(backend: string): EngineSpec {
  const spec = ENGINE_SPECS.find(({ backends }) => backends.includes(backend))
  if (spec) return spec
  const known = ENGINE_SPECS.filter(({ backends }) => backends.length > 0)
  const names = known.map(({ name }) => name).join(', ')
  throw new MnVideoError(
    'usage',
    `there is no ${names} backend "${backend}". Give one of ${known.flatMap(({ backends }) => backends).join(', ')}.`,
  )
}

function checkBackend(spec: EngineSpec, { backend }: OpenOptions): void {
  if (backend === undefined || withBackend(backend) === spec) return
  throw new MnVideoError(
    'usage',
    `the ${spec.name} engine has no backends; they belong to --engine ${withBackend(backend).name}.`,
  )
}
