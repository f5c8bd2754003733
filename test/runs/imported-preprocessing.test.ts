/**
 * A clip from a file to scores, against PyTorch: imported weights see what the project that they come from would have
 * shown them.
 */
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { applyOverrides, type Config, parseConfig } from '../../src/config/index.ts'
import { classify } from '../../src/inference/classify.ts'
import { loadModel } from '../../src/inference/model.ts'
import { buildNetwork } from '../../src/models/index.ts'
import { writeRun } from '../../src/runs/create-run.ts'
import { importRun } from '../../src/runs/import-run.ts'
import { readRun } from '../../src/runs/run-folder.ts'
import { SMALL_X3D, temporaryFolder } from '../support/small-run.ts'
import { checkpointOf, type State, torchState } from '../support/torch-state.ts'

const folder = await temporaryFolder()
const recipe = SMALL_X3D.replace('frame_stride: 2', 'frame_stride: 4')
const config = parseConfig(recipe, 'small.yml')

/** The checkpoint that the goldens were computed from: torchState's, its filters scaled by their inputs as fresh ones are. */
function checkpoint(): Buffer {
  const scaled = ({ shape, values }: State): State => {
    const inputs = shape.slice(1).reduce((product, side) => product * side, 1)
    return {
      shape,
      values: shape.length > 1 ? values.map((value) => value * Math.sqrt(100 / inputs)) : values,
    }
  }
  const state = [...torchState(buildNetwork(config))].map(([name, each]) => [name, scaled(each)] as const)
  return checkpointOf(new Map(state))
}

/** Sizes that are reduced and enlarged, upright and not, with odd room beside the crop; and rates. */
const SHAPES = [
  { width: 91, height: 64, fps: 30 },
  { width: 40, height: 63, fps: 25 },
  { width: 50, height: 30, fps: 30 },
  { width: 117, height: 97, fps: 60 },
  { width: 64, height: 36, fps: 10 },
] as const
const FRAMES = 50

/** Pixel (x, y) of a clip's frame f: stripes and checks that move. */
const pixel = (clip: number, x: number, y: number, f: number, c: number): number =>
  (x * (3 + clip) +
    y * (5 + ((2 * clip) % 7)) +
    f * (7 + clip) +
    c * 60 +
    ((x >> 2) ^ (y >> 2) ^ (f >> 1)) * 37) &
  255

/** Renders a clip without loss, so that every FFmpeg gives its very pixels. */
function render(clip: number): string {
  const { width, height, fps } = SHAPES[clip % SHAPES.length]!
  const data = Uint8Array.from({ length: FRAMES * height * width * 3 }, (_, i) => {
    const at = Math.floor(i / 3)
    return pixel(clip, at % width, Math.floor(at / width) % height, Math.floor(at / width / height), i % 3)
  })
  const path = join(folder, `${clip}.mkv`)
  const raw = [
    '-f',
    'rawvideo',
    '-pix_fmt',
    'rgb24',
    '-s',
    `${width}x${height}`,
    '-r',
    `${fps}`,
    '-i',
    'pipe:0',
  ]
  execFileSync('ffmpeg', ['-v', 'error', '-y', ...raw, '-c:v', 'ffv1', '-pix_fmt', 'bgr0', `file:${path}`], {
    input: data,
  })
  return path
}

/**
 * Scores by PyTorch 2.15 and PyTorchVideo 0.1.5 in double precision, of the same pixels and checkpoint: create_x3d(…,
 * head_activation=None) on clips of linspace(s, s + n - 1, 4).long() with n = 16 / 30 · fps and s = (50 - n) / 2,
 * (x / 255 - .45) / .225, interpolate(short side 36, 'bilinear', align_corners=False), CenterCrop(32), softmax.
 */
const GOLDEN = [
  [0.0784, 0.10469, 0.40995, 0.30101, 0.10595],
  [0.06297, 0.11419, 0.41577, 0.31549, 0.09158],
  [0.07301, 0.15066, 0.40112, 0.27322, 0.102],
  [0.06784, 0.07083, 0.63498, 0.15371, 0.07264],
  [0.05634, 0.11355, 0.36997, 0.38063, 0.07951],
  [0.06033, 0.11658, 0.39609, 0.36033, 0.06668],
  [0.07502, 0.14907, 0.40573, 0.27748, 0.09269],
  [0.07263, 0.13624, 0.4313, 0.27704, 0.08279],
  [0.09143, 0.1011, 0.46755, 0.20992, 0.13001],
  [0.05048, 0.11706, 0.45802, 0.30029, 0.07415],
]

const largest = (scores: Float32Array, golden: readonly number[]): number =>
  Math.max(...golden.map((value, k) => Math.abs(value - scores[k]!)))

async function importedRun(name: string, with_: Config): Promise<string> {
  const file = join(folder, 'model.pyth')
  await writeFile(file, checkpoint())
  const run = join(folder, name)
  await writeRun(run, await importRun(file, with_))
  return run
}

describe('imported weights', () => {
  it('score clips in files as PyTorch does on the transforms of PyTorchVideo', async () => {
    const run = await importedRun('imported', config)
    expect((await readRun(run)).config.scaling).toBe('bilinear')
    const model = await loadModel(run)
    for (const [clip, golden] of GOLDEN.entries()) {
      const { scores, ranking } = await classify(model, render(clip))
      expect(ranking[0]!.index).toBe(golden.indexOf(Math.max(...golden)))
      expect(largest(scores, golden)).toBeLessThan(0.005)
    }
    model.dispose()
  })

  it('would score them otherwise with another scaling', async () => {
    const run = await importedRun('otherwise', config)
    const { config: imported, weights, table, network } = await readRun(run)
    const other = applyOverrides(imported, ['scaling=antialiased'])
    expect(network.classes).toBe(5)
    const statistics = (await importRun(join(folder, 'model.pyth'), config)).statistics
    await writeRun(join(folder, 'antialiased'), {
      config: other,
      weights,
      table,
      ...(statistics && { statistics }),
    })
    const model = await loadModel(join(folder, 'antialiased'))
    expect(largest((await classify(model, render(3))).scores, GOLDEN[3]!)).toBeGreaterThan(0.05)
    model.dispose()
  })
})
