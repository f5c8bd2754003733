import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { thisProcess } from '../../src/files/owner.ts'
import { sweep, temporaryBeside, unfinishedName } from '../../src/files/temporary.ts'
import { writeAtomically, writeTogether } from '../../src/files/write.ts'
import { temporaryFolder } from '../support/small-run.ts'

const { pid, started, place } = thisProcess()
const RANDOM = '0123456789ab'
const dead = (name: string) => `.${name}.${pid}-1-${place}-${RANDOM}.tmp`
const elsewhere = (name: string) => `.${name}.7-1-00000000-${RANDOM}.tmp`

describe('temporary files', () => {
  it('lie beside what they become, named after it and after their process, and are cut to fit', async () => {
    const folder = await temporaryFolder()
    const path = await temporaryBeside(join(folder, 'model.safetensors'))
    expect(path.startsWith(join(folder, `.model.safetensors.${pid}-${started}-${place}-`))).toBe(true)
    expect(unfinishedName(path.slice(folder.length + 1))).toBe('model.safetensors')
    expect(unfinishedName('model.safetensors')).toBeUndefined()
    const long = `${'n'.repeat(250)}.mp4`
    await writeFile(await temporaryBeside(join(folder, long)), '')
  })

  it('that dead processes left go when the next one writes beside them; nothing else does', async () => {
    const folder = await temporaryFolder()
    const kept = [
      'a.txt',
      '.hidden.tmp',
      elsewhere('new.csv'),
      `.x.${pid}-${started}-${place}-${RANDOM}.tmp`,
      `.y.${randomUUID()}.tmp`,
    ]
    for (const name of [...kept, dead('a.csv'), dead('b')]) await writeFile(join(folder, name), name)
    const folders = [dead('making'), '.making-4194999']
    for (const name of folders) {
      await mkdir(join(folder, name, '0'), { recursive: true })
      await writeFile(join(folder, name, '0', '0001.mp4'), '')
    }
    const old = [elsewhere('old.csv'), `.z.${randomUUID()}.tmp`]
    const yesterday = new Date(Date.now() - 25 * 3_600_000)
    for (const name of old) {
      await writeFile(join(folder, name), '')
      await utimes(join(folder, name), yesterday, yesterday)
    }
    await writeAtomically(join(folder, 'new.txt'), [Buffer.from('new')])
    expect((await readdir(folder)).sort()).toEqual([...kept, 'new.txt'].sort())
    // Whoever holds a run knows that nobody else is making a checkpoint.
    await sweep(folder, (name) => name === 'y')
    expect(await readdir(folder)).not.toContain(kept.at(-1))
    expect(await readdir(folder)).toContain(kept[2])
  })
})

describe('files that belong together', () => {
  const bytes = (text: string) => [Buffer.from(text)]

  it('are written as one: without the last the set is not there', async () => {
    const folder = await temporaryFolder()
    const at = (name: string) => join(folder, name)
    const write = (content: string, last = 'val.csv') =>
      writeTogether(
        new Map([
          [at('train.csv'), bytes(content)],
          [at(last), bytes(content)],
        ]),
      )
    await write('one')
    await write('two')
    for (const name of ['train.csv', 'val.csv']) expect(await readFile(at(name), 'utf8')).toBe('two')
    // Where one cannot be written, all of before stay.
    await expect(write('three', 'none/val.csv')).rejects.toThrow('ENOENT')
    expect((await readdir(folder)).sort()).toEqual(['train.csv', 'val.csv'])
    expect(await readFile(at('train.csv'), 'utf8')).toBe('two')
  })
})
