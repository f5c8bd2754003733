/** The table of engines, and the choice of one. */
import { MnVideoError } from '../errors.ts'
import type { Engine } from './engine.ts'
import { nativeUnavailable, openNativeEngine } from './native/engine.ts'
import { openTfjsEngine, TFJS_BACKENDS, type TfjsBackend } from './tfjs/engine.ts'

export { TFJS_BACKENDS, type TfjsBackend }

/** In order of preference. */
export const ENGINES = ['native', 'tfjs'] as const
export type EngineName = (typeof ENGINES)[number]

export interface EngineOptions {
  /** Threads of a run, for engines that let one choose; all processors that this process may use by default. */
  readonly threads?: number
  /** The tfjs engine's backend; the best that loads by default. */
  readonly backend?: TfjsBackend
}

const OPENERS: Record<EngineName, (options: EngineOptions) => Promise<Engine>> = {
  native: (options) => openNativeEngine(options),
  tfjs: ({ backend }) => openTfjsEngine(backend),
}

/**
 * Opens the engine asked for, or the best that can be used here. A backend asks for the tfjs engine.
 *
 * @throws MnVideoError `engine` when it cannot be used, with the reason; `usage` for one that does not exist
 */
export async function openEngine(name?: EngineName, options: EngineOptions = {}): Promise<Engine> {
  if (name !== undefined && !ENGINES.includes(name)) {
    throw new MnVideoError('usage', `there is no engine "${name}". Give one of ${ENGINES.join(', ')}.`)
  }
  const { backend } = options
  if (backend !== undefined) {
    if (!TFJS_BACKENDS.includes(backend)) {
      throw new MnVideoError(
        'usage',
        `there is no tfjs backend "${backend}". Give one of ${TFJS_BACKENDS.join(', ')}.`,
      )
    }
    if (name === 'native') {
      throw new MnVideoError('usage', 'the native engine has no backends; they belong to --engine tfjs.')
    }
    return OPENERS.tfjs(options)
  }
  if (name !== undefined) return OPENERS[name](options)
  const reason = nativeUnavailable()
  if (reason === undefined) return OPENERS.native(options)
  const fallback = await OPENERS.tfjs(options)
  return { ...fallback, skipped: [`native (many times faster): ${reason}`, ...(fallback.skipped ?? [])] }
}
