/** Sources that go on, from real servers: HTTP by Node, MPEG-TS over UDP by FFmpeg, frames on a pipe. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createReadStream, existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadModel, type Model } from '../../../src/inference/model.ts'
import { findSpans } from '../../../src/inference/streaming/spans.ts'
import { type WatchEvent, type WatchOptions, watch } from '../../../src/inference/streaming/watch.ts'
import { ffmpeg, renderClip } from '../../support/render.ts'
import { makeRun, SMALL_MOBILENET, SMALL_X3D, temporaryFolder } from '../../support/small-run.ts'

let folder: string
let model: Model
let film: string
/** The same as an endless format. */
let transport: string
const closing: (() => void)[] = []

beforeAll(async () => {
  folder = await temporaryFolder()
  await makeRun(join(folder, 'run'), SMALL_X3D)
  model = await loadModel(join(folder, 'run'))
  film = await renderClip(join(folder, 'film.mp4'), { seconds: 3, size: '64x48' })
  transport = join(folder, 'film.ts')
  // With keyframes as cameras have them.
  await ffmpeg('-i', film, '-c:v', 'libx264', '-g', '15', '-bf', '0', '-f', 'mpegts', transport)
})
afterAll(() => {
  for (const close of closing) close()
  model?.dispose()
})

/** Events until enough came, or the source ended. */
async function collect(
  source: string,
  options: WatchOptions,
  isEnough: (events: readonly WatchEvent[]) => boolean = () => false,
): Promise<WatchEvent[]> {
  const events: WatchEvent[] = []
  for await (const event of watch(model, source, options)) {
    events.push(event)
    if (isEnough(events)) break
  }
  return events
}
const answersIn = (events: readonly WatchEvent[]) =>
  events.flatMap((event) => (event.event === 'answer' ? [event] : []))
const kinds = (events: readonly WatchEvent[]) => new Set(events.map(({ event }) => event))

/** Programs that were given a file, where the system tells. */
function processesOf(file: string): string[] {
  if (!existsSync('/proc/self/cmdline')) return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(file)
      } catch {
        return false
      }
    })
}

async function serve(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function start(...args: string[]): ChildProcess {
  const child = spawn('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-nostdin', ...args], {
    stdio: 'ignore',
  })
  closing.push(() => child.kill('SIGKILL'))
  return child
}

const fixed = { budget: { width: 0.63, frames: 2, size: 24 }, every: 200 } as const

describe('a file', () => {
  it('watched as fast as it goes has the answers and the spans of `findSpans`', async () => {
    const thresholds = { minScore: 0.19, minLength: 0.1 }
    const scores: Float32Array[] = []
    const { spans } = await findSpans(model, film, {
      ...{ budget: fixed.budget, stride: 0.2, ...thresholds },
      onWindow: (window) => scores.push(window.scores),
    })
    const events = await collect(film, { ...fixed, ...thresholds, fast: true, spans: true })
    expect(answersIn(events).map((answer) => answer.scores)).toEqual(scores)
    const told = events.flatMap((event) => (event.event === 'span' ? [event] : []))
    expect(told.length).toBeGreaterThan(0)
    expect(told.map(({ event: _, ...span }) => span)).toEqual(spans)
    expect(kinds(events)).toEqual(new Set(['answer', 'span']))
  })

  it('takes its own time otherwise, and its answers come when they are due', async () => {
    const started = performance.now()
    const events = await collect(film, { ...fixed, deadline: 5000 })
    expect(performance.now() - started).toBeGreaterThan(2000)
    const answers = answersIn(events)
    expect(answers.length + events.filter(({ event }) => event === 'skipped').length).toBe(15)
    for (const answer of answers) expect(answer).toMatchObject({ inTime: true, index: expect.any(Number) })
  })
})

