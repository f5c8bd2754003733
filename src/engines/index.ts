/** The table of engines, and the choice of one. */
import { MnVideoError } from '../errors.ts'
import type { Engine } from './engine.ts'
import { openTfjsEngine } from './tfjs/engine.ts'

export const ENGINES = ['tfjs'] as const
export type EngineName = (typeof ENGINES)[number]

const OPENERS: Record<EngineName, () => Promise<Engine>> = {
  tfjs: () => openTfjsEngine(),
}

/**
 * Opens the engine asked for, or the first that can be used here.
 *
 * @throws MnVideoError `engine` with the reason for each
 */
export async function openEngine(name?: EngineName): Promise<Engine> {
  if (name !== undefined && !ENGINES.includes(name)) {
    throw new MnVideoError('usage', `there is no engine "${name}". Give one of ${ENGINES.join(', ')}.`)
  }
  return OPENERS[name ?? ENGINES[0]]()
}
