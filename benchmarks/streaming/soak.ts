/**
 * Whether watching goes on: a stream over HTTP whose FFmpeg is killed again and again. Resident memory and file descriptors
 * must not grow, every loss is found again, and no gap is longer than the backoff and the start of FFmpeg.
 *
 * `npm run bench -- soak [--kills 200] [--seconds 2.5]`
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { parseConfig } from '../../src/config/index.ts'
import { loadModel } from '../../src/inference/model.ts'
import { watch } from '../../src/inference/streaming/watch.ts'
import { buildNetwork, freshWeights } from '../../src/models/index.ts'
import { writeRun } from '../../src/runs/create-run.ts'
import { untrainedTable } from '../../src/runs/query-table.ts'

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '200' }, seconds: { type: 'string', default: '2.5' } },
})
const [kills, seconds] = [Number(values.kills), Number(values.seconds)]

const folder = mkdtempSync(join(tmpdir(), 'mn-video-soak-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const config = parseConfig(
  'model: x3d\ndepth_factor: 0.4\nwidth_factor: 1\nhead_features: 64\nframes: 4\nframe_stride: 2\nimage_size: 64\nnum_classes: 5',
  'soak.yml',
)
const network = buildNetwork(config)
await writeRun(join(folder, 'run'), {
  config,
  weights: freshWeights(network, config),
  table: untrainedTable(network, {
    widths: config.width_mult_list,
    frames: config.frames_list,
    sizes: config.resolution_list,
  }),
})
const film = join(folder, 'film.ts')
execFileSync('ffmpeg', [
  ...['-loglevel', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=160x120:rate=30:duration=10', '-g', '15'],
  ...['-pix_fmt', 'yuv420p', '-f', 'mpegts', film],
])
const server = createServer((_, response) => {
  const sender = spawn('ffmpeg', [
    ...[
      '-loglevel',
      'error',
      '-re',
      '-stream_loop',
      '-1',
      '-i',
      film,
      '-c',
      'copy',
      '-f',
      'mpegts',
      'pipe:1',
    ],
  ])
  sender.stdout.pipe(response)
  response.on('close', () => sender.kill('SIGKILL'))
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/live.ts`

const model = await loadModel(join(folder, 'run'))
await model.measureLatencies()
const stop = new AbortController()
const killing = setInterval(() => {
  for (const pid of ffmpegsOf(url)) process.kill(pid, 'SIGKILL')
}, 1000 * seconds)

let [answers, skipped, lost, found, longest, last] = [0, 0, 0, 0, 0, performance.now()]
const marks: { readonly rss: number; readonly descriptors: number }[] = []
const started = performance.now()
for await (const event of watch(model, url, { deadline: 200, every: 200, signal: stop.signal })) {
  if (event.event === 'answer') {
    answers++
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  } else if (event.event === 'skipped') skipped++
  else if (event.event === 'lost') lost++
  else if (event.event === 'found') {
    found++
    marks.push({ rss: process.memoryUsage().rss / 2 ** 20, descriptors: readdirSync('/proc/self/fd').length })
    if (found >= kills) stop.abort()
  }
}
clearInterval(killing)
server.closeAllConnections()
server.close()
model.dispose()

const mean = (part: typeof marks, key: 'rss' | 'descriptors') =>
  part.reduce((sum, mark) => sum + mark[key], 0) / part.length
const [early, late] = [marks.slice(kills / 10, (2 * kills) / 10), marks.slice((-1 * kills) / 10)]
console.log(
  `${((performance.now() - started) / 60_000).toFixed(1)} minutes, FFmpeg killed ${lost} times, found again ${found} times`,
)
console.log(`${answers} answers, ${skipped} skipped, longest time without one ${longest.toFixed(0)} ms`)
console.log(
  `resident ${mean(early, 'rss').toFixed(1)} MiB after a tenth, ${mean(late, 'rss').toFixed(1)} MiB in the last; file descriptors ${mean(early, 'descriptors').toFixed(1)} and ${mean(late, 'descriptors').toFixed(1)}`,
)

/** The decoders of a source among all processes. */
function ffmpegsOf(source: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const [program, ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
        return program!.endsWith('ffmpeg') && args.includes(source)
      } catch {
        return false
      }
    })
    .map(Number)
}
