/**
 * A server under more than it can do: X3D-M with MutualNet's published query table (fresh weights: its answers mean nothing,
 * its costs are those of trained ones), requests that come at random at 1, 2 and 4 times the rate that the full
 * configuration can keep up with, from clients that do not wait for each other. With switching, and with the same server
 * without: goodput (answers within the deadline), the accuracy that they have by the table, times, refusals.
 *
 * `npm run bench -- serve [--seconds 60] [--deadline 2000] [--views 5x1] [--rates 1,2,4]`
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createRandom } from '../../src/network/random.ts'
import type { ClassifyAnswer, ModelsAnswer } from '../../src/server/api.ts'
import { makePublishedRun } from '../streaming/published-run.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    deadline: { type: 'string', default: '2000' },
    views: { type: 'string', default: '5x1' },
    rates: { type: 'string', default: '1,2,4' },
  },
})
const [seconds, deadline] = [Number(values.seconds), Number(values.deadline)]
const rates = values.rates.split(',').map(Number)
const MAIN = fileURLToPath(new URL('../../../../dist/cli/main.js', import.meta.url))
/** What a client waits for, beyond which an answer is of no use to anyone. */
const GIVEN_UP_MS = 60_000

const folder = mkdtempSync(join(tmpdir(), 'mn-video-serve-bench-'))
const children: ChildProcess[] = []
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})
await makePublishedRun(join(folder, 'run'))
const file = join(folder, 'clip.mp4')
const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=30:duration=10']
execFileSync('ffmpeg', ['-loglevel', 'error', ...picture, '-pix_fmt', 'yuv420p', '-crf', '28', file])
const bytes = readFileSync(file) as Buffer<ArrayBuffer>

const first = await start([])
const { models } = (await (await fetch(new URL('/v1/models', first.url))).json()) as ModelsAnswer
const { engine, frontier } = models[0]!
const full = frontier.at(-1)!
console.log(
  `${engine}; X3D-M, ${values.views} views of a clip of ${(bytes.length / 1e3).toFixed(0)} kB, deadline ${deadline} ms`,
)
for (const { width, frames, size, latency_ms, top1 } of frontier)
  console.log(
    `  ${width} × ${frames} × ${size}: ${latency_ms?.toFixed(1)} ms a view alone, ${(100 * (top1 ?? 0)).toFixed(1)} %`,
  )
await capacityOf(first.url, 5)
const capacity = await capacityOf(first.url, 20)
console.log(
  `the full configuration, 4 clients one request after the other: ${capacity.toFixed(2)} requests a second`,
)
await stop(first)

for (const rate of rates) {
  for (const [name, flags] of [
    ['switching', []],
    ['fixed', ['--no-switching']],
  ] as const) {
    const server = await start(flags)
    await load(server.url, capacity, 8, 7)
    report(`${rate}× ${name}`, await load(server.url, rate * capacity, seconds, 1))
    await stop(server)
  }
}

interface Server {
  readonly child: ChildProcess
  readonly url: string
}

async function start(flags: readonly string[]): Promise<Server> {
  const args = [MAIN, 'serve', join(folder, 'run'), '--port', '0', '--deadline', String(deadline), ...flags]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const url = await new Promise<string>((settle) => {
    child.stdout.on('data', (piece) => {
      const found = /serving on (\S+)/.exec(String(piece))?.[1]
      if (found) settle(found)
    })
  })
  return { child, url }
}

async function stop({ child }: Server): Promise<void> {
  const ended = new Promise((settle) => child.once('close', settle))
  child.kill('SIGTERM')
  await ended
}

interface Outcome {
  readonly status: number
  readonly milliseconds: number
  readonly answer?: ClassifyAnswer
}

async function ask(url: string, more: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const begun = performance.now()
  const query = new URLSearchParams({ views: values.views, ...more })
  try {
    const response = await fetch(new URL(`/v1/classify?${query}`, url), {
      method: 'POST',
      headers: { 'content-type': 'video/mp4' },
      body: bytes,
      signal: AbortSignal.timeout(GIVEN_UP_MS),
    })
    const json: unknown = await response.json()
    const milliseconds = performance.now() - begun
    const isAnswer = response.status === 200
    return { status: response.status, milliseconds, ...(isAnswer && { answer: json as ClassifyAnswer }) }
  } catch {
    return { status: 0, milliseconds: performance.now() - begun }
  }
}

/** Requests a second of the full configuration, where four clients always have one under way. */
async function capacityOf(url: string, seconds: number): Promise<number> {
  const { width, frames, size } = full
  const exact = { width: String(width), frames: String(frames), size: String(size), deadline_ms: '3600000' }
  const begun = performance.now()
  let done = 0
  const client = async () => {
    while (performance.now() - begun < 1000 * seconds) if ((await ask(url, exact)).answer) done++
  }
  await Promise.all([client(), client(), client(), client()])
  return done / ((performance.now() - begun) / 1000)
}

/** Requests that come at random, as many in the mean as the rate says. */
async function load(url: string, rate: number, seconds: number, seed: number): Promise<Outcome[]> {
  const random = createRandom(seed)
  const begun = performance.now()
  const all: Promise<Outcome>[] = []
  for (let due = 0; due < seconds; due += -Math.log(1 - random.uniform()) / rate) {
    const wait = begun + 1000 * due - performance.now()
    if (wait > 0) await new Promise((go) => setTimeout(go, wait))
    all.push(ask(url))
  }
  return Promise.all(all)
}

function report(name: string, outcomes: readonly Outcome[]): void {
  const answered = outcomes.filter(({ answer }) => answer)
  const inTime = answered.filter(({ milliseconds }) => milliseconds <= deadline)
  const times = answered.map(({ milliseconds }) => milliseconds).sort((a, b) => a - b)
  const at = (share: number) => times[Math.floor(share * (times.length - 1))]?.toFixed(0) ?? '-'
  const accuracy =
    answered.reduce((sum, { answer }) => sum + (answer!.configuration.top1 ?? 0), 0) / answered.length
  const refused = outcomes.filter(({ status }) => status === 503).length
  const failed = outcomes.length - answered.length - refused
  const used = new Map<string, number>()
  for (const { answer } of answered) {
    const { width, frames, size } = answer!.configuration
    const key = `${width}×${frames}×${size}`
    used.set(key, (used.get(key) ?? 0) + 1)
  }
  const shares = [...used]
    .sort((a, b) => b[1] - a[1])
    .map(([key, n]) => `${key} ${((100 * n) / answered.length).toFixed(0)} %`)
  console.log(
    `${name.padEnd(13)} ${outcomes.length} requests: in time ${inTime.length} (${(inTime.length / seconds).toFixed(2)}/s), late ${answered.length - inTime.length}, refused ${refused}, failed ${failed}; ` +
      `mean top-1 ${(100 * accuracy).toFixed(2)} %; p50 ${at(0.5)}, p99 ${at(0.99)} ms`,
  )
  console.log(`              ${shares.join(', ')}`)
}
