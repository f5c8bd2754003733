/** The names of classes go from folders or lists into the run, and with it wherever classes are named. */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { mnVideo } from '../support/cli.ts'
import { temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()
const at = (...names: string[]) => join(folder, ...names)
const run = (...args: string[]) => mnVideo(args, { cwd: folder })

const CONFIG = `
model: wideresnet
dataset: folder
dataset_dir: set
depth: 10
widen_factor: 1
image_size: 16
width_mult_range: [0.5, 1.0]
width_mult_list: [1.0]
resolution_list: [16]
num_epochs: 1
batch_size: 4
lr: 0.05
calibration_batches: 1
`

const COLOURS = { 'bright red': '#f00', green: '#0f0', ultramarine: '#00f' }
const NAMES = Object.keys(COLOURS)

beforeAll(async () => {
  for (const split of ['train', 'val']) {
    for (const [name, background] of Object.entries(COLOURS)) {
      await mkdir(at('set', split, name), { recursive: true })
      const picture = sharp({ create: { width: 16, height: 16, channels: 3, background } })
      for (const number of split === 'train' ? [1, 2, 3, 4] : [1, 2]) {
        await picture.png().toFile(at('set', split, name, `${number}.png`))
      }
    }
  }
  await writeFile(at('set/train/green/notes.txt'), 'not a picture')
  await writeFile(at('c.yml'), CONFIG)
  await writeFile(at('recipe.yml'), `${CONFIG}num_classes: 3\nlabels: imagenet1k\n`)
}, 60_000)

const labelsIn = async (onnx: string): Promise<unknown> => {
  const text = (await readFile(at(onnx))).toString('latin1')
  return JSON.parse(/\["(?:bright red|class 0)".*?\]/.exec(text)?.[0] ?? 'null')
}

const namesOf = async (name: string): Promise<string[]> => {
  const { stdout } = await run(
    'eval',
    '--image',
    'set/val/green/1.png',
    '--model',
    name,
    '--width',
    '1',
    '--json',
  )
  const [{ top }] = JSON.parse(stdout) as [{ top: { index: number; label: string }[] }]
  return top.toSorted((a, b) => a.index - b.index).map(({ label }) => label)
}

describe('class names', { timeout: 120_000 }, () => {
  it('of folders, and their number, go with the run to eval, export and curve', async () => {
    const { code, stdout } = await run('train', 'c.yml', '--out', 'run')
    expect([code, stdout]).toEqual([0, expect.stringContaining('12 training and 6 validation samples')])
    expect(stdout).toContain('passed over: 1 .txt (no video or picture that can be read, such as ')
    expect(await readFile(at('run/config.yml'), 'utf8')).toMatch(/^num_classes: 3 /m)
    expect(await readFile(at('run/classes.txt'), 'utf8')).toBe(`${NAMES.join('\n')}\n`)
    expect(await namesOf('run')).toEqual(NAMES)
    expect((await run('export', 'run', '--onnx', 'run.onnx')).code).toBe(0)
    expect(await labelsIn('run.onnx')).toEqual(NAMES)
    expect((await run('test', 'run')).code).toBe(0)
    expect((await run('curve', 'run')).code).toBe(0)
    expect(await readFile(at('run/classes.csv'), 'utf8')).toContain('1,green,2,')
  })

  it('are taken from the data where a list of the program has another number of names', async () => {
    const trained = await run('train', 'recipe.yml', '--out', 'recipe')
    expect(trained.code).toBe(0)
    expect(await namesOf('recipe')).toEqual(NAMES)
    // Without names in the data they are numbers, which is said at the start.
    await mkdir(at('lists'), { recursive: true })
    const list = NAMES.map((name, label) => `"../set/val/${name}/1.png" ${label}\n`).join('')
    await writeFile(at('lists/train.csv'), list)
    await writeFile(at('lists/val.csv'), list)
    const listed = await run('train', 'recipe.yml', '--set', 'dataset_dir=lists', '--out', 'listed')
    expect(listed).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('labels: imagenet1k has another'),
    })
    expect(await namesOf('listed')).toEqual(['class 0', 'class 1', 'class 2'])
    await writeFile(at('lists/classes.txt'), 'r\ng\nu\n')
    expect((await run('train', 'c.yml', '--set', 'dataset_dir=lists', '--out', 'named')).code).toBe(0)
    expect(await namesOf('named')).toEqual(['r', 'g', 'u'])
  })

  it('in a file that has another number are refused before training', async () => {
    await writeFile(at('two.txt'), 'a\nb\n')
    const { code, stderr } = await run('train', 'c.yml', '--set', 'labels=two.txt', '--out', 'two')
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('two.txt: has 2 class names, but the model has 3 classes'),
    ])
    await writeFile(at('three.txt'), 'a\nb\nc\n')
    expect((await run('init', 'c.yml', '--set', 'labels=three.txt', '--out', 'three')).code).toBe(0)
    expect(await namesOf('three')).toEqual(['a', 'b', 'c'])
    // The run has its own copy.
    await rm(at('three.txt'))
    expect(await namesOf('three')).toEqual(['a', 'b', 'c'])
  })

  it('are given to a run from before that has none, and compared with those of one that has', async () => {
    await cp(at('run'), at('old'), { recursive: true })
    await rm(at('old/classes.txt'))
    expect(await namesOf('old')).toEqual(['class 0', 'class 1', 'class 2'])
    expect((await run('test', 'old')).code).toBe(0)
    expect(await namesOf('old')).toEqual(NAMES)
    await cp(at('set'), at('other'), { recursive: true })
    await writeFile(at('other/classes.txt'), `${NAMES.toReversed().join('\n')}\n`)
    expect(await run('test', 'old', '--set', 'dataset_dir=other')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('its class 0 is "ultramarine", but that of old is "bright red"'),
    })
  })
})
