/**
 * The score of a video over several views, put together by hand: one plain decoding of the whole file, each view's
 * frames picked and cropped by whole-number arithmetic, run alone, and the softmaxes averaged.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, it } from 'vitest'
import { openEngine } from '../../src/engines/index.ts'
import { classify } from '../../src/inference/classify.ts'
import { loadModel } from '../../src/inference/model.ts'
import { resolve } from '../../src/network/resolve.ts'
import { initialStatistics } from '../../src/network/store.ts'
import { writeRun } from '../../src/runs/create-run.ts'
import { readRun } from '../../src/runs/run-folder.ts'
import { renderClip } from '../support/render.ts'
import { makeRun, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

const folder = await temporaryFolder()
const run = join(folder, 'run')

interface Film {
  readonly title: string
  readonly fps: number
  readonly size: string
  /** Its pictures scaled to a short side of 24. */
  readonly scaled: { readonly width: number; readonly height: number }
  /** The frames of the video that each of three temporal views shows. */
  readonly frames: readonly (readonly number[])[]
  /** [left, top] of each crop of 24². */
  readonly crops: readonly (readonly [number, number])[]
}

// Two seconds. A clip is 4 frames at a stride of 2 of 30 a second, 8/30 s, so that three views start at 0, 26/30 and
// 52/30 s. Of 30 a second its frames are trunc(linspace(0, 7, 4)) = 0, 2, 4, 7, of 15 trunc(linspace(0, 3, 4)) = 0, 1, 2, 3;
// of these 4, 3 are numbers trunc(linspace(0, 3, 3)) = 0, 1, 3.
const FILMS: readonly Film[] = [
  {
    title: 'a landscape film',
    fps: 30,
    size: '98x64',
    // 98 · 24 / 64 = 36.75; there is room for 12 pixels.
    scaled: { width: 36, height: 24 },
    frames: [
      [0, 2, 7],
      [26, 28, 33],
      [52, 54, 59],
    ],
    crops: [
      [0, 0],
      [6, 0],
      [12, 0],
    ],
  },
  {
    title: 'an upright film at half the frame rate',
    fps: 15,
    size: '64x100',
    // 100 · 24 / 64 = 37.5; of 13 pixels of room the larger half lies above.
    scaled: { width: 24, height: 37 },
    frames: [
      [0, 1, 3],
      [13, 14, 16],
      [26, 27, 29],
    ],
    crops: [
      [0, 0],
      [0, 7],
      [0, 13],
    ],
  },
]
const CONFIGURATION = { width: 0.63, frames: 3, size: 24 } as const

beforeAll(async () => {
  const made = await makeRun(join(folder, 'made'), `${SMALL_X3D}zero_init_final_bn: false\n`)
  // Fresh networks find all classes alike, and then any mean of views is like another.
  const classifier = made.weights.values.get('blocks.5.proj.weight')!
  classifier.forEach((weight, i) => {
    classifier[i] = 400 * weight
  })
  await writeRun(run, made)
})

/** All frames of a film as rgb24, by one call of FFmpeg. */
async function decodeWhole(path: string, { scaled: { width, height } }: Film): Promise<Buffer> {
  const { stdout } = await promisify(execFile)(
    'ffmpeg',
    [
      ...['-v', 'error', '-i', path, '-fps_mode', 'passthrough'],
      ...['-vf', `scale=${width}:${height}:flags=bilinear`, '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-'],
    ],
    { encoding: 'buffer', maxBuffer: 2 ** 26 },
  )
  return stdout
}

function cropped(whole: Buffer, { scaled }: Film, frames: readonly number[], [left, top]: readonly number[]) {
  const { size } = CONFIGURATION
  const bytes: number[] = []
  for (const frame of frames)
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++)
        for (let c = 0; c < 3; c++)
          bytes.push(whole[((frame * scaled.height + top! + y) * scaled.width + left! + x) * 3 + c]!)
  return Uint8Array.from(bytes)
}

it.each(FILMS)('3x3 views of $title are the mean of nine views run alone', async (film) => {
  const path = await renderClip(join(folder, `${film.fps}.mp4`), {
    ...{ seconds: 2, fps: film.fps, size: film.size },
    filters: 'noise=alls=80:allf=t:all_seed=7',
  })
  const whole = await decodeWhole(path, film)
  expect(whole.length).toBe(2 * film.fps * film.scaled.width * film.scaled.height * 3)

  const { network, weights, config } = await readRun(run)
  const engine = await openEngine()
  const subNetwork = resolve(network, CONFIGURATION)
  const { mean, std } = config
  const plan = await engine.compile(subNetwork, weights, {
    normalisation: { mean, std },
    statistics: initialStatistics(subNetwork),
  })
  const each: Float32Array[] = []
  for (const frames of film.frames) {
    for (const crop of film.crops) {
      const data = cropped(whole, film, frames, crop)
      const { scores } = await plan.run({ clip: { data, batch: 1, frames: 3, height: 24, width: 24 } })
      each.push(scores.slice())
    }
  }
  plan.dispose()
  const byHand = Array.from(each[0]!, (_, k) => each.reduce((sum, scores) => sum + scores[k]!, 0) / 9)
  // Views that agreed would prove little.
  expect(Math.max(...each.map((scores) => Math.abs(scores[0]! - byHand[0]!)))).toBeGreaterThan(0.01)

  const model = await loadModel(run)
  const options = { budget: CONFIGURATION, views: { temporal: 3, spatial: 3 } } as const
  const { scores, ranking } = await classify(model, path, options)
  model.dispose()
  byHand.forEach((score, k) => {
    expect(Math.abs(scores[k]! - score)).toBeLessThan(1e-5)
  })
  expect(ranking[0]!.index).toBe(byHand.indexOf(Math.max(...byHand)))
})
