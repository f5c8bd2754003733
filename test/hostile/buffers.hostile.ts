/**
 * Memory that a caller gives away, shrinks or overwrites while a run may read it: the answer is the one for what was given,
 * or an error; the process lives on.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { makeRun, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'
import { rounds, SEED, tell } from './support.ts'

const GIVER = fileURLToPath(new URL('./buffer-giver.mjs', import.meta.url))

it.each(['detach', 'shrink', 'shrink floats', 'detach before'])('%s', async (way) => {
  const run = join(await temporaryFolder(), 'run')
  await makeRun(run, SMALL_X3D)
  const { end, output } = await new Promise<{ end: number | string | null; output: string }>((done) => {
    const child = execFile(
      process.execPath,
      ['--expose-gc', GIVER, run, way, String(rounds(30)), String(SEED)],
      (_, stdout, stderr) => done({ end: child.signalCode ?? child.exitCode, output: `${stdout}${stderr}` }),
    )
  })
  expect(end, output).toBe(0)
  const counts = JSON.parse(output) as Record<string, number>
  tell(`buffers, ${way}`, counts)
  expect(counts.wrong).toBe(0)
})
