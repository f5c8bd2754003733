import { execFile, execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/index.ts'
import { readCifar } from '../../src/data/sets/cifar.ts'
import { readClassNames } from '../../src/data/sets/folders.ts'
import { readListText } from '../../src/data/sets/lists.ts'
import { readText, readWhole } from '../../src/files/read.ts'
import { requireOtherFile, writeAtomically } from '../../src/files/write.ts'
import { labelsOf } from '../../src/runs/labels.ts'
import { readRunConfig } from '../../src/runs/run-folder.ts'
import { lastUsedData } from '../../src/training/used-data.ts'
import { MAIN } from '../support/cli.ts'
import { testFolder } from '../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)
const write = async (name: string, content: string | Uint8Array) => {
  await writeFile(folder.path(name), content)
  return folder.path(name)
}

describe('reading a small file', () => {
  it('gives its bytes, also where its size says nothing', async () => {
    const path = await write('a', 'some text')
    expect((await readWhole(path, 9)).toString()).toBe('some text')
    // Files of /proc have the size 0.
    expect((await readWhole('/proc/self/status', 2 ** 20)).toString()).toMatch(/^Name:/)
  })

  it('ends at the limit', async () => {
    const path = await write('large', Buffer.alloc(2 ** 20 + 1))
    await expect(readWhole(path, 2 ** 20)).rejects.toThrow('it is larger than 1 MiB')
  })

  it('neither waits for a named pipe nor reads a device or a folder', async () => {
    const pipe = folder.path('pipe')
    execFileSync('mkfifo', [pipe])
    await expect(readWhole(pipe, 9)).rejects.toThrow('it is a named pipe, not a file')
    await expect(readWhole('/dev/zero', 9)).rejects.toThrow('it is a device, not a file')
    await expect(readWhole(folder.path('.'), 9)).rejects.toThrow('it is a folder, not a file')
  })

  it('takes text in UTF-8 alone, with or without a byte order mark', async () => {
    expect(await readText(await write('bom', '\ufeffcafé'), 99)).toBe('café')
    await expect(readText(await write('16', Buffer.from('\ufeffhello', 'utf16le')), 99)).rejects.toThrow(
      'its text is UTF-16, not UTF-8',
    )
    await expect(readText(await write('latin', Buffer.from('café', 'latin1')), 99)).rejects.toThrow(
      'its text is not UTF-8',
    )
    await expect(readText(await write('nul', 'a\0b'), 99)).rejects.toThrow('it is not a text file')
  })
})

describe('whatever the program reads', () => {
  it('is refused where it is a named pipe', async () => {
    const pipe = (name: string) => {
      execFileSync('mkfifo', [folder.path(name)])
      return folder.path(name)
    }
    for (const name of ['classes.txt', 'config.yml', 'data_batch_1.bin', 'train.jsonl']) pipe(name)
    const at = folder.path('.')
    await expect(readListText(pipe('list.csv'))).rejects.toThrow('named pipe')
    await expect(readClassNames(at)).rejects.toThrow('named pipe')
    await expect(labelsOf(folder.path('classes.txt'), 2)).rejects.toThrow('named pipe')
    await expect(loadConfig(folder.path('config.yml'))).rejects.toThrow('named pipe')
    await expect(readRunConfig(at)).rejects.toThrow('named pipe')
    for (const name of [2, 3, 4, 5]) await write(`data_batch_${name}.bin`, '')
    await expect(readCifar('cifar10', at, 'train')).rejects.toThrow('named pipe')
    expect(await lastUsedData(at)).toBeUndefined()
  })

  it('may be what a shell pipes in', async () => {
    const { stdout } = await promisify(execFile)('bash', [
      '-c',
      `"${process.execPath}" "${MAIN}" profile <(printf 'model: slow\\nnum_classes: 7\\n')`,
    ])
    expect(stdout).toContain('7 classes')
  })
})

describe('class names', () => {
  it('have no empty line between them', async () => {
    const path = await write('names', 'a\n\nc\n')
    await expect(labelsOf(path, 3)).rejects.toThrow(/names: line 2 has no class name\. Give one name a line/)
    await expect(readClassNames(folder.path('.'), 'names')).rejects.toThrow(/names: line 2 is empty/)
  })
})

describe('writing a file', () => {
  it('leaves a device, a pipe and a folder as they are', async () => {
    const pipe = folder.path('pipe')
    await expect(writeAtomically(pipe, [Buffer.from('a')])).rejects.toThrow('it is a named pipe, not a file')
    await expect(writeAtomically('/dev/null', [Buffer.from('a')])).rejects.toThrow('it is a device')
    await expect(writeAtomically(folder.path('.'), [Buffer.from('a')])).rejects.toThrow('it is a folder')
  })

  it('is refused by name where the file is the one that was read', async () => {
    const path = await write('source.csv', 'a 0')
    await expect(requireOtherFile(path, folder.path('./source.csv'))).rejects.toThrow(
      /source\.csv: is the source itself, which would be written over\. Give another place\./,
    )
    await requireOtherFile(path, folder.path('new.csv'))
  })
})
