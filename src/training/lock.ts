/** One training at a time in a run's folder. */
import { holdRun, type RunLock } from '../runs/run-lock.ts'

/**
 * Takes the folder for this process; a lock whose process is gone counts for nothing.
 *
 * @returns what gives it back
 * @throws MnVideoError `run` while another process trains there, or makes a run there
 */
export const lockRun = (folder: string): Promise<RunLock> => holdRun(folder)
