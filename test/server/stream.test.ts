/** `WS /v1/stream` with sockets of the ws package. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import { type StreamEvent, streamEvent } from '../../src/server/api.ts'
import { type Served, serve } from '../support/served.ts'
import { makeRun, SMALL_MOBILENET, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

const SIZE = { width: 48, height: 36 }
const RGB = { type: 'start', format: 'rgb', picture_width: SIZE.width, picture_height: SIZE.height, fps: 30 }

let runs: string[]
let server: Served
let jpeg: Buffer

beforeAll(async () => {
  const folder = await temporaryFolder()
  runs = [join(folder, 'video'), join(folder, 'image')]
  await makeRun(runs[0]!, SMALL_X3D)
  await makeRun(runs[1]!, SMALL_MOBILENET)
  const { stdout } = await promisify(execFile)(
    'ffmpeg',
    [
      ...['-loglevel', 'error', '-f', 'lavfi', '-i', `testsrc2=size=${SIZE.width}x${SIZE.height}`],
      '-frames:v',
      '1',
      '-f',
      'mjpeg',
      '-',
    ],
    { encoding: 'buffer' },
  )
  jpeg = stdout
  server = await serve(runs)
})

function open(to: Served = server) {
  const socket = new WebSocket(new URL('/v1/stream', to.url), ['mn-video'])
  const events: StreamEvent[] = []
  const waiting: (() => void)[] = []
  socket.on('message', (data) => {
    events.push(streamEvent.parse(JSON.parse(String(data))))
    for (const wake of waiting.splice(0)) wake()
  })
  const closed = new Promise<number>((settle) => {
    socket.once('close', (code) => {
      settle(code)
      for (const wake of waiting.splice(0)) wake()
    })
  })
  const opened = new Promise<void>((settle) => socket.once('open', () => settle()))
  socket.on('error', () => {})
  /** The first event of a kind from a place on. */
  const first = async <K extends StreamEvent['event']>(
    kind: K,
    from = 0,
  ): Promise<Extract<StreamEvent, { event: K }>> => {
    for (;;) {
      const found = events.slice(from).find((event) => event.event === kind)
      if (found) return found as Extract<StreamEvent, { event: K }>
      if (socket.readyState === socket.CLOSED) throw new Error(`closed after ${JSON.stringify(events)}`)
      await new Promise<void>((wake) => waiting.push(wake))
    }
  }
  const say = (message: object) => socket.send(JSON.stringify(message))
  const frame = (time: number, picture: Uint8Array) => {
    const head = Buffer.alloc(8)
    head.writeDoubleLE(time)
    socket.send(Buffer.concat([head, picture]))
  }
  return { socket, events, opened, closed, first, say, frame }
}

const grey = new Uint8Array(SIZE.width * SIZE.height * 3).fill(90)

/** Sends frames in real time until it is told to stop. */
function play(frame: (time: number, picture: Uint8Array) => void, picture: Uint8Array) {
  let i = 0
  const timer = setInterval(() => frame(i++ / 30, picture), 1000 / 30)
  return () => clearInterval(timer)
}

