import { copyFile, readFile, rename, truncate, utimes, writeFile } from 'node:fs/promises'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Examined, examine, judge } from '../../../src/data/curation/check.ts'
import { appendToJournal, readJournal, rewriteJournal } from '../../../src/data/curation/examined-journal.ts'
import { renderClip, testFolder } from '../../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)
const at = folder.path
const options = { jobs: 2, cache: folder.path('cache') }

beforeAll(async () => {
  await renderClip(at('good ünï.mp4'), { seconds: 1 })
  await renderClip(at('brief.mp4'), { seconds: 0.2 })
  await renderClip(at('paused.mkv'), { seconds: 1, filters: "setpts='(N+60*gte(N,10))/30/TB'" })
  await ffmpegCopy('cut.mp4')
  await copyFile(at('good ünï.mp4'), at('noise.mp4'))
  await damage(at('noise.mp4'))
  await writeFile(at('text.mp4'), 'no video')
  await writeFile(at('empty.mp4'), '')
  const pixels = Uint8Array.from({ length: 96 * 96 * 3 }, (_, i) => (i * i * 31) % 251)
  await sharp(pixels, { raw: { width: 96, height: 96, channels: 3 } })
    .jpeg()
    .toFile(at('image.jpg'))
  const bytes = await readFile(at('image.jpg'))
  await writeFile(at('half.jpg'), bytes.subarray(0, bytes.length >> 1))
})

/** A file whose tables are whole and whose pictures are not all there. */
async function ffmpegCopy(name: string): Promise<void> {
  await renderClip(at(name), {
    output: ['-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-movflags', '+faststart'],
  })
  await truncate(at(name), (await readFile(at(name))).length - 400)
}

/** Overwrites half of the pictures. */
async function damage(path: string): Promise<void> {
  const bytes = await readFile(path)
  const start = bytes.indexOf('mdat') + 4
  const length = bytes.readUInt32BE(start - 8) - 8
  bytes.fill(0xa5, start + (length >> 3), start + (length >> 3) * 7)
  await writeFile(path, bytes)
}

const verdicts = (examined: ReadonlyMap<string, Examined>) =>
  Object.fromEntries(
    [...examined].map(([path, each]) => {
      const { verdict, reason } = judge(each, { minSeconds: 0.5 })
      return [path.slice(at('').length + 1), reason === '' ? verdict : `${verdict}: ${reason}`]
    }),
  )

describe('examining files', () => {
  const names = [
    'good ünï.mp4',
    'brief.mp4',
    'paused.mkv',
    'cut.mp4',
    'text.mp4',
    'empty.mp4',
    'gone.mp4',
    'image.jpg',
  ]

  it('says of each what is wrong with it', async () => {
    expect(verdicts(await examine(names.map(at), options))).toEqual({
      'good ünï.mp4': 'ok',
      'brief.mp4': 'short: 0.20 s, 6 frames',
      'paused.mkv': 'odd: a pause of 2.0 s between two frames',
      'cut.mp4': expect.stringMatching(/^broken: is cut off: \d+ bytes are missing at its end$/),
      'text.mp4': 'broken: FFmpeg finds no video in it (moov atom not found)',
      'empty.mp4': 'broken: is empty (0 bytes)',
      'gone.mp4': 'missing: no such file',
      'image.jpg': 'ok',
    })
  })

  it('finds damage inside only by decoding', async () => {
    const paths = [at('noise.mp4'), at('half.jpg'), at('good ünï.mp4')]
    expect(Object.values(verdicts(await examine(paths, options)))).toEqual(['ok', 'ok', 'ok'])
    const decoded = verdicts(await examine(paths, { ...options, decode: true }))
    expect(decoded).toEqual({
      'noise.mp4': expect.stringMatching(/^broken: \d+ of 30 frames do not decode \(.+\)$/),
      'half.jpg': expect.stringMatching(/^broken: is not an image that can be read/),
      'good ünï.mp4': 'ok',
    })
  })

  it('looks again only at what has changed since, or was not decoded', async () => {
    const path = at('changing.mp4')
    await copyFile(at('good ünï.mp4'), path)
    const known = await examine([path], options)
    const looked = async (more = {}) => {
      const news: boolean[] = []
      await examine([path], { ...options, known, ...more, onFile: (_, isNew) => news.push(isNew) })
      return news
    }
    expect(await looked()).toEqual([false])
    expect(await looked({ decode: true })).toEqual([true])
    await utimes(path, 1, 1)
    expect(await looked()).toEqual([true])
    await rename(path, at('elsewhere.mp4'))
    expect(await looked()).toEqual([true])
  })
})

describe('the journal of a check', () => {
  it('survives a line that is cut off, keeps the last word on a file, and shrinks when written anew', async () => {
    const file = at('journal/check.jsonl')
    const entry = (path: string, decoded: boolean): Examined => ({
      path,
      state: '1 2',
      decoded,
      failure: 'x',
    })
    appendToJournal(file, entry('a', false))
    appendToJournal(file, entry('b "ü"', false))
    await writeFile(file, `${await readFile(file, 'utf8')}\n{"path":"c","sta`)
    appendToJournal(file, entry('a', true))
    expect([...(await readJournal(file)).values()]).toEqual([entry('a', true), entry('b "ü"', false)])
    await rewriteJournal(file, [entry('a', true)])
    expect([...(await readJournal(file)).keys()]).toEqual(['a'])
    expect((await readJournal(at('none.jsonl'))).size).toBe(0)
  })
})
