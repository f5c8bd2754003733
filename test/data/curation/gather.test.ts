/** What a folder is a set of is decided by all of its files, and what is left out is told. */
import { copyFile, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import sharp from 'sharp'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { asList, gather } from '../../../src/data/curation/gather.ts'
import { readClassFolders } from '../../../src/data/sets/folders.ts'
import { describePassedOver, mediaOf } from '../../../src/data/sets/media.ts'
import { renderClip } from '../../support/render.ts'
import { temporaryFolder } from '../../support/small-run.ts'

const folder = await temporaryFolder()
const at = (...names: string[]) => join(folder, ...names)
const set = at('set')

beforeAll(async () => {
  await renderClip(at('clip.mp4'))
  const picture = { create: { width: 8, height: 8, channels: 3 as const, background: '#08f' } }
  await sharp(picture).jpeg().toFile(at('picture.jpg'))
})
afterEach(() => rm(set, { recursive: true, force: true }))

/** Puts a clip, a picture or text where each path of the set says. */
async function put(...paths: string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(dirname(join(set, path)), { recursive: true })
    if (/text/.test(path)) await writeFile(join(set, path), 'some text')
    else await copyFile(at(/picture/.test(path) ? 'picture.jpg' : 'clip.mp4'), join(set, path))
  }
}

const videos = ['a/clip1.mp4', 'a/clip2.mp4', 'b/clip3.mp4', 'b/clip4.mp4']

/** The paths and labels of a folder, and what it says of the rest. */
async function gathered(options: Parameters<typeof gather>[1] = {}) {
  const { files, isLabelled, passedOver } = await gather(set, options)
  const shown = files.map(({ path, label }) => `${relative(set, path)} ${label}`)
  return { files: shown, isLabelled, others: describePassedOver(passedOver).replaceAll(`${set}/`, '') }
}

describe('a folder of class folders', () => {
  const labelled = ['a/clip1.mp4 0', 'a/clip2.mp4 0', 'b/clip3.mp4 1', 'b/clip4.mp4 1']

  it('is of videos though a picture comes first', async () => {
    await put(...videos, 'a/0-picture.jpg', 'b/0-picture.png')
    expect(await gathered()).toEqual({
      files: labelled,
      isLabelled: true,
      others:
        'passed over: 1 .jpg (pictures, such as a/0-picture.jpg), 1 .png (pictures, such as b/0-picture.png)',
    })
  })

  it('is one though a file lies deeper or beside', async () => {
    await put(...videos, 'a/more/clip.mp4', 'text.md')
    expect(await gathered()).toEqual({
      files: labelled,
      isLabelled: true,
      others:
        'passed over: 1 .md (no video or picture that can be read, such as text.md), 1 .mp4 (deeper than CLASS/FILE, such as a/more/clip.mp4)',
    })
    const { passedOver } = await readClassFolders(set, { media: 'video' })
    expect(passedOver).toHaveLength(2)
  })

  it('is refused as a mixture of media, with the way out', async () => {
    await put(...videos, 'a/picture1.jpg', 'a/picture2.jpg', 'b/picture3.jpg')
    await expect(gathered()).rejects.toThrow(
      'is a mixture of 4 videos and 3 pictures, and a data set is of either.\nMove one kind elsewhere, or say which counts: --media video',
    )
    expect((await gathered({ media: 'video' })).files).toEqual(labelled)
    expect((await gathered({ media: 'image' })).files).toHaveLength(3)
  })

  it('is refused where a class would have no sample', async () => {
    await put(...videos, 'c/picture.jpg')
    await expect(gathered()).rejects.toThrow(
      '/set/c: has 1 pictures and not one video, though the set is of videos.',
    )
  })

  it('is none where much lies otherwise', async () => {
    await put(...videos, 'a/x/clip1.mp4', 'a/x/clip2.mp4', 'b/x/clip3.mp4')
    expect(await gathered()).toMatchObject({ isLabelled: false, files: { length: 7 } })
    await expect(readClassFolders(set, { media: 'video' })).rejects.toThrow(
      'of its 7 videos and pictures 4 lie as CLASS/FILE, 3 deeper or beside (such as',
    )
  })

  it('has files of upper-case and unknown endings', async () => {
    await put('a/clip1.MP4', 'a/clip2.Mkv', 'b/clip3.recording', 'b/clip4', 'b/text.notes')
    expect(await gathered()).toMatchObject({
      files: ['a/clip1.MP4 0', 'a/clip2.Mkv 0', 'b/clip3.recording 1', 'b/clip4 1'],
      others: 'passed over: 1 .notes (no video or picture that can be read, such as b/text.notes)',
    })
    await rm(set, { recursive: true })
    await put('a/picture1.photo', 'b/picture2.photo')
    expect(await gathered()).toMatchObject({ files: ['a/picture1.photo 0', 'b/picture2.photo 1'] })
  })

  it('asks all files of an ending where some are videos and others not', async () => {
    await put('a/clip1', 'a/text1', 'a/text2', 'b/clip2', 'b/text3', 'b/clip3')
    expect((await gathered()).files).toEqual(['a/clip1 0', 'b/clip2 1', 'b/clip3 1'])
  })
})

