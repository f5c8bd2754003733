import { readdir, readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Overloaded } from '../../src/server/errors.ts'
import { Uploads } from '../../src/server/uploads.ts'

let uploads: Uploads
beforeAll(async () => {
  uploads = await Uploads.open(1000)
})
afterAll(() => uploads.remove())

const body = (bytes: number) => Readable.from([Buffer.alloc(bytes, 7)], { objectMode: false })

describe('uploads', () => {
  it('are as they were sent, until they are taken away', async () => {
    const file = await uploads.receive(body(1000), 'x.mp4')
    expect(await readFile(file.path)).toEqual(Buffer.alloc(1000, 7))
    await file.remove()
    expect(await readdir(uploads.folder)).toEqual([])
  })

  it('take no more room together than eight of the largest, and have it again', async () => {
    const held = []
    for (let i = 0; i < 8; i++) held.push(await uploads.receive(body(1000), 'x'))
    await expect(uploads.receive(body(1), 'x')).rejects.toBeInstanceOf(Overloaded)
    await held[0]!.remove()
    // Twice is once.
    await held[0]!.remove()
    const last = await uploads.receive(body(1000), 'x')
    await expect(uploads.receive(body(1), 'x')).rejects.toBeInstanceOf(Overloaded)
    for (const file of [...held, last]) await file.remove()
    expect(await readdir(uploads.folder)).toEqual([])
  })

  it.each([
    ['too large', body(1001), 413],
    ['empty', Readable.from([]), 400],
  ])('that are %s leave nothing', async (_, sent, status) => {
    await expect(uploads.receive(sent, 'x')).rejects.toMatchObject({ status })
    expect(await readdir(uploads.folder)).toEqual([])
  })

  it('that break off leave nothing', async () => {
    const broken = new Readable({ read() {} })
    broken.push(Buffer.alloc(10))
    const receiving = uploads.receive(broken, 'x')
    setTimeout(() => broken.destroy(new Error('gone')), 20)
    await expect(receiving).rejects.toThrow('broke off after 10 bytes: gone')
    expect(await readdir(uploads.folder)).toEqual([])
  })
})