describe('a stream', () => {
  it('over HTTP is watched to its end, and found again', async () => {
    let requests = 0
    const url = await serve((_, response) => {
      requests++
      createReadStream(transport).pipe(response)
    })
    const events = await collect(`${url}/live.ts`, fixed, (all) => all.some(({ event }) => event === 'found'))
    expect(requests).toBe(2)
    expect(answersIn(events).length).toBeGreaterThan(0)
    expect(events.find(({ event }) => event === 'lost')).toMatchObject({ seconds: 0.5 })
  })

  it('over UDP is watched as it comes', async () => {
    const socket = createSocket('udp4')
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    const { port } = socket.address()
    socket.close()
    const sender = start(
      ...['-re', '-stream_loop', '-1', '-i', transport, '-c', 'copy', '-f', 'mpegts'],
      `udp://127.0.0.1:${port}?pkt_size=1316`,
    )
    const events = await collect(`udp://127.0.0.1:${port}`, fixed, (all) => answersIn(all).length >= 5)
    sender.kill('SIGKILL')
    const answers = answersIn(events)
    // Each of a window after the one before it.
    answers.slice(1).forEach(({ start }, i) => {
      expect(start).toBeGreaterThan(answers[i]!.start)
    })
  })

  it('on standard input may be any container, or frames', async () => {
    expect(
      answersIn(await collect('-', { ...fixed, stdin: createReadStream(transport) })).length,
    ).toBeGreaterThan(0)
    const frames = new PassThrough()
    for (let i = 0; i < 60; i++) frames.write(Buffer.alloc(32 * 24 * 3, i))
    frames.end()
    const raw = { width: 32, height: 24, rate: 30 }
    const answers = answersIn(await collect('-', { ...fixed, raw, stdin: frames }))
    expect(answers.length).toBeGreaterThan(0)
    expect(answers.at(-1)!.end).toBeLessThanOrEqual(2.1)
  })

  it('goes on where its size and its rate change midway', async () => {
    const other = await renderClip(join(folder, 'other.mp4'), { seconds: 2, size: '48x64', fps: 15 })
    const parts = join(folder, 'parts.ts')
    await ffmpeg('-i', other, '-c', 'copy', '-f', 'mpegts', join(folder, 'other.ts'))
    await ffmpeg('-i', `concat:${transport}|${join(folder, 'other.ts')}`, '-c', 'copy', '-f', 'mpegts', parts)
    const events = await collect('-', { ...fixed, stdin: createReadStream(parts) })
    expect(answersIn(events).at(-1)!.end).toBeGreaterThan(4)
  })

  it('goes on where its times jump, and says so', async () => {
    const late = join(folder, 'late.ts')
    await ffmpeg('-i', film, '-c', 'copy', '-output_ts_offset', '3600', '-f', 'mpegts', late)
    const both = new PassThrough()
    createReadStream(transport)
      .on('end', () => createReadStream(late).pipe(both))
      .pipe(both, { end: false })
    const events = await collect('-', { ...fixed, stdin: both })
    expect(events.filter(({ event }) => event === 'jump')).toHaveLength(1)
    expect(answersIn(events).at(-1)!.end).toBeGreaterThan(4.5)
    expect(answersIn(events).at(-1)!.end).toBeLessThan(7)
  })

  it('that hangs is taken for lost, and found again', async () => {
    let requests = 0
    const url = await serve((_, response) => {
      requests++
      // All of it, and then nothing.
      createReadStream(transport).pipe(response, { end: requests > 1 })
    })
    const events = await collect(`${url}/live.ts`, { ...fixed, patience: 3 }, (all) =>
      all.some(({ event }) => event === 'found'),
    )
    expect(events.find(({ event }) => event === 'lost')).toMatchObject({
      reason: 'no frame came for 3 s',
    })
  })
})

/** Debian's gir1.2-gst-rtsp-server-1.0 with python3-gi and GStreamer's good plug-ins; skipped, and counted, without. */
const RTSP = `
import gi
gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0')
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer(); server.set_address('127.0.0.1'); server.set_service('0')
factory = GstRtspServer.RTSPMediaFactory(); factory.set_shared(True)
factory.set_launch('( videotestsrc is-live=true ! video/x-raw,format=I420,width=64,height=48,framerate=30/1 ! jpegenc ! rtpjpegpay name=pay0 )')
server.get_mount_points().add_factory('/live', factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
`
/** The system's, which Debian's packages are for. */
const PYTHON = '/usr/bin/python3'
const hasRtspServer =
  spawnSync(PYTHON, ['-c', RTSP.slice(0, RTSP.indexOf('Gst.init'))], { stdio: 'ignore' }).status === 0

describe('a camera over RTSP', () => {
  it.skipIf(!hasRtspServer)('is watched, lost and found again', async () => {
    const serve = async (port = '') => {
      const script = port ? RTSP.replace("set_service('0')", `set_service('${port}')`) : RTSP
      const server = spawn(PYTHON, ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] })
      closing.push(() => server.kill('SIGKILL'))
      const [line] = await once(server.stdout, 'data')
      return { server, port: String(line).trim() }
    }
    const first = await serve()
    let isRestarted = false
    const events = await collect(`rtsp://127.0.0.1:${first.port}/live`, { ...fixed, patience: 2 }, (all) => {
      if (!isRestarted && answersIn(all).length >= 3) {
        isRestarted = true
        first.server.kill('SIGKILL')
        once(first.server, 'close').then(() => serve(first.port))
      }
      return all.some(({ event }) => event === 'found')
    })
    expect(answersIn(events).length).toBeGreaterThanOrEqual(3)
    expect(events.some(({ event }) => event === 'lost')).toBe(true)
  })
})

