/** One process at a time makes or trains a run. */
import { join } from 'node:path'
import { MnVideoError, reasonOf } from '../errors.ts'
import { type Holder, type Lock, TOUCHED_MS, takeLock } from '../files/lock.ts'

/** The file in a run's folder that says who writes there. */
export const LOCK = '.training'

/** Gives the folder back. */
export interface RunLock {
  (): Promise<void>
  /** Whether the process that had the folder before was killed. */
  readonly inherited: boolean
  /** @throws MnVideoError `run` where another process has taken the folder, because this one stood still for minutes */
  check(): Promise<void>
}

/**
 * Takes the folder of a run, which must be there.
 *
 * @throws MnVideoError `run` while another process has it, or when the folder cannot be written
 */
export async function holdRun(folder: string): Promise<RunLock> {
  const file = join(folder, LOCK)
  const taken = await takeLock(file).catch((error: unknown) => {
    throw new MnVideoError('run', `${folder}: cannot be written: ${reasonOf(error)}.`, { cause: error })
  })
  if (!('release' in taken)) throw new MnVideoError('run', refusal(folder, file, taken))
  return runLock(folder, taken)
}

function runLock(folder: string, { inherited, isLost, release }: Lock): RunLock {
  return Object.assign(() => release(), {
    inherited,
    async check() {
      if (!(await isLost())) return
      throw new MnVideoError(
        'run',
        `${folder}: another process has taken the folder while this one stood still, and may train there. What was saved is kept.`,
      )
    },
  })
}

function refusal(folder: string, file: string, { pid, host, silentMs }: Holder): string {
  if (silentMs === undefined)
    return `${folder}: process ${pid} is training there, as ${file} says. Wait for it, stop it, or give another --out.`
  const seconds = (milliseconds: number) => `${Math.ceil(milliseconds / 1000)} s`
  return (
    `${folder}: process ${pid} on ${host} was training there ${seconds(silentMs)} ago; it cannot be asked from here.\n` +
    `Wait for it, or give another --out. If it has ended: try again in ${seconds(TOUCHED_MS - silentMs)}, or remove ${file}.`
  )
}
