import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/index.ts'
import { randomAt } from '../../src/data/loading/streams.ts'
import { makeMotion } from '../../src/data/motion/make-motion.ts'
import { noiseTable, renderScene } from '../../src/data/motion/render.ts'
import {
  drawScene,
  LARGEST,
  MOTION_CLASSES,
  type MotionClass,
  placeShape,
  type Scene,
  ZOOM_RATIO,
} from '../../src/data/motion/scene.ts'
import { openDatasets } from '../../src/data/sets/dataset.ts'
import { readFrameIndex } from '../../src/video/frame-index.ts'
import { testFolder } from '../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)

const ASPECT = 4 / 3
const SECONDS = 1.3
const OPPOSITE: Readonly<Record<MotionClass, MotionClass>> = {
  move_down: 'move_up',
  move_up: 'move_down',
  move_left: 'move_right',
  move_right: 'move_left',
  turn_clockwise: 'turn_counterclockwise',
  turn_counterclockwise: 'turn_clockwise',
  zoom_in: 'zoom_out',
  zoom_out: 'zoom_in',
}

describe('a motion class', () => {
  it('is one direction of one movement, through a scene that its opposite shares', () => {
    const movements = MOTION_CLASSES.map((motion) => {
      const draw = (drawn: MotionClass) => {
        const { isBackwards, rate, ...rest } = drawScene(randomAt(7), drawn, ASPECT, SECONDS)
        const text = JSON.stringify(rest, (_, value) =>
          value instanceof Uint8Array ? createHash('md5').update(value).digest('hex') : value,
        )
        return { isBackwards, rate, text }
      }
      const { isBackwards, ...scene } = draw(motion)
      expect(draw(OPPOSITE[motion])).toEqual({ ...scene, isBackwards: !isBackwards })
      const along = Object.entries(scene.rate).filter(([, rate]) => rate !== 0)
      expect(along).toHaveLength(1)
      return `${along[0]![0]} ${isBackwards}`
    })
    expect(new Set(movements).size).toBe(8)
  })

  it('is not in what any one moment shows: at each, shapes lie, turn and vary in size alike', () => {
    const draws = 60
    const counts: number[] = []
    for (const motion of MOTION_CLASSES) {
      const scenes = Array.from({ length: draws }, (_, seed) =>
        drawScene(randomAt(seed, 99), motion, ASPECT, SECONDS),
      )
      for (const time of [0, 0.5, SECONDS]) {
        const seen = scenes.flatMap((scene) =>
          scene.shapes.flatMap((shape, i) => {
            const { x, y, angle, radius } = placeShape(scene, shape, time)
            const zoom = 1 + Math.log(radius / LARGEST) / Math.log(ZOOM_RATIO)
            const isSeen = zoom >= 0 && zoom <= 1 && x >= 0 && x < ASPECT && y >= 0 && y < 1
            return isSeen ? [{ x, y, angle, zoom, depth: (i + 0.5) / scene.shapes.length }] : []
          }),
        )
        counts.push(seen.length)
        const smaller = (zoom: number) => 1 - ZOOM_RATIO ** (-2 * zoom)
        const shares = {
          x: seen.map(({ x }) => x / ASPECT),
          y: seen.map(({ y }) => y),
          angle: seen.map(({ angle }) => angle - Math.floor(angle)),
          zoom: seen.map(({ zoom }) => smaller(zoom) / smaller(1)),
          depth: seen.map(({ depth }) => depth),
          depthOfLarge: seen.filter(({ zoom }) => zoom > 0.5).map(({ depth }) => depth),
        }
        // Kolmogorov and Smirnov's distance from uniform; 2.3 / √n is exceeded once in twenty thousand samples.
        for (const values of Object.values(shares)) {
          expect(distanceFromUniform(values)).toBeLessThan(2.3 / Math.sqrt(values.length))
        }
      }
    }
    const mean = counts.reduce((sum, count) => sum + count) / counts.length
    expect(mean / draws).toBeGreaterThan(20)
    for (const count of counts) expect(Math.abs(count - mean)).toBeLessThan(3.5 * Math.sqrt(mean))
  })

  it('played backwards is the opposite one, frame by frame', () => {
    const size = { width: 40, height: 30 }
    const times = [0, 0.4, 0.9, SECONDS]
    for (const motion of MOTION_CLASSES) {
      const scene = drawScene(randomAt(5), motion, ASPECT, SECONDS)
      const opposite = drawScene(randomAt(5), OPPOSITE[motion], ASPECT, SECONDS)
      const backwards = renderScene(shakingBackwards(opposite), size, times)
      const forwards = renderScene(
        scene,
        size,
        times.map((time) => SECONDS - time),
      )
      const largest = forwards.reduce((most, value, i) => Math.max(most, Math.abs(value - backwards[i]!)), 0)
      expect(largest).toBeLessThanOrEqual(1)
    }
  })

  it('cannot be told from one frame by a linear model of its pixels', () => {
    const size = { width: 16, height: 12 }
    const table = noiseTable(randomAt(3))
    const draw = (from: number, perClass: number) =>
      MOTION_CLASSES.flatMap((motion, label) =>
        Array.from({ length: perClass }, (_, i) => {
          const random = randomAt(11, from + i, label)
          const pixels = renderScene(drawScene(random, motion, ASPECT, SECONDS), size, [0.6], {
            table,
            random,
          })
          return { label, values: Float64Array.from(pixels, (value) => value / 255 - 0.5) }
        }),
      )
    const [training, testing] = [draw(0, 40), draw(1000, 40)]
    const weights = train(training, size.width * size.height * 3)
    const right = testing.filter(({ label, values }) => classOf(weights, values) === label).length
    // Chance is 40 of 320, its standard deviation 5.9.
    expect(right).toBeLessThan(40 + 3.5 * 5.9)
    expect(training.filter(({ label, values }) => classOf(weights, values) === label).length).toBeGreaterThan(
      200,
    )
  })
})

