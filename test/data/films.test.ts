import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { makeFilms } from '../../src/data/motion/make-films.ts'
import { MOTION_CLASSES } from '../../src/data/motion/scene.ts'
import { readFrameIndex } from '../../src/video/frame-index.ts'
import { testFolder } from '../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)

interface Films {
  readonly database: Readonly<
    Record<
      string,
      {
        readonly subset: string
        readonly duration: number
        readonly annotations: readonly {
          readonly label: string
          readonly segment: readonly [number, number]
        }[]
      }
    >
  >
}

const size = { width: 32, height: 24 }
const read = async (out: string) => JSON.parse(await readFile(`${out}/films.json`, 'utf8')) as Films
const hashOf = async (file: string) =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex')

describe('rendered films', () => {
  it('are as long as was asked for, and annotated in ActivityNet format', async () => {
    const out = folder.path('films')
    const told: number[] = []
    const made = await makeFilms({ out, films: 2, minutes: 1, size, onProgress: (done) => told.push(done) })
    expect(await readdir(`${out}/films`)).toEqual(['0001.mp4', '0002.mp4'])
    expect(told.at(-1)).toBe(120)
    const { database } = await read(out)
    expect(Object.keys(database)).toEqual(['0001', '0002'])
    let spans = 0
    for (const [id, { subset, duration, annotations }] of Object.entries(database)) {
      expect([subset, duration]).toEqual(['validation', 60])
      expect((await readFrameIndex(`${out}/films/${id}.mp4`)).times).toHaveLength(1800)
      let [reached, last] = [0, '']
      for (const { label, segment } of annotations) {
        expect(MOTION_CLASSES).toContain(label)
        expect(label).not.toBe(last)
        // One after the other, or a still picture between them.
        expect(segment[0] - reached).toBeGreaterThanOrEqual(0)
        expect(segment[0] - reached).toBeLessThanOrEqual(6.1)
        expect(segment[1] - segment[0]).toBeGreaterThanOrEqual(2.9)
        ;[reached, last] = [segment[1], label]
        spans++
      }
      expect(reached).toBeLessThanOrEqual(60)
    }
    expect(made).toEqual({ out, films: 2, seconds: 60, spans })
    // Films differ, and so do others' of another seed.
    expect(database['0001']!.annotations).not.toEqual(database['0002']!.annotations)
  })

  it('are the same of the same seed', async () => {
    const [one, again, other] = ['one', 'again', 'other'].map((name) => folder.path(name))
    await makeFilms({ out: one!, films: 1, minutes: 1, size, seed: 3 })
    await makeFilms({ out: again!, films: 1, minutes: 1, size, seed: 3 })
    await makeFilms({ out: other!, films: 1, minutes: 1, size, seed: 4 })
    expect(await read(again!)).toEqual(await read(one!))
    expect(await hashOf(`${again}/films/0001.mp4`)).toBe(await hashOf(`${one}/films/0001.mp4`))
    expect(await read(other!)).not.toEqual(await read(one!))
  })

  it('cannot be none', async () => {
    await expect(makeFilms({ out: folder.path('none'), films: 0 })).rejects.toThrow(
      'films of the motion data set must be a whole number from 1, not 0.',
    )
  })
})
