/** Many processes reach for the lock of a run at once; the lock of before is absent, dead, empty, or of a process of before. */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { thisProcess } from '../../src/files/owner.ts'
import { ownersIn, startContenders } from '../support/lock-race.ts'
import { temporaryFolder } from '../support/small-run.ts'
import { rounds, tell } from './support.ts'

const CONTENDERS = 6

/** What lies there before a race. */
const LEFT: Readonly<Record<string, string | undefined>> = {
  nothing: undefined,
  'an empty file': '',
  'the number of a process that is gone': '4194999',
  'the number of another program': '1',
  'the record of a process that is gone': JSON.stringify({
    ...thisProcess(),
    started: '1',
    host: '',
    id: 'a-b',
  }),
}

it('gives the folder to one process at a time', async () => {
  const folder = await temporaryFolder()
  const contenders = await startContenders(CONTENDERS)
  const counts = { races: 0, owners: 0, overlaps: 0, ownerless: 0, left: 0 }
  try {
    for (const [what, content] of Object.entries(LEFT)) {
      for (let round = 0; round < rounds(40); round++) {
        const run = join(folder, `${what}-${round}`)
        await mkdir(run)
        if (content !== undefined) await writeFile(join(run, '.training'), content)
        const { owners, overlaps } = ownersIn(await contenders.race(run, 30))
        counts.races++
        counts.owners += owners
        counts.overlaps += overlaps
        if (owners === 0) counts.ownerless++
        counts.left += (await readdir(run)).length
        await rm(run, { recursive: true })
      }
    }
  } finally {
    contenders.end()
  }
  tell('lock races', counts)
  expect(counts).toMatchObject({ overlaps: 0, ownerless: 0, left: 0 })
})
