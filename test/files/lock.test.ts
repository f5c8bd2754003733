import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { thisProcess } from '../../src/files/owner.ts'
import { holdRun } from '../../src/runs/run-lock.ts'
import { ownersIn, startContenders } from '../support/lock-race.ts'
import { temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()
let made = 0
const newFolder = async (lock?: string): Promise<string> => {
  const path = join(folder, `run-${made++}`)
  await mkdir(path)
  if (lock !== undefined) await writeFile(join(path, '.training'), lock)
  return path
}
const recordOf = (changes: object): string =>
  JSON.stringify({ ...thisProcess(), host: hostname(), id: 'aa-bb', ...changes })

/** A process that lives, but does nothing with runs. */
const others: ChildProcess[] = []
function otherProcess(): number {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' })
  others.push(child)
  return child.pid!
}
afterAll(() => {
  for (const child of others) child.kill('SIGKILL')
})

describe('the lock of a run', () => {
  it('is one process’s at a time, whatever was left there', async () => {
    const contenders = await startContenders(5)
    try {
      for (const left of [undefined, '', '4194999', recordOf({ started: '1' })]) {
        for (let round = 0; round < 6; round++) {
          const path = await newFolder(left)
          const { owners, overlaps } = ownersIn(await contenders.race(path, 20))
          expect(overlaps, String(left)).toBe(0)
          expect(owners, String(left)).toBeGreaterThan(0)
          expect(await readdir(path)).toEqual([])
        }
      }
    } finally {
      contenders.end()
    }
  })

  it('names its process and its file, and is refused to the same process too', async () => {
    const path = await newFolder()
    const unlock = await holdRun(path)
    expect(unlock.inherited).toBe(false)
    await expect(holdRun(path)).rejects.toThrow(
      `${path}: process ${process.pid} is training there, as ${join(path, '.training')} says.`,
    )
    await unlock()
    await unlock()
    expect(await readdir(path)).toEqual([])
  })

  it('of a dead process is passed on, though another has its number now', async () => {
    const ended = spawn('true')
    const { pid } = ended
    await once(ended, 'exit')
    const dead = [
      recordOf({ pid, started: '5' }),
      recordOf({ pid: otherProcess(), started: '5' }),
      recordOf({ started: '5' }),
      // As earlier versions wrote it.
      String(pid),
      String(otherProcess()),
      String(process.pid),
      '',
      '{"pid":',
    ]
    for (const lock of dead) {
      const path = await newFolder(lock)
      const unlock = await holdRun(path)
      expect(unlock.inherited, lock).toBe(true)
      await unlock()
      expect(await readdir(path), lock).toEqual([])
    }
  })

  it('of a process that cannot be asked is its until it has been silent for two minutes', async () => {
    const path = await newFolder(recordOf({ place: '00000000', host: 'elsewhere', pid: 7 }))
    const file = join(path, '.training')
    await expect(holdRun(path)).rejects.toThrow(
      new RegExp(
        `process 7 on elsewhere was training there \\d+ s ago; it cannot be asked from here.\\n.*try again in \\d+ s, or remove ${file}\\.$`,
      ),
    )
    const before = new Date(Date.now() - 121_000)
    await utimes(file, before, before)
    const unlock = await holdRun(path)
    await unlock()
  })

  it('tells an owner that stood still that another has the folder, and leaves it to that one', async () => {
    const path = await newFolder()
    const file = join(path, '.training')
    const unlock = await holdRun(path)
    await unlock.check()
    const text = recordOf({ id: 'cc-dd' })
    await writeFile(`${file}.new`, text)
    const { rename } = await import('node:fs/promises')
    await rename(`${file}.new`, file)
    await expect(unlock.check()).rejects.toThrow('another process has taken the folder')
    await unlock()
    expect(await readFile(file, 'utf8')).toBe(text)
  })

  it('of a process that was killed while it took over a dead one’s is taken over like it', async () => {
    const path = await newFolder(recordOf({ started: '1', id: 'a1' }))
    await writeFile(join(path, '.training.a1'), recordOf({ started: '2', id: 'b2' }))
    await writeFile(join(path, '.training.c3'), recordOf({ started: '2', id: 'd4' }))
    const unlock = await holdRun(path)
    expect(unlock.inherited).toBe(true)
    await unlock()
    expect(await readdir(path)).toEqual([])
  })
})