describe('the motion data set', () => {
  const options = { clips: 16, validation: 8, size: { width: 32, height: 24 }, frames: 12 }

  it('is H.264 files that lists and class folders open alike', async () => {
    const progress: string[] = []
    const out = folder.path('100% motion')
    const made = await makeMotion({
      ...options,
      out,
      onProgress: (done, total) => progress.push(`${done}/${total}`),
    })
    expect(made).toEqual({ out, classes: MOTION_CLASSES, training: 16, validation: 8 })
    expect(progress).toEqual(Array.from({ length: 24 }, (_, i) => `${i + 1}/24`))
    const config = (rest: string) => parseConfig(`model: x3d\nnum_classes: 8\n${rest}`, folder.path('c.yml'))
    const lists = await openDatasets(config(`dataset: folder\ndataset_dir: "${out}"`))
    expect([lists.train.size, lists.val.size, lists.train.classes]).toEqual([16, 8, MOTION_CLASSES])
    expect([lists.train.name(3), lists.train.label(3)]).toEqual([`${out}/train/move_left/0002.mp4`, 1])
    for (const path of [lists.train.name(0), lists.train.name(15), lists.val.name(7)]) {
      const { info, times, keyframes } = await readFrameIndex(path)
      expect(info).toMatchObject({ codec: 'h264', width: 32, height: 24, frameRate: 30, startTime: 0 })
      expect([times.length, keyframes]).toEqual([12, [0]])
    }
  })

  it('follows from its seed', async () => {
    const file = async (name: string, seed: number) => {
      await makeMotion({ ...options, out: folder.path(name), seed })
      return readFile(folder.path(`${name}/train/zoom_in/0002.mp4`))
    }
    const [first, again, other] = [await file('a', 1), await file('b', 1), await file('c', 2)]
    expect(again).toEqual(first)
    expect(other).not.toEqual(first)
    expect(await readdir(folder.path('a'))).toEqual(['classes.txt', 'train', 'train.csv', 'val', 'val.csv'])
  })

  it.each([
    [{ clips: 0 }, 'clips of the motion data set must be a whole number from 1, not 0.'],
    [{ size: { width: 33, height: 24 } }, 'must be even numbers from 16, such as 96x72, not 33x24.'],
  ])('cannot be of %j', async (wrong, message) => {
    await expect(makeMotion({ ...options, ...wrong, out: folder.path('d') })).rejects.toThrow(message)
  })

  it('can be interrupted', async () => {
    const control = new AbortController()
    const onProgress = () => control.abort(new Error('interrupted'))
    const making = makeMotion({ ...options, out: folder.path('e'), signal: control.signal, onProgress })
    await expect(making).rejects.toThrow('interrupted')
  })
})

/** A scene past which the camera shakes from the end to the beginning. */
const shakingBackwards = (scene: Scene): Scene => ({
  ...scene,
  shakes: scene.shakes.map((shake) => ({
    ...shake,
    frequency: -shake.frequency,
    phase: shake.phase + shake.frequency * scene.seconds,
  })),
})

function distanceFromUniform(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted.reduce(
    (most, value, i) =>
      Math.max(most, Math.abs(value - i / sorted.length), Math.abs(value - (i + 1) / sorted.length)),
    0,
  )
}

interface Example {
  readonly label: number
  readonly values: Float64Array
}

/** Softmax regression, 30 passes of stochastic gradient descent: weights and a bias per class. */
function train(examples: readonly Example[], length: number): Float64Array[] {
  const weights = MOTION_CLASSES.map(() => new Float64Array(length + 1))
  const random = randomAt(1)
  for (let step = 0; step < 30 * examples.length; step++) {
    const { label, values } = examples[random.integer(examples.length)]!
    const scores = scoresOf(weights, values)
    const highest = Math.max(...scores)
    const shares = scores.map((score) => Math.exp(score - highest))
    const sum = shares.reduce((a, b) => a + b)
    for (const [k, row] of weights.entries()) {
      const error = 0.02 * (shares[k]! / sum - (k === label ? 1 : 0))
      for (let i = 0; i < length; i++) row[i]! -= error * values[i]!
      row[length]! -= error
    }
  }
  return weights
}

const scoresOf = (weights: readonly Float64Array[], values: Float64Array): number[] =>
  weights.map((row) => values.reduce((sum, value, i) => sum + value * row[i]!, row[values.length]!))

function classOf(weights: readonly Float64Array[], values: Float64Array): number {
  const scores = scoresOf(weights, values)
  return scores.indexOf(Math.max(...scores))
}
