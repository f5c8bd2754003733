/** The table of engines, and the choice of one. */
import { MnVideoError } from '../errors.ts'
import type { Engine } from './engine.ts'
import { onednnUnavailable, openOnednnEngine } from './onednn/engine.ts'
import { openTfjsEngine } from './tfjs/engine.ts'

/** In order of preference. */
export const ENGINES = ['onednn', 'tfjs'] as const
export type EngineName = (typeof ENGINES)[number]

export interface EngineOptions {
  /** Threads of a run, for engines that let one choose; all processors by default. */
  readonly threads?: number
}

const OPENERS: Record<EngineName, (options: EngineOptions) => Promise<Engine>> = {
  onednn: (options) => openOnednnEngine(options),
  tfjs: () => openTfjsEngine(),
}

/**
 * Opens the engine asked for, or the best that can be used here.
 *
 * @throws MnVideoError `engine` when it cannot be used, with the reason
 */
export async function openEngine(name?: EngineName, options: EngineOptions = {}): Promise<Engine> {
  if (name !== undefined && !ENGINES.includes(name)) {
    throw new MnVideoError('usage', `there is no engine "${name}". Give one of ${ENGINES.join(', ')}.`)
  }
  return OPENERS[name ?? (onednnUnavailable() === undefined ? 'onednn' : 'tfjs')](options)
}
