/**
 * Random exact clips a second: ours, a plain `ffmpeg -ss` process per clip, and (where a Python has them) PyAV and
 * decord. Every clip is 16 frames spread over 80 (stride 5), from a random file at a random frame, as training draws
 * them; every frame carries its number in its pixels, and what gives other frames than asked for is said to.
 *
 *     npm run bench -- decode
 *     MN_VIDEO_PYTHON=venv/bin/python npm run bench -- decode --clips 200 --jobs 2
 */
import { execFile, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { inParallel } from '../../src/in-parallel.ts'
import { createRandom } from '../../src/network/random.ts'
import { findBinaries } from '../../src/video/binaries.ts'
import { decodeClip } from '../../src/video/decode.ts'
import { decodeClips } from '../../src/video/decode-many.ts'
import { everyFrame } from '../../src/video/frame-index.ts'
import { cachedFrameIndex } from '../../src/video/index-cache.ts'
import { clipTimes, framesShownAt } from '../../src/video/sampling.ts'
import { shrinkVideo } from '../../src/video/shrink.ts'

const FILES = 8
const [FRAMES, STRIDE, RATE, SECONDS] = [16, 5, 30, 10]
const [WIDTH, HEIGHT, BITS] = [340, 256, 10]

interface ClipTask {
  readonly file: string
  /** The number of the clip's first frame. */
  readonly first: number
  /** The numbers of all its frames. */
  readonly wanted: readonly number[]
}

interface Result {
  readonly seconds: number
  /** Of all processes together: what counts where decoding has to share its processors with training. */
  readonly cpuSeconds: number
  readonly numbers: number[][]
}

/** Runs all tasks, so many at a time; gives the numbers that the frames of each clip show. */
type Way = (tasks: readonly ClipTask[], jobs: number) => Promise<Result>

const { values } = parseArgs({
  options: {
    clips: { type: 'string', default: '120' },
    jobs: { type: 'string', default: `${availableParallelism()}` },
  },
})
const jobs = Number(values.jobs)
const execute = promisify(execFile)
const { ffmpeg, version } = await findBinaries()
const folder = await mkdtemp(join(tmpdir(), 'mn-video-bench-'))
try {
  console.log(`${cpus()[0]?.model}, ${availableParallelism()} threads; FFmpeg ${version}; ${jobs} at a time`)
  console.log(
    `${WIDTH}x${HEIGHT}, ${RATE} frames a second, ${SECONDS} s, H.264; clips of ${FRAMES} frames spread over ${FRAMES * STRIDE}`,
  )
  const files = await render()
  const small = await Promise.all(
    files.map(async (file) => {
      const target = file.replace('.mp4', '-seek.mp4')
      await shrinkVideo(file, target, { shortSide: 256, keyframes: 30, quality: 20, cache: 'off' })
      return target
    }),
  )
  const ways: [string, Way][] = [
    ['ffmpeg -ss', plain],
    ['ours, single', ours],
    ['ours, by 8', together],
    ...(process.env.MN_VIDEO_PYTHON
      ? (['av', 'decord'] as const).map((name): [string, Way] => [
          name,
          python(process.env.MN_VIDEO_PYTHON!, name),
        ])
      : []),
  ]
  for (const [about, set] of [
    ['keyframes every 250 frames (as x264 writes them)', files],
    ['keyframes every 30 frames (as mn-video data resize writes them)', small],
  ] as const) {
    console.log(`\n${about}`)
    const random = createRandom(1)
    const tasks = Array.from({ length: Number(values.clips) }, (): ClipTask => {
      const file = set[random.integer(set.length)]!
      const first = random.integer(SECONDS * RATE - FRAMES * STRIDE)
      return { file, first, wanted: wantedFrom(first) }
    })
    for (const [name, way] of ways) {
      const result = await way(tasks, jobs).catch((error: Error) => {
        console.log(`${name.padEnd(12)} cannot run: ${error.message.trim().split('\n').at(-1)}`)
      })
      if (!result) continue
      const { numbers, seconds, cpuSeconds } = result
      const wrong = tasks.filter((task, k) => {
        return task.wanted.some((n, i) => numbers[k]?.[i] !== n)
      }).length
      const speed = `${(tasks.length / seconds).toFixed(1)} clips a second, ${((1000 * cpuSeconds) / tasks.length).toFixed(0)} ms of processor time each`
      console.log(
        `${name.padEnd(12)} ${wrong > 0 ? `WRONG FRAMES in ${wrong} of ${tasks.length} clips, ` : ''}${speed}`,
      )
    }
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}

/** The frames that are shown at the moments of a clip. */
function wantedFrom(first: number): number[] {
  const times = Array.from({ length: SECONDS * RATE }, (_, n) => n / RATE)
  const span = { frames: FRAMES, stride: STRIDE, rate: RATE }
  return framesShownAt(times, clipTimes(span, first / RATE, 1 / RATE))
}

/** Moving, noisy pictures whose upper edge shows the frame's number as ten bars. */
async function render(): Promise<string[]> {
  const files = Array.from({ length: FILES }, (_, i) => join(folder, `${i}.mp4`))
  await inParallel(files, 2, async (file, i) => {
    const picture = `mandelbrot=s=${WIDTH}x${HEIGHT}:r=${RATE}:start_scale=${i + 2},noise=alls=8:allf=t+u,format=yuv420p`
    const bars = `color=s=${BITS}x2:r=${RATE},format=gray,geq=lum='16+219*mod(floor(N/pow(2,X)),2)',scale=${WIDTH}:32:flags=neighbor,format=yuv420p`
    await execute(ffmpeg, [
      ...['-v', 'error', '-y', '-f', 'lavfi', '-i', picture, '-f', 'lavfi', '-i', bars],
      ...['-filter_complex', '[0:v][1:v]overlay=0:0,format=yuv420p', '-t', `${SECONDS}`],
      ...['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '23', file],
    ])
  })
  return files
}

async function timed(
  tasks: readonly ClipTask[],
  jobs: number,
  clip: (task: ClipTask) => Promise<Uint8Array>,
) {
  const numbers: number[][] = []
  const [started, usedBefore] = [performance.now(), cpuSecondsUsed()]
  await inParallel(tasks, jobs, async (task, k) => {
    numbers[k] = numbersIn(await clip(task))
  })
  return { seconds: (performance.now() - started) / 1000, cpuSeconds: cpuSecondsUsed() - usedBefore, numbers }
}

/** Of this process and the children that have ended, from Linux; 0 elsewhere. */
function cpuSecondsUsed(): number {
  try {
    const fields = readFileSync('/proc/self/stat', 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    // utime, stime, cutime and cstime in hundredths.
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) / 100, 0)
  } catch {
    return 0
  }
}

async function ours(tasks: readonly ClipTask[], jobs: number) {
  return timed(tasks, jobs, async ({ file, first }) => {
    const index = await cachedFrameIndex(file, { cache: 'off' })
    const times = { frames: FRAMES, stride: STRIDE, rate: RATE, start: first / RATE }
    return (await decodeClip(file, { times }, { index, threads: 1 })).data
  })
}

/** As the training loader decodes: several clips by one run of FFmpeg. */
async function together(tasks: readonly ClipTask[], jobs: number): Promise<Result> {
  const groups = Array.from({ length: Math.ceil(tasks.length / 8) }, (_, i) => tasks.slice(8 * i, 8 * i + 8))
  const numbers: number[][] = []
  const [started, usedBefore] = [performance.now(), cpuSecondsUsed()]
  await inParallel(groups, jobs, async (group, i) => {
    const clips = await decodeClips(
      await Promise.all(
        group.map(async ({ file, first }) => {
          const times = { frames: FRAMES, stride: STRIDE, rate: RATE, start: first / RATE }
          return { path: file, request: { times }, index: await cachedFrameIndex(file, { cache: 'off' }) }
        }),
      ),
    )
    for (const [k, clip] of clips.entries())
      numbers[8 * i + k] = clip instanceof Error ? [] : numbersIn(clip.data)
  })
  return { seconds: (performance.now() - started) / 1000, cpuSeconds: cpuSecondsUsed() - usedBefore, numbers }
}

/** What one writes first: seek exactly, take the frames by their numbers. */
async function plain(tasks: readonly ClipTask[], jobs: number) {
  return timed(tasks, jobs, async ({ file, first, wanted }) => {
    const numbers = wanted.map((n) => `eq(n,${n - first})`).join('+')
    const { stdout } = await execute(
      ffmpeg,
      [
        ...['-v', 'error', '-threads', '1', '-ss', (first / RATE).toFixed(6), '-i', file],
        ...['-vf', `select='${numbers}'`, ...everyFrame(version), '-frames:v', `${FRAMES}`],
        ...['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-'],
      ],
      { encoding: 'buffer', maxBuffer: 2 ** 28 },
    )
    return stdout
  })
}

function python(program: string, name: 'av' | 'decord'): Way {
  return (tasks, jobs) =>
    new Promise((resolve, reject) => {
      const script = fileURLToPath(new URL('../../../../benchmarks/video/decode-peers.py', import.meta.url))
      const child = spawn(program, [script, name, `${jobs}`], { stdio: ['pipe', 'pipe', 'pipe'] })
      let [printed, complaint] = ['', '']
      child.stdout.on('data', (piece: Buffer) => (printed += piece))
      child.stderr.on('data', (piece: Buffer) => (complaint += piece))
      child.on('error', reject)
      child.on('close', (code) => {
        if (code === 0) resolve(JSON.parse(printed))
        else reject(new Error(complaint || `exit code ${code}`))
      })
      child.stdin.end(JSON.stringify({ tasks, bits: BITS }))
    })
}

/** The numbers that the frames of a clip show along row 16. */
function numbersIn(data: Uint8Array): number[] {
  const frame = WIDTH * HEIGHT * 3
  return Array.from({ length: data.length / frame }, (_, i) => {
    let number = 0
    for (let bit = 0; bit < BITS; bit++) {
      const column = Math.floor(((bit + 0.5) * WIDTH) / BITS)
      if (data[i * frame + (16 * WIDTH + column) * 3]! > 127) number += 2 ** bit
    }
    return number
  })
}
