/** One training at a time in a run's folder. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MnVideoError, reasonOf } from '../errors.ts'

/**
 * Takes the folder for this process; a lock whose process is gone counts for nothing.
 *
 * @returns what gives it back
 * @throws MnVideoError `run` while another process trains there
 */
export async function lockRun(folder: string): Promise<() => Promise<void>> {
  const file = join(folder, '.training')
  const take = () => writeFile(file, String(process.pid), { flag: 'wx' })
  try {
    await take().catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
      const owner = Number(await readFile(file, 'utf8').catch(() => ''))
      if (owner !== process.pid && isRunning(owner)) {
        throw new MnVideoError(
          'run',
          `${folder}: process ${owner} is training there. Wait for it, stop it, or give another --out.`,
        )
      }
      await rm(file, { force: true })
      await take()
    })
  } catch (error) {
    if (error instanceof MnVideoError) throw error
    throw new MnVideoError('run', `${folder}: cannot be written: ${reasonOf(error)}.`, { cause: error })
  }
  return () => rm(file, { force: true })
}

function isRunning(process_: number): boolean {
  if (!Number.isInteger(process_) || process_ < 1) return false
  try {
    process.kill(process_, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
