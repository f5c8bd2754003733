import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { formatList, parseList, readListOf, readListText } from '../../../src/data/sets/lists.ts'
import { testFolder } from '../../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)

const read = (text: string) => parseList(text, 'train.csv').map(({ path, label }) => [path, label])

const readFile = async (file: string, options: { readonly root?: string } = {}) =>
  readListOf(await readListText(file), file, options)

describe('a list of labelled files', () => {
  it.each([
    ['spaces', 'a.mp4 0\nb/c.mp4 12\n'],
    ['commas', 'a.mp4,0\nb/c.mp4,12'],
    ['tabs and spaces around commas', ' a.mp4\t0 \nb/c.mp4 , 12'],
    ['Windows line ends and a byte order mark', '\uFEFFa.mp4 0\r\nb/c.mp4 12\r\n'],
    ['empty lines and comments', '# made by hand\n\na.mp4 0\n  \n  # b\nb/c.mp4 12'],
    ['quotes', '"a.mp4" 0\n\'b/c.mp4\',12'],
  ])('may have %s', (_, text) => {
    expect(read(text)).toEqual([
      ['a.mp4', 0],
      ['b/c.mp4', 12],
    ])
  })

  it('takes the last field for the label, so that paths may have spaces and commas', () => {
    expect(read('my clip, take 2.mp4 3\n"my ""best"" clip, 4" 5\n"#1.mp4" 6')).toEqual([
      ['my clip, take 2.mp4', 3],
      ['my "best" clip, 4', 5],
      ['#1.mp4', 6],
    ])
  })

  it('reads back what it writes', () => {
    const path = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/[\n\0]/.test(text))
    const awkward = fc
      .array(fc.constantFrom('a', ' ', ',', '"', "'", '#', '\t', '\r', '\uFEFF', '0'), { minLength: 1 })
      .map((parts) => parts.join(''))
    const entry = fc.record({ path: fc.oneof(path, awkward), label: fc.nat(999_999_999) })
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 5 }), (entries) => {
        expect(read(formatList(entries))).toEqual(entries.map(({ path, label }) => [path, label]))
      }),
    )
  })

  it('writes plain paths without quotes', () => {
    expect(formatList([{ path: 'a/b.mp4', label: 3 }])).toBe('a/b.mp4 3\n')
  })

  it('refuses a path that no line can hold', () => {
    expect(() => formatList([{ path: 'a\nb.mp4', label: 0 }])).toThrow('"a\\nb.mp4": cannot stand in a list')
  })

  it('takes relative paths from its folder, or from a root', async () => {
    const file = folder.path('train.csv')
    await writeFile(file, 'x/a.mp4 0\n/abs/b.mp4 1\n')
    const paths = async (root?: string) =>
      (await readFile(file, root === undefined ? {} : { root })).map((entry) => entry.path)
    expect(await paths()).toEqual([folder.path('x/a.mp4'), resolve('/abs/b.mp4')])
    expect(await paths('/videos')).toEqual([resolve('/videos/x/a.mp4'), resolve('/abs/b.mp4')])
  })

  it.each([
    [
      'a heading',
      'path,label\na.mp4,0',
      'train.csv:1: must be a path and a label, a whole number from 0, not "path,label". If it is a heading, remove it.',
    ],
    [
      'no label',
      'a.mp4 0\nb.mp4',
      'train.csv:2: must be a path and a label, a whole number from 0, not "b.mp4".',
    ],
    [
      'a negative label',
      'a.mp4 -1',
      'train.csv:1: must be a path and a label, a whole number from 0, not "a.mp4 -1".',
    ],
    [
      'a fraction',
      'a.mp4 1.0',
      'train.csv:1: must be a path and a label, a whole number from 0, not "a.mp4 1.0".',
    ],
    ['no path', ', 1', 'train.csv:1: must be a path and a label'],
    ['nothing', '\n# none\n', 'train.csv: has no samples.'],
  ])('names the line with %s', (_, text, message) => {
    expect(() => read(text)).toThrow(message)
  })

  it('names the line whose label is too high, and the way out', () => {
    const from = (text: string) => () => parseList(text, 'train.csv', { classes: 3 })
    expect(from('a 1\nb 2\nc 3')).toThrow(
      'train.csv:3: label 3, but num_classes is 3, so labels go from 0 to 2.\nThe lowest label is 1: do the labels start at 1? They must start at 0. Otherwise give num_classes: 4.',
    )
    expect(from('a 0\nb 7\nc 3')).toThrow(
      'train.csv:2: label 7, but num_classes is 3, so labels go from 0 to 2.\nGive num_classes: 8, or another list.',
    )
    expect(from('a 0\nb 2')()).toHaveLength(2)
  })

  it('must be there and be text', async () => {
    const file = folder.path('binary.csv')
    await writeFile(file, Buffer.from([97, 0xff, 32, 48]))
    await expect(readFile(file)).rejects.toThrow(
      'the list cannot be read: its text is not UTF-8. Give a text file in UTF-8',
    )
    await expect(readFile(folder.path('none.csv'))).rejects.toThrow('the list cannot be read: no such file')
  })
})
