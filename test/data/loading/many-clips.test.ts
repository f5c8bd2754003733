import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { createFrameIndexes } from '../../../src/data/loading/frame-indexes.ts'
import { inParallel } from '../../../src/in-parallel.ts'
import { decodeClip } from '../../../src/video/decode.ts'
import { decodeClips } from '../../../src/video/decode-many.ts'
import { renderClip, testFolder } from '../../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)

const openFiles = () => readdirSync('/proc/self/fd').length
/** The shell that stands by to end them is none of them. */
const children = () =>
  readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter((pid) => pid && !readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('/bin/sh\0-c')).length

/** The 5,000 clips of `npm run bench -- decode-memory` in small; what Linux tells about processes is needed. */
describe.runIf(process.platform === 'linux')('decoding many clips', () => {
  it('leaves no file open, and never runs more FFmpeg processes than asked for', async () => {
    const paths = [await renderClip(folder.path('a.mp4')), await renderClip(folder.path('b.mkv'))]
    const indexes = createFrameIndexes()
    let most = 0
    const round = () =>
      inParallel(
        Array.from({ length: 6 }, (_, i) => i),
        2,
        async (i) => {
          const path = paths[i % 2]!
          const index = await indexes.of(path, {})
          const request = { times: { frames: 4, stride: 2, start: i / 20 } }
          const decoding =
            i % 3 === 0
              ? decodeClip(path, request, { index })
              : decodeClips([1, 2].map(() => ({ path, request, index })))
          const watch = setInterval(() => (most = Math.max(most, children())), 5)
          await decoding
          clearInterval(watch)
        },
      )
    await round()
    const before = openFiles()
    await round()
    expect(openFiles()).toBeLessThanOrEqual(before + 1)
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThanOrEqual(2)
    expect(children()).toBe(0)
  })

  it('closes what is not a video again', async () => {
    const before = openFiles()
    for (let i = 0; i < 5; i++) {
      await expect(decodeClip(folder.path(`none ${i}`), { times: [0] })).rejects.toThrow(/no such file/)
    }
    expect(openFiles()).toBeLessThanOrEqual(before)
  })
})
