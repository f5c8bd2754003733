/** `import` and `export` from the outside, on a checkpoint that the test itself writes. */
import { cp, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { findRuntime } from '../../src/checkpoints/onnx/runtime.ts'
import { readSafetensors } from '../../src/checkpoints/safetensors.ts'
import { parseConfig } from '../../src/config/index.ts'
import { buildNetwork } from '../../src/models/index.ts'
import { resolve } from '../../src/network/resolve.ts'
import { digestOf } from '../../src/runs/query-table.ts'
import { mnVideo } from '../support/cli.ts'
import { renderClip } from '../support/render.ts'
import { SMALL_X3D, temporaryFolder } from '../support/small-run.ts'
import { checkpointOf, torchState } from '../support/torch-state.ts'
import { Call, Global, pickle } from '../support/torch-writer.ts'

const folder = await temporaryFolder()
const at = (...names: string[]) => join(folder, ...names)
const run = (...args: string[]) => mnVideo(args, { cwd: folder })
const state = torchState(buildNetwork(parseConfig(SMALL_X3D, 'small.yml')))
const runtime = await findRuntime()

beforeAll(async () => {
  await writeFile(at('small.yml'), `${SMALL_X3D}labels: names.txt\n`)
  await writeFile(at('seven.yml'), SMALL_X3D.replace('num_classes: 5', 'num_classes: 7'))
  await writeFile(at('names.txt'), 'archery\nbowling\nclapping\ndancing\neating\n')
  await writeFile(at('model.pyth'), checkpointOf(state))
  await renderClip(at('clip.mp4'))
  const made = await run('import', 'model.pyth', '--config', 'small.yml', '--out', 'runs/x3d', '--strict')
  expect(made).toMatchObject({ code: 0, stderr: '' })
  expect(made.stdout).toMatch(
    /^file +model\.pyth: torch zip, model_state, \d+ tensors\nnames +PyTorchVideo, read as X3D\n/,
  )
  expect(made.stdout).toMatch(
    /missing +none\nunexpected +none\nreshaped +none\nhead +kept: 5 classes\nstatistics +width 1, 4 × 32²\n/,
  )
  expect(made.stdout).toMatch(
    /ready at width 1 at [\d.]+ MFLOPs\. Other widths, frames and sizes need calibration/,
  )
})

describe('mn-video import', () => {
  it('makes a run that answers with the names of its classes, at the configuration it has statistics for', async () => {
    const { code, stdout } = await run('eval', '--clip', 'clip.mp4', '--gflops', '1')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^model {3}runs\/x3d: X3D, 5 classes\n/)
    expect(stdout).toMatch(/chosen {2}width 1, frames 4, size 32/)
    expect(stdout).toMatch(/% {2}(?:archery|bowling|clapping|dancing|eating)$/m)
  })

  it('asks for calibration at other widths', async () => {
    const { code, stderr } = await run('eval', '--clip', 'clip.mp4', '--width', '0.63')
    expect(code).toBe(1)
    expect(stderr).toMatch(/width 0\.63, frames 4, size 32 has no batch-norm statistics of its own/)
  })

  it('names the published configuration that calibration would let a budget buy', async () => {
    const configuration = { width: 0.63, frames: 4, size: 32 }
    const { macs, params } = resolve(buildNetwork(parseConfig(SMALL_X3D, 'small.yml')), configuration)
    await cp(at('runs/x3d'), at('published'), { recursive: true })
    const table = JSON.parse(await readFile(at('published/query-table.json'), 'utf8'))
    table.entries.unshift({ ...configuration, macs, params, top1: 0.656, source: 'published' })
    await writeFile(at('published/query-table.json'), JSON.stringify({ ...table, digest: digestOf(table) }))
    const { code, stdout } = await run('eval', '--clip', 'clip.mp4', '--gflops', '1', '--model', 'published')
    expect(code).toBe(0)
    expect(stdout).toMatch(/chosen {2}width 1, frames 4, size 32: [\d.]+ MFLOPs per clip\n/)
    expect(stdout).toMatch(
      /note {4}width 0\.63, frames 4, size 32: [\d.]+ MFLOPs, 65\.60 % top-1 published, once it is calibrated: mn-video test published --widths 0\.63 --frames 4 --sizes 32\n/,
    )
  })

  it('writes nothing on a dry run', async () => {
    const { code, stdout } = await run(
      'import',
      'model.pyth',
      '--config',
      'small.yml',
      '--out',
      'dry',
      '--dry-run',
    )
    expect(code).toBe(0)
    expect(stdout).toMatch(/Dry run: nothing was written\.\n$/)
    expect(await readdir(folder)).not.toContain('dry')
  })

  it('says that a classifier of other classes is fresh, and that the run is a start for training', async () => {
    const { stdout } = await run('import', 'model.pyth', '--config', 'seven.yml', '--out', 'seven')
    expect(stdout).toMatch(/head +FRESH: the file's has 5 classes, the configuration 7\n/)
    expect(stdout).toMatch(/seven: X3D, partly fresh weights: a start for training/)
    const table = JSON.parse(await readFile(at('seven', 'query-table.json'), 'utf8'))
    expect(table.trained).toBe(false)
    expect(table.entries.filter((entry: object) => 'statistics' in entry)).toEqual([
      expect.objectContaining({ width: 1, frames: 4, size: 32, statistics: 'bn/1-4-32.safetensors' }),
    ])
    expect((await run('eval', '--clip', 'clip.mp4', '--model', 'seven')).stdout).toMatch(/UNTRAINED/)
  })

  it('runs nothing that a file asks for', async () => {
    const call = new Call(new Global('posix', 'system'), ['touch was-run'])
    await writeFile(at('evil.pth'), pickle(new Map([['state_dict', call]])))
    const { code, stderr } = await run('import', 'evil.pth', '--config', 'small.yml', '--out', 'evil')
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^mn-video: evil\.pth: its pickle names "posix\.system", which is not something that weights/,
    )
    expect(await readdir(folder)).not.toContain('was-run')
  })

  it.each([
    [
      ['model.pyth', '--config', 'resnet50'],
      'its names are those of PyTorchVideo (X3D, Slow and SlowFast), but the configuration is ResNet-50',
    ],
    [['model.pyth', '--config', 'slow'], 'weights do not fit Slow R50|of the weights of Slow R50'],
    [['nothing.pyth', '--config', 'small.yml'], 'nothing.pyth: no such file.'],
    [['model.pyth', '--config', 'seven.yml', '--head', 'keep'], 'the classifier cannot be kept'],
    [['clip.mp4', '--config', 'small.yml'], 'is neither safetensors nor anything torch.save'],
  ])('says what is wrong with %j', async (args, message) => {
    const { code, stderr } = await run('import', ...args, '--out', 'never')
    expect(code).toBe(1)
    expect(
      message.split('|').some((part) => stderr.includes(part)),
      stderr,
    ).toBe(true)
    expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(3)
  })
})

