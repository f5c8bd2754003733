/**
 * Clips a second of whole training steps (four sub-networks forward and backward, descent) from video files, and how
 * long the engine waited for them: X3D-S, 13 frames spread over 78 at 160², batches of 8, files of 340×256 and 10 s.
 * `npm run bench -- throughput [--clips 32] [--method mutualnet] [--config configs/x3d.yml]
 * [--set KEY=VALUE]`. The figures are of the last
 * 20 steps: the first ones start decoders and compile.
 */
import { link, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { applyOverrides, loadConfig } from '../../src/config/index.ts'
import type { StepEvent } from '../../src/runs/log.ts'
import { train } from '../../src/training/train.ts'
import { renderVideos } from '../video/rendered-videos.ts'

/** As many as training averages its figures over, after those that do not count. */
const STEPS = 20 + 4

const { values: options } = parseArgs({
  options: {
    clips: { type: 'string', default: '32' },
    method: { type: 'string', default: 'mutualnet' },
    config: { type: 'string', default: 'configs/x3d.yml' },
    set: { type: 'string', multiple: true, default: ['variant=s'] },
  },
})
const folder = await mkdtemp(join(tmpdir(), 'mn-video-bench-'))
try {
  const [rendered] = await Promise.all([
    renderVideos(join(folder, 'train', 'a'), Number(options.clips), 10, 2),
    renderVideos(join(folder, 'val', 'a'), 1, 10, 1),
  ])
  // Under more names, so that an epoch is longer than what is measured: each begins with a wait.
  for (let copy = 0; copy * rendered.length < 8 * STEPS; copy++) {
    for (const [i, file] of rendered.entries()) {
      await link(file, join(folder, 'train', 'a', `copy-${copy}-${i}.mp4`))
    }
  }
  const config = applyOverrides(await loadConfig(options.config), [
    ...['dataset=folder', `dataset_dir=${folder}`, 'num_classes=1'],
    ...['batch_size=8', 'accumulate=1', 'print_freq=1', 'validate_every=0', 'num_epochs=1000'],
    `method=${options.method}`,
    ...options.set,
  ])
  const enough = new AbortController()
  let last: StepEvent | undefined
  await train(config, {
    folder: join(folder, 'run'),
    signal: enough.signal,
    onEvent: (event) => {
      if (event.event === 'start') {
        console.log(`${event.network}, ${event.method}, batch ${config.batch_size}; ${event.engine}`)
      }
      if (event.event !== 'step') return
      last = event
      if (event.step === STEPS) enough.abort()
    },
  })
  console.log(
    `${last!.samplesPerSecond.toFixed(2)} clips/s, ${(100 * last!.waitShare).toFixed(1)} % of the time waiting for data`,
  )
} finally {
  await rm(folder, { recursive: true, force: true })
}
