/** Films looked through in one pass: real files, decoded by FFmpeg. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { clipSpan, hasWholeInput, testPicture } from '../../../src/data/loading/test-clips.ts'
import { toInputs } from '../../../src/frames/inputs.ts'
import { subsampleFrames } from '../../../src/frames/subsample.ts'
import { loadModel, type Model } from '../../../src/inference/model.ts'
import type { WindowScores } from '../../../src/inference/streaming/span-finder.ts'
import { findSpans } from '../../../src/inference/streaming/spans.ts'
import { clipFrames } from '../../../src/network/graph.ts'
import type { TableEntry } from '../../../src/runs/query-table.ts'
import { decodeClip } from '../../../src/video/decode.ts'
import { readFrameIndex } from '../../../src/video/frame-index.ts'
import { clipTimes, sourceTiming } from '../../../src/video/sampling.ts'
import { renderClip } from '../../support/render.ts'
import { makeRun, SMALL_SLOWFAST, SMALL_X3D, temporaryFolder } from '../../support/small-run.ts'

/** The scores of one clip as `classify` has them: decoded by itself, at its own times. */
async function scoresAt(model: Model, file: string, entry: TableEntry, start: number): Promise<Float32Array> {
  const { network, config } = model
  const { frame } = sourceTiming(await readFrameIndex(file))
  const all = clipTimes(clipSpan(network, config), start, frame)
  const take = hasWholeInput(network) ? undefined : subsampleFrames(clipFrames(network), entry.frames)
  const { side, ...picture } = testPicture(network, config, entry.size)
  const times = take ? take.map((position) => all[position]!) : all
  const clip = await decodeClip(file, { ...picture, times, crop: { size: side, position: 'centre' } })
  return (await model.run(entry, toInputs(network, entry, { ...clip, batch: 1 }))).scores
}

async function open(text: string) {
  const folder = await temporaryFolder()
  await makeRun(join(folder, 'run'), text)
  return { folder, model: await loadModel(join(folder, 'run')) }
}

/** Ten seconds with a picture that moves, whose frames tell themselves apart. */
const film = (path: string, rendering: Parameters<typeof renderClip>[1] = {}) =>
  renderClip(path, { seconds: 4, size: '64x48', ...rendering })

describe('a window of a film', () => {
  it.each([
    ['X3D, all frames', SMALL_X3D, {}, {}],
    ['X3D, narrower, fewer frames, smaller', SMALL_X3D, { width: 0.63, frames: 2, size: 24 }, {}],
    ['SlowFast', SMALL_SLOWFAST, {}, {}],
    [
      'a variable frame rate',
      SMALL_X3D,
      {},
      {
        filters: "setpts='PTS+0.4*sin(N)/30/TB'",
        output: ['-c:v', 'libx264', '-bf', '2', '-pix_fmt', 'yuv420p'],
      },
    ],
    ['Matroska at 24000/1001', SMALL_X3D, {}, { fps: '24000/1001' }],
  ] as const)(
    'has the scores of the same clip by itself, bit for bit: %s',
    async (title, text, budget, rendering) => {
      const { folder, model } = await open(text)
      const file = await film(join(folder, title.startsWith('Matroska') ? 'film.mkv' : 'film.mp4'), rendering)
      const windows: WindowScores[] = []
      const found = await findSpans(model, file, {
        budget,
        stride: 0.37,
        onWindow: (window) => windows.push(window),
      })
      expect(windows.length).toBe(found.windows)
      expect(windows.length).toBeGreaterThan(8)
      for (const { start, scores } of windows.filter((_, i) => i % 3 === 0 || i === windows.length - 1)) {
        expect(scores).toEqual(await scoresAt(model, file, found.configuration, start))
      }
      model.dispose()
    },
  )
})

describe('a film', () => {
  it('shorter than a clip is one window', async () => {
    const { folder, model } = await open(SMALL_X3D)
    const file = await film(join(folder, 'short.mp4'), { seconds: 0.1 })
    expect(await findSpans(model, file, { minScore: 0.01, minLength: 0 })).toMatchObject({ windows: 1 })
    model.dispose()
  })

  it('is left when the signal comes, and nothing runs on', async () => {
    const { folder, model } = await open(SMALL_X3D)
    const file = await film(join(folder, 'film.mp4'), { seconds: 20 })
    const stop = new AbortController()
    const looking = findSpans(model, file, { signal: stop.signal, onWindow: () => stop.abort() })
    await expect(looking).rejects.toMatchObject({ code: 'cancelled' })
    model.dispose()
  })

  it.each([
    [{ stride: 0 }, 'stride must be seconds above 0, not 0.'],
    [{ minScore: 2 }, 'minScore must be above 0 and at most 1, not 2.'],
    [{ background: 'nothing' }, 'background: there is no class "nothing". The first are class 0, class 1'],
    [{ strid: 1 } as object, 'options of findSpans: there is no "strid". Did you mean "stride"?'],
  ])('is not looked through with %j', async (options, message) => {
    const { folder, model } = await open(SMALL_X3D)
    const file = await film(join(folder, 'film.mp4'), { seconds: 1 })
    await expect(findSpans(model, file, options)).rejects.toThrow(message)
    model.dispose()
  })
})