describe('names in two forms of Unicode', () => {
  const [composed, decomposed] = ['caf\u00e9', 'cafe\u0301']

  it('are told apart where a folder is written otherwise than its class', async () => {
    await put(`${decomposed}/clip.mp4`)
    const reading = readClassFolders(set, { classes: ['b', composed] })
    await expect(reading).rejects.toThrow(
      'is written "cafe\\u{301}", the class "caf\\u{e9}": the same letters in two forms of Unicode.\nGive both one name; on Linux: mv ',
    )
    await expect(reading).rejects.toThrow(/cafe\\xcc\\x81' .*caf\\xc3\\xa9'$/)
    await rename(join(set, decomposed), join(set, composed))
    expect((await readClassFolders(set, { classes: ['b', composed] })).entries).toHaveLength(1)
  })

  it('are not two classes', async () => {
    await put(`${composed}/clip.mp4`, `${decomposed}/clip.mp4`)
    await expect(gathered()).rejects.toThrow('has a class "cafe\\u{301}" and a class "caf\\u{e9}"')
    await writeFile(join(set, 'classes.txt'), `${composed}\n${decomposed}\n`)
    await expect(gathered()).rejects.toThrow('classes.txt: has a class "caf\\u{e9}" and a class')
  })
})

describe('asList', () => {
  it('writes no path that a spreadsheet would compute, and gather reads back the same', async () => {
    await put('=a clip.mp4', '+b clip.mp4', '-c clip.mp4', '@d clip.mp4', 'e/clip.mp4')
    for (const labels of [0, [0, 1]]) {
      const files = ['=a clip.mp4', '+b clip.mp4', '-c clip.mp4', '@d clip.mp4', 'e/clip.mp4'].map(
        (name) => ({
          path: join(set, name),
          label: labels,
        }),
      )
      const text = asList(files, (path) => relative(set, path))
      expect(text).not.toMatch(/^"?[=+\-@]/m)
      await writeFile(join(set, 'list.csv'), text)
      expect((await gather(join(set, 'list.csv'))).files.map(({ path }) => path)).toEqual(
        files.map(({ path }) => path),
      )
    }
  })
})

describe('mediaOf', () => {
  it('tells by the name, else by what is in the file', async () => {
    await put('clip.unknown', 'picture.unknown', 'text.unknown')
    const kinds = ['x.MOV', 'x.JPEG', 'clip.unknown', 'picture.unknown', 'text.unknown', 'x.svg']
    expect(await Promise.all(kinds.map((name) => mediaOf(join(set, name))))).toEqual([
      'video',
      'image',
      'video',
      'image',
      undefined,
      undefined,
    ])
  })
})