describe('what cannot be watched is one line', () => {
  it.each([
    ['ftp://host/file', 'ftp://host/file: is no URL of a stream. Give one of rtsp, rtsps, rtmp'],
    ['http://', 'http://: is no URL of a stream.'],
    ['missing.mp4', 'missing.mp4: no such file. A source is a file, - for standard input, a device'],
    ['/dev/video97', '/dev/video97: cannot be watched: '],
    ['http://127.0.0.1:9/x.ts', 'http://127.0.0.1:9/x.ts: cannot be watched: '],
  ])('%s', async (source, message) => {
    const watching = collect(source, fixed)
    await expect(watching).rejects.toThrow(message)
    await expect(collect(source, fixed)).rejects.toMatchObject({ message: expect.not.stringContaining('\n') })
  })

  it('a server that refuses, without its password', async () => {
    const url = await serve((_, response) => {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
    })
    const watching = collect(url.replace('//', '//user:secret@'), fixed)
    await expect(watching).rejects.toThrow(/cannot be watched: .*401/)
    await expect(collect(url.replace('//', '//user:secret@'), fixed)).rejects.not.toThrow(/secret/)
  })

  it('sound without a picture, and what is no video', async () => {
    const sound = join(folder, 'sound.ts')
    await ffmpeg('-f', 'lavfi', '-i', 'sine=duration=1', '-f', 'mpegts', sound)
    await expect(collect('-', { ...fixed, stdin: createReadStream(sound) })).rejects.toThrow(
      /^-: no frame came: /,
    )
    const text = new PassThrough()
    text.end('not a video')
    await expect(collect('-', { ...fixed, stdin: text })).rejects.toThrow(/^-: no frame came: /)
  })

  it('a playlist that names a file of ours', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/vnd.apple.mpegurl' })
      response.end(`#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://${transport}\n#EXT-X-ENDLIST\n`)
    })
    await expect(collect(`${url}/list.m3u8`, { ...fixed, patience: 3 })).rejects.toThrow(/cannot be watched/)
  })

  it('options that cannot be', async () => {
    const refused = async (options: WatchOptions, message: string) =>
      await expect(collect(film, options)).rejects.toThrow(message)
    await refused({ deadline: 0 }, 'deadline must be milliseconds of at least 1, not 0.')
    await refused({ share: 2 }, 'share must be above 0 and at most 1, not 2.')
    const raw = { width: 32, height: 24, rate: 0 }
    await expect(collect('-', { ...fixed, raw })).rejects.toThrow(
      'raw: must be frames of 1 to 67108864 pixels, at a rate above 0.',
    )
    await refused({ deadline: 10, share: 0.5 }, 'give a deadline or a share, not both.')
    await refused({ budget: {}, share: 0.5 }, 'give a budget or a share')
    expect(() => watch(model, film, { dedline: 3 } as WatchOptions)).toThrow('Did you mean "deadline"?')
  })

  it('a model of images', async () => {
    await makeRun(join(folder, 'images'), SMALL_MOBILENET)
    const images = await loadModel(join(folder, 'images'))
    await expect(watch(images, film).next()).rejects.toThrow('which classifies images: it watches nothing')
    images.dispose()
  })
})

describe('watching', () => {
  it('ends with the signal, and when the loop is left', async () => {
    const stop = new AbortController()
    const events = watch(model, film, { ...fixed, signal: stop.signal })
    for await (const event of events) if (event.event === 'answer') stop.abort()
    // Nothing runs on.
    expect(processesOf(film)).toEqual([])
  })
})

describe('frames that a caller brings', () => {
  const frame = (i: number) => ({ data: new Uint8Array(64 * 48 * 3).fill(i), width: 64, height: 48 })

  it('are answered as they come', async () => {
    await using stream = await model.stream({ fps: 30, ...fixed })
    const answers: WatchEvent[] = []
    const reading = (async () => {
      for await (const event of stream) answers.push(event)
    })()
    for (let i = 0; i < 45; i++) {
      stream.push(frame(i))
      await new Promise((settle) => setTimeout(settle, 5))
    }
    await stream.end()
    await reading
    expect(answersIn(answers).length).toBeGreaterThan(2)
    for (const { latencyMs } of answersIn(answers)) expect(latencyMs).toBeGreaterThan(0)
  })

  it('are answered at another cost only where that was said', async () => {
    await using fixedStream = await model.stream({ fps: 30, ...fixed })
    await expect(fixedStream.set({ deadline: 100 })).rejects.toThrow('opened without changes: true')
    await using changing = await model.stream({ fps: 30, ...fixed, changes: true })
    await expect(changing.set({ budget: { mflops: 1e-6 } })).rejects.toThrow('nothing fits')
    await expect(changing.set({ deadline: 100, share: 0.5 })).rejects.toThrow('not both')
  })

  it('have a size and a time', async () => {
    await using stream = await model.stream({ fps: 30, ...fixed })
    expect(() => stream.push({ ...frame(0), width: 63 })).toThrow(
      'a frame must be 63x48 RGB bytes, 9072, not 9216.',
    )
    stream.push({ ...frame(0), time: 5 })
    expect(() => stream.push({ ...frame(0), time: 4 })).toThrow(
      "a frame's time must be seconds after the one before, not 4.",
    )
    await expect(model.stream({ fps: 0 })).rejects.toThrow('fps must be frames a second')
  })
})