describe('mn-video export', () => {
  it('writes the full configuration as ONNX, with labels and preprocessing, and checks it', async () => {
    const { code, stdout, stderr } = await run('export', 'runs/x3d', '--onnx', 'x3d.onnx')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^runs\/x3d: X3D, width 1, frames 4, size 32: [\d.]+ MFLOPs, [\d,]+ parameters\n/)
    expect(stdout).toMatch(/x3d\.onnx: ONNX, operator set 17, [\d.]+ MB\n/)
    expect(stdout).toMatch(
      runtime ? /differ from the engine's by at most [\d.]+e-\d+ of/ : /not checked: npm install/,
    )
    const text = (await readFile(at('x3d.onnx'))).toString('latin1')
    expect(text).toContain('["archery","bowling","clapping","dancing","eating"]')
    expect(text).toContain('"mean":[0.45,0.45,0.45],"std":[0.225,0.225,0.225],"short_side":')
    expect(text).toContain('"clip":{"frames":4,"stride":2,"frames_per_second":30}')
    expect(text).toContain('"inputs":{"clip":{"frames":4,"height":32,"width":32,"clip_frames":[0,1,2,3]}}')
  })

  it('writes a narrower configuration with its own weights alone', async () => {
    await run('init', 'small.yml', '--out', 'fresh')
    await run('export', 'fresh', '--onnx', 'wide.onnx')
    const narrow = ['--width', '0.63', '--frames', '2', '--size', '24']
    expect((await run('export', 'fresh', '--onnx', 'narrow.onnx', ...narrow)).stdout).toMatch(
      /width 0\.63, frames 2, size 24: .* parameters — UNTRAINED weights\n/,
    )
    const [wide, small] = await Promise.all([stat(at('wide.onnx')), stat(at('narrow.onnx'))])
    expect(small.size).toBeLessThan(0.8 * wide.size)
  })

  it('gives back, under PyTorch’s names and layouts, what was imported', async () => {
    await run('export', 'runs/x3d', '--torch-names', 'back.safetensors')
    const { tensors } = await readSafetensors(at('back.safetensors'))
    for (const [name, { shape, values }] of state) {
      expect(tensors.get(name), name).toEqual({ dtype: 'F32', shape, data: values })
    }
    const counters = [...tensors.keys()].filter((name) => !state.has(name))
    expect(counters.every((name) => name.endsWith('.num_batches_tracked'))).toBe(true)
    const again = await run(
      'import',
      'back.safetensors',
      '--config',
      'small.yml',
      '--out',
      'again',
      '--strict',
    )
    expect(again).toMatchObject({ code: 0 })
    const weights = (name: string) => readFile(at(name, 'model.safetensors'))
    expect((await weights('again')).equals(await weights('runs/x3d'))).toBe(true)
  })

  it('writes our own layouts with what they are in the metadata, and imports them as what they are', async () => {
    await run('export', 'runs/x3d', '--safetensors', 'own.safetensors')
    const { metadata, tensors } = await readSafetensors(at('own.safetensors'))
    expect(metadata).toMatchObject({
      layout: 'channels last',
      network: 'X3D',
      configuration: '{"width":1,"frames":4,"size":32}',
    })
    expect(tensors.get('blocks.0.conv.conv_t.weight')!.shape).toEqual([1, 3, 3, 3, 16])
    for (const [file, out, strict] of [
      ['own.safetensors', 'own', ['--strict']],
      ['runs/x3d/model.safetensors', 'own-weights', []],
    ] as const) {
      const imported = await run('import', file, '--config', 'small.yml', '--out', out, ...strict)
      expect(imported).toMatchObject({ code: 0, stderr: '' })
      const weights = (name: string) => readFile(at(name, 'model.safetensors'))
      expect((await weights(out)).equals(await weights('runs/x3d'))).toBe(true)
    }
  })

  it.each([
    [['runs/x3d'], 2, 'nothing to write. Give --onnx FILE'],
    [['runs/x3d', '--onnx', 'a.onnx', '--opset', '9'], 2, '--opset must be from 13 to 19, not 9.'],
    [['runs/x3d', '--onnx', 'a.onnx', '--gflops', '1', '--width', '1'], 2, 'give one of --gflops'],
    [['runs/x3d', '--onnx', 'a.onnx', '--width', '0.63'], 1, 'has no batch-norm statistics of its own'],
    [['runs/x3d', '--onnx', 'a.onnx', '--mflops', '0.001'], 1, 'nothing fits mflops 0.001'],
    [['nothing', '--onnx', 'a.onnx'], 1, 'nothing: is not a run'],
    [['runs/x3d', '--onnx', 'no/such/folder/a.onnx'], 1, 'no/such/folder/a.onnx: cannot be written'],
  ])('says what is wrong with %j', async (args, code, message) => {
    const result = await run('export', ...args)
    expect(result.code).toBe(code)
    expect(result.stderr).toContain(message)
  })
})
