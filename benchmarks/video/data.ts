/**
 * How fast training clips come out of the loader, beside FFmpeg decoding the same files to nothing; in turn, with as
 * many processes at a time. `npm run bench -- data [--clips 24] [--workers 2] [--repeats 3] [--seconds 10]`.
 *
 * FFmpeg decodes whole files, the loader clips of 13 frames spread over 78 (2.6 s, X3D-S at 160²) out of pictures of
 * 340×256, scaled, cropped and turned to RGB, at two speeds: the first epoch, which lists each file's frames first,
 * and later ones, which remember. Files of 3 s are hardly longer than a clip: then both decode about the same frames.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { parseConfig } from '../../src/config/index.ts'
import { openTrainingLoader } from '../../src/data/loading/loader.ts'
import { openDataset } from '../../src/data/sets/dataset.ts'
import { buildNetwork } from '../../src/models/index.ts'
import { findBinaries } from '../../src/video/binaries.ts'
import { ffmpegOnEach, renderVideos } from './rendered-videos.ts'

const { values: options } = parseArgs({
  options: {
    clips: { type: 'string', default: '24' },
    workers: { type: 'string', default: '2' },
    repeats: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '10' },
  },
})
const [clips, workers, repeats] = [options.clips, options.workers, options.repeats].map(Number) as [
  number,
  number,
  number,
]
const { version } = await findBinaries()
const folder = await mkdtemp(join(tmpdir(), 'mn-video-bench-'))
try {
  const files = await renderVideos(join(folder, 'train/a'), clips, Number(options.seconds), workers)
  const config = parseConfig(
    `model: x3d\nvariant: s\ndataset: folder\nnum_classes: 1\nbatch_size: 8\ndata_loader_workers: ${workers}\ndataset_dir: ${JSON.stringify(folder)}`,
    'bench.yml',
  )
  const dataset = await openDataset(config, 'train')
  const network = buildNetwork(config)
  const speeds = { ffmpeg: [] as number[], first: [] as number[], later: [] as number[] }
  for (let i = 0; i < repeats; i++) {
    speeds.ffmpeg.push(await perSecond(() => decodeToNull(files)))
    const loader = openTrainingLoader(dataset, network, config)
    for (const speed of [speeds.first, speeds.later]) {
      speed.push(
        await perSecond(async () => {
          for await (const _ of loader.epoch(i));
          if (loader.bad.size > 0) throw new Error(`${loader.bad.size} files cannot be read`)
        }),
      )
    }
  }
  const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!
  const base = median(speeds.ffmpeg)
  console.log(
    `FFmpeg ${version}; ${clips} files of ${options.seconds} s, ${workers} at a time; median of ${repeats}`,
  )
  console.log(`ffmpeg, whole files to null   ${base.toFixed(1)} files/s`)
  for (const [title, values] of [
    ['loader, first epoch', speeds.first],
    ['loader, later epochs', speeds.later],
  ] as const) {
    console.log(
      `${title.padEnd(29)} ${median(values).toFixed(1)} clips/s (${((100 * median(values)) / base).toFixed(0)} %)`,
    )
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function perSecond(work: () => Promise<void>): Promise<number> {
  const started = performance.now()
  await work()
  return (1000 * clips) / (performance.now() - started)
}

function decodeToNull(files: readonly string[]): Promise<void> {
  return ffmpegOnEach(files, workers, (file) => ['-threads', '1', '-i', file, '-f', 'null', '-'])
}
