/**
 * Whether a deadline holds while other work comes and goes: a film in real time, X3D-M with MutualNet's published query table
 * (fresh weights: its answers mean nothing, its costs are those of trained ones), and two busy processes in the middle third.
 * Adaptive against the largest and the smallest configuration: deadline hits, mean published accuracy, switches.
 *
 * `npm run bench -- deadline [--minutes 10] [--deadline 150] [--every 200] [--load 2]`
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { loadModel } from '../../src/inference/model.ts'
import { type WatchOptions, watch } from '../../src/inference/streaming/watch.ts'
import { configurationKey } from '../../src/network/resolve.ts'
import { makePublishedRun } from './published-run.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    deadline: { type: 'string', default: '150' },
    every: { type: 'string', default: '200' },
    load: { type: 'string', default: '2' },
  },
})
const [minutes, deadline, every, load] = [values.minutes, values.deadline, values.every, values.load].map(
  Number,
) as [number, number, number, number]

const folder = mkdtempSync(join(tmpdir(), 'mn-video-deadline-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const entries = await makePublishedRun(join(folder, 'run'))
const film = join(folder, 'film.mp4')
const short = join(folder, 'short.mp4')
const ffmpeg = (...args: string[]) => execFileSync('ffmpeg', ['-loglevel', 'error', '-y', ...args])
ffmpeg(
  '-f',
  'lavfi',
  '-i',
  'testsrc2=size=320x240:rate=30:duration=10',
  '-g',
  '60',
  '-pix_fmt',
  'yuv420p',
  short,
)
ffmpeg('-stream_loop', String(Math.ceil(minutes * 6) - 1), '-i', short, '-c', 'copy', film)

const model = await loadModel(join(folder, 'run'))
await model.measureLatencies()
const timed = [...entries].sort((a, b) => a.macs - b.macs)
const [smallest, largest] = [timed[0]!, timed.at(-1)!]
const median = (entry: typeof smallest) => model.latencyOf(entry)!.median
console.log(
  `${model.engine.description}; X3D-M, ${entries.length} configurations: ${median(smallest).toFixed(1)} to ${median(largest).toFixed(1)} ms alone`,
)
console.log(
  `an answer every ${every} ms within ${deadline} ms, ${minutes} minutes each, ${load} busy processes in the middle third`,
)

const exactly = ({ width, frames, size }: typeof smallest) => ({ budget: { width, frames, size } })
await measure('adaptive', {})
await measure('largest', exactly(largest))
await measure('smallest', exactly(smallest))
model.dispose()

async function measure(name: string, cost: Pick<WatchOptions, 'budget'>): Promise<void> {
  const busy: ChildProcess[] = []
  const third = (minutes * 60_000) / 3
  const start = setTimeout(() => {
    for (let i = 0; i < load; i++) busy.push(spawn(process.execPath, ['-e', 'for(;;);'], { stdio: 'ignore' }))
  }, third)
  const end = setTimeout(() => {
    for (const each of busy) each.kill('SIGKILL')
  }, 2 * third)
  const accuracy = new Map(entries.map((entry) => [configurationKey(entry), entry.top1!]))
  const used = new Map<string, number>()
  let [answers, inTime, skipped, switches, sum] = [0, 0, 0, 0, 0]
  const latencies: number[] = []
  for await (const event of watch(model, film, { ...cost, deadline, every })) {
    if (event.event === 'skipped') skipped++
    if (event.event === 'switch') switches++
    if (event.event !== 'answer') continue
    answers++
    if (event.inTime) inTime++
    latencies.push(event.latencyMs)
    const key = configurationKey(event.configuration)
    sum += accuracy.get(key)!
    used.set(key, (used.get(key) ?? 0) + 1)
  }
  clearTimeout(start)
  clearTimeout(end)
  for (const each of busy) each.kill('SIGKILL')
  latencies.sort((a, b) => a - b)
  const at = (share: number) => latencies[Math.floor(share * (latencies.length - 1))]?.toFixed(0)
  const due = answers + skipped
  console.log(
    `${name.padEnd(9)} hits ${((100 * inTime) / due).toFixed(2)} % of ${due} due (${skipped} skipped), mean top-1 ${((100 * sum) / answers).toFixed(2)} %, ${switches} switches, latency median ${at(0.5)}, 99 % ${at(0.99)} ms`,
  )
  const shares = [...used]
    .sort((a, b) => b[1] - a[1])
    .map(([key, count]) => `${key} ${((100 * count) / answers).toFixed(0)} %`)
  console.log(`          ${shares.join(', ')}`)
}
