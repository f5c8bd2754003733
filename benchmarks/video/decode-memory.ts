/**
 * Watches resident memory, open files and FFmpeg processes over thousands of random clips, decoded as the training
 * loader does: none may grow. `npm run bench -- decode-memory [--clips 5000] [--videos 40]`. Linux.
 */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { createFrameIndexes } from '../../src/data/loading/frame-indexes.ts'
import { inParallel } from '../../src/in-parallel.ts'
import { createRandom } from '../../src/network/random.ts'
import { findBinaries } from '../../src/video/binaries.ts'
import { decodeClips } from '../../src/video/decode-many.ts'

const { values } = parseArgs({
  options: { clips: { type: 'string', default: '5000' }, videos: { type: 'string', default: '40' } },
})
const [total, videos] = [Number(values.clips), Number(values.videos)]
const [AT_ONCE, TOGETHER] = [2, 8]
const folder = await mkdtemp(join(tmpdir(), 'mn-video-bench-'))
try {
  const { ffmpeg } = await findBinaries()
  const files = Array.from({ length: videos }, (_, i) => join(folder, `${i}.${i % 4 === 3 ? 'mkv' : 'mp4'}`))
  for (const file of files) {
    const picture = 'testsrc2=s=170x128:r=30:d=3'
    const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '30', '-pix_fmt', 'yuv420p']
    await promisify(execFile)(ffmpeg, ['-v', 'error', '-f', 'lavfi', '-i', picture, ...encode, file])
  }
  process.env.MN_VIDEO_CACHE = join(folder, 'cache')
  const indexes = createFrameIndexes()
  const random = createRandom(1)
  const groups = Array.from({ length: Math.ceil(total / TOGETHER) }, (_, i) => i)
  let [done, mostChildren] = [0, 0]
  console.log('clips   RSS MiB   open files   most FFmpeg processes')
  await inParallel(groups, AT_ONCE, async () => {
    const jobs = await Promise.all(
      Array.from({ length: TOGETHER }, async () => {
        const path = files[random.integer(files.length)]!
        const index = await indexes.of(path, {})
        const times = { frames: 8, stride: 2, start: random.uniform() * 2 }
        return {
          path,
          index,
          request: { times, shortSide: 128, crop: { size: 112, position: 'centre' as const } },
        }
      }),
    )
    const decoding = decodeClips(jobs)
    mostChildren = Math.max(mostChildren, childrenNow())
    for (const clip of await decoding) if (clip instanceof Error) throw clip
    done += TOGETHER
    if (done % Math.ceil(total / 10) < TOGETHER) {
      const rss = (process.memoryUsage.rss() / 2 ** 20).toFixed(0)
      console.log(
        `${String(done).padStart(5)} ${rss.padStart(9)} ${String(readdirSync('/proc/self/fd').length).padStart(12)} ${String(mostChildren).padStart(23)}`,
      )
    }
  })
} finally {
  await rm(folder, { recursive: true, force: true })
}

/** Processes that this one has started and that have not ended, the shell that stands by to end them among them. */
function childrenNow(): number {
  return readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
    .length
}
