import { describe, expect, it } from 'vitest'
import { fingerprintOf } from '../../../src/data/curation/fingerprint.ts'
import { splitFiles } from '../../../src/data/curation/split.ts'
import { formatMultiLabelList, parseMultiLabelList } from '../../../src/data/sets/multi-label-lists.ts'

const files = Array.from({ length: 120 }, (_, i) => ({
  path: `/data/${i % 3}/person${i % 12}_${i}.mp4`,
  label: i % 3,
}))
const options = { share: 0.25, seed: 1, root: '/data' }

describe('splitting a data set', () => {
  it('takes the same share of every class, each file on one side, in the order of the list', () => {
    const { train, val } = splitFiles(files, options)
    expect([0, 1, 2].map((label) => val.filter((file) => file.label === label).length)).toEqual([10, 10, 10])
    expect(files.filter((file) => train.includes(file) !== val.includes(file))).toHaveLength(120)
    expect(train).toEqual(files.filter((file) => train.includes(file)))
  })

  it('divides alike wherever the data lies, and otherwise with another seed', () => {
    const moved = files.map((file) => ({ ...file, path: file.path.replace('/data', '/elsewhere') }))
    const names = (split: readonly { path: string }[]) => split.map(({ path }) => path.split('/').at(-1))
    const { val } = splitFiles(files, options)
    expect(names(splitFiles(moved, { ...options, root: '/elsewhere' }).val)).toEqual(names(val))
    expect(names(splitFiles(files, { ...options, seed: 2 }).val)).not.toEqual(names(val))
  })

  it('keeps a group on one side', () => {
    const { train, val } = splitFiles(files, { ...options, group: /(person\d+)_/ })
    const groups = (split: readonly { path: string }[]) =>
      new Set(split.map(({ path }) => /person\d+_/.exec(path)![0]))
    expect([...groups(train)].filter((group) => groups(val).has(group))).toEqual([])
    expect(groups(val).size).toBe(3)
  })

  it('gives every class its share though groups have files of several classes', () => {
    // Each person does both things, once the one first and once the other.
    const mixed = Array.from({ length: 40 }, (_, i) => ({
      path: `/data/person${i >> 1}_${i % 2}.mp4`,
      label: (i + (i >> 1)) % 2,
    }))
    const { train, val } = splitFiles(mixed, { ...options, group: /(person\d+)_/ })
    const counts = (side: typeof mixed) =>
      [0, 1].map((label) => side.filter((file) => file.label === label).length)
    expect(counts(val)).toEqual([5, 5])
    expect(counts(train)).toEqual([15, 15])
  })

  it('never takes the last group of a class from training, whatever other classes it has', () => {
    const shared = [
      { path: '/data/a_1', label: 0 },
      { path: '/data/b_1', label: 0 },
      { path: '/data/b_2', label: 1 },
      { path: '/data/c_1', label: 2 },
      { path: '/data/b_3', label: 2 },
    ]
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const { train } = splitFiles(shared, { ...options, seed, group: /(\w)_/ })
      expect(new Set(train.map(({ label }) => label))).toEqual(new Set([0, 1, 2]))
    }
  })

  it('leaves a class of one file in training, and refuses where nothing is left over', () => {
    const few = [
      { path: '/data/a', label: 0 },
      { path: '/data/b', label: 1 },
      { path: '/data/c', label: 1 },
    ]
    expect(splitFiles(few, options).val).toHaveLength(1)
    expect(() => splitFiles(few.slice(0, 2), options)).toThrow(/every class has a single file/)
  })
})

describe('the fingerprint of a list', () => {
  it('does not depend on the order of the list, and does on every label and name', () => {
    const print = fingerprintOf(files)
    expect(fingerprintOf(files.toReversed())).toEqual(print)
    expect(print).toEqual({ files: 120, classes: 3, sha256: expect.any(String) })
    expect(fingerprintOf([{ ...files[0]!, label: 1 }, ...files.slice(1)]).sha256).not.toBe(print.sha256)
    expect(fingerprintOf(files.slice(1)).sha256).not.toBe(print.sha256)
  })
})

describe('lists with several labels', () => {
  it('are read as they were written', () => {
    const entries = [
      { path: 'a b.mp4', labels: [3, 17] },
      { path: '#ünï "x", y', labels: [] },
      { path: 'c 1;2', labels: [0] },
    ]
    expect(parseMultiLabelList(formatMultiLabelList(entries), 'list')).toEqual(entries)
  })

  it('refuse what is no label, and one that is too high, by line', () => {
    expect(() => parseMultiLabelList('# c\na.mp4 1;x\n', 'list')).toThrow(
      /^list:2: must be a path and its labels/,
    )
    expect(() => parseMultiLabelList('a.mp4\n', 'list')).toThrow(/^list:1: must be a path and its labels/)
    expect(() => parseMultiLabelList('a 1;9\n', 'list', 9)).toThrow(
      /^list:1: label 9, but there are 9 classes/,
    )
  })
})