describe('a stream', () => {
  it.each(['rgb', 'jpeg'])(
    'answers about %s frames, and at another cost when it is told to',
    async (format) => {
      const { first, say, frame, opened, closed, events } = open()
      await opened
      const { table } = server.loaded[0]!
      const [cheapest, dearest] = [table.entries[0]!, table.entries.at(-1)!]
      const exactly = ({ width, frames, size }: typeof cheapest) => ({ width, frames, size })
      say({ ...RGB, format, every_ms: 100, topk: 3, ...exactly(dearest) })
      await first('ready')
      const stop = play(frame, format === 'rgb' ? grey : jpeg)
      const answer = await first('answer')
      expect(answer.configuration).toMatchObject(exactly(dearest))
      expect(answer.top).toHaveLength(3)
      expect(answer.in_time).toBeUndefined()
      say({ type: 'set', ...exactly(cheapest) })
      const change = await first('switch')
      expect(change.configuration).toMatchObject(exactly(cheapest))
      expect((await first('answer', events.indexOf(change))).configuration).toMatchObject(exactly(cheapest))
      say({ type: 'set', deadline_ms: 500 })
      let last = await first('answer', events.length)
      while (last.in_time === undefined) last = await first('answer', events.length)
      stop()
      say({ type: 'end' })
      expect(await closed).toBe(1000)
      expect(events.at(-1)).toEqual({ event: 'end' })
    },
  )

  it.each([
    ['what is no JSON', '{'],
    ['a message of no kind', '{"type":"go"}'],
    ['set before start', '{"type":"set","mflops":1}'],
    ['frames without a size', '{"type":"start","format":"rgb","fps":30}'],
    ['no rate', '{"type":"start","format":"jpeg"}'],
    ['a budget that buys nothing', '{"type":"start","format":"jpeg","fps":30,"mflops":0.000001}'],
    ['two ways to say the cost', '{"type":"start","format":"jpeg","fps":30,"mflops":1,"width":1}'],
    ['a model of images', '{"type":"start","format":"jpeg","fps":30,"model":"image"}'],
    ['a model that is not there', '{"type":"start","format":"jpeg","fps":30,"model":"none"}'],
  ])('refuses %s with a line, and goes on for others', async (_, text) => {
    const { socket, first, opened, closed } = open()
    await opened
    socket.send(text)
    const { message } = await first('error')
    expect(message.split('\n').length).toBeLessThan(4)
    expect(await closed).toBe(1008)
  })

  it.each([
    ['a frame that is no picture', 'jpeg', Buffer.from('no picture at all')],
    ['a frame of another size', 'rgb', Buffer.alloc(7)],
  ])('refuses %s', async (_, format, picture) => {
    const { first, say, frame, opened, closed } = open()
    await opened
    say({ ...RGB, format })
    await first('ready')
    frame(0, picture)
    await first('error')
    expect(await closed).toBe(1008)
  })

  it('opens no more than it may, and has room again when one has gone', async () => {
    const [one, two] = [open(), open()]
    await Promise.all([one.opened, two.opened])
    const three = open()
    expect((await three.first('error')).message).toContain('2 streams are open')
    expect(await three.closed).toBe(1013)
    one.socket.terminate()
    await one.closed
    for (let i = 0; ; i++) {
      const next = open()
      await next.opened
      next.say({ ...RGB })
      const got = await next.first('ready').catch(() => undefined)
      next.socket.close()
      if (got) break
      if (i > 50) throw new Error('no room')
      await next.closed
    }
    two.socket.close()
    await two.closed
  })

  it('lets no page of another site in', async () => {
    const socket = new WebSocket(new URL('/v1/stream', server.url), { origin: 'http://evil.com' })
    const status = await new Promise((settle) => {
      socket.once('unexpected-response', (_, response) => settle(response.statusCode))
      socket.on('error', () => {})
    })
    expect(status).toBe(403)
  })

  it('takes a token as a browser gives it', async () => {
    const token = '0123456789abcdef'
    const guarded = await serve([runs[0]!], { tokens: [token] })
    const status = (protocols: string[]) =>
      new Promise((settle) => {
        const socket = new WebSocket(new URL('/v1/stream', guarded.url), protocols)
        socket.once('open', () => {
          settle(socket.protocol)
          socket.close()
        })
        socket.once('unexpected-response', (_, response) => settle(response.statusCode))
        socket.on('error', () => {})
      })
    expect(await status(['mn-video'])).toBe(401)
    expect(await status(['mn-video', `bearer.${token}`])).toBe('mn-video')
  })

  it('says goodbye when the server stops', async () => {
    const short = await serve([runs[0]!])
    const { first, say, opened, closed } = open(short)
    await opened
    say({ ...RGB })
    await first('ready')
    const stopped = short.stop(200)
    expect(await closed).toBe(1001)
    await stopped
  })
})
