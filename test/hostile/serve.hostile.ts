/** Ten thousand requests that are wrong in every way at once, to the built server: it lives, stays small, and keeps nothing. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import { createRandom } from '../../src/network/random.ts'
import { MAIN } from '../support/cli.ts'
import { renderClip } from '../support/render.ts'
import { makeRun, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

const REQUESTS = 10_000
const AT_ONCE = 32
/** MiB that the process may have grown by after the first fifth. */
const GROWTH = 48

let folder: string
let url: URL
let child: ChildProcess
let clip: Buffer
let said = ''

beforeAll(async () => {
  folder = await temporaryFolder()
  await makeRun(join(folder, 'run'), SMALL_X3D)
  clip = await readFile(await renderClip(join(folder, 'clip.mp4'), { seconds: 1 }))
  await mkdir(join(folder, 'tmp'))
  child = spawn(process.execPath, [MAIN, 'serve', join(folder, 'run'), '--port', '0', '--max-upload', '1'], {
    env: { ...process.env, TMPDIR: join(folder, 'tmp') },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stderr!.on('data', (piece) => {
    said += piece
  })
  url = await new Promise<URL>((settle) => {
    child.stdout!.on('data', (piece) => {
      const found = /serving on (\S+)/.exec(String(piece))?.[1]
      if (found) settle(new URL(found))
    })
  })
})
afterAll(() => child.kill('SIGKILL'))

const random = createRandom(1)
const pick = <T>(of: readonly T[]): T => of[random.integer(of.length)]!
const noise = (bytes: number) => Buffer.from(Uint8Array.from({ length: bytes }, () => random.integer(256)))

/** The clip with some bytes changed, cut or doubled. */
function damaged(): Buffer {
  const copy = Buffer.from(clip)
  for (let i = 0; i < 1 + random.integer(40); i++) copy[random.integer(copy.length)] = random.integer(256)
  return pick([
    copy,
    copy.subarray(0, random.integer(copy.length)),
    Buffer.concat([copy, noise(300)]),
    noise(500),
  ])
}

function body(): { readonly type: string; readonly bytes: Buffer } {
  const form = (name: string, bytes: Buffer, end = '\r\n--b--\r\n') =>
    Buffer.concat([
      Buffer.from(
        `--b\r\nContent-Disposition: form-data; name="${name}"; filename="${pick(['a.mp4', '../../x', '\u0000', 'y'.repeat(5000)])}"\r\n\r\n`,
      ),
      bytes,
      Buffer.from(end),
    ])
  const json = (value: unknown) => ({ type: 'application/json', bytes: Buffer.from(JSON.stringify(value)) })
  return pick([
    () => ({ type: 'video/mp4', bytes: damaged() }),
    () => ({ type: 'multipart/form-data; boundary=b', bytes: form('file', damaged()) }),
    () => ({ type: 'multipart/form-data; boundary=b', bytes: form('file', damaged(), '') }),
    () => ({ type: 'multipart/form-data; boundary=b', bytes: form('width', noise(200)) }),
    () => ({ type: 'multipart/form-data', bytes: form('file', noise(50)) }),
    () => ({ type: 'video/mp4', bytes: Buffer.alloc(2 ** 20 + 1) }),
    () => json({ path: pick(['/etc/passwd', '../x', 'x\u0000', 'y'.repeat(4000)]) }),
    () =>
      json(pick<unknown>([null, 3, [], { path: 1 }, { path: 'x', constructor: 1, __proto__: { width: 1 } }])),
    () => ({
      type: 'application/json',
      bytes: pick([noise(100), Buffer.from('{"path":'), Buffer.alloc(70_000, '[')]),
    }),
    () => ({ type: pick(['', 'text/plain', 'x/y; charset="', '\u00e9/\u00e9']), bytes: noise(30) }),
  ])()
}

const QUERIES = [
  '',
  '?mflops=-1',
  '?mflops=NaN',
  '?width=1e999',
  '?views=9x9',
  '?topk=0',
  '?model=%00',
  '?a[b]=c',
  '?width=1&width=2',
  '?views=1x1&topk=3',
  '?%ff',
  `?x=${'y'.repeat(9000)}`,
]

/** Writes bytes to the server and ends in some way; whatever it says is well. */
const send = (bytes: Buffer, end: 'half' | 'cut' | 'slow'): Promise<void> =>
  new Promise((settle) => {
    const socket = connect({ host: url.hostname, port: Number(url.port), allowHalfOpen: true })
    const over = setTimeout(() => socket.destroy(), 2000)
    socket
      .on('error', () => {})
      .on('data', () => {})
      .on('end', () => socket.end())
    socket.on('close', () => {
      clearTimeout(over)
      settle()
    })
    if (end === 'slow') {
      let at = 0
      const timer = setInterval(() => {
        if (!socket.writable || at >= bytes.length) return clearInterval(timer)
        socket.write(bytes.subarray(at, at + 7))
        at += 7
      }, 20)
      socket.on('close', () => clearInterval(timer))
    } else
      socket.write(bytes, () => {
        if (end === 'half') socket.end()
        if (end === 'cut') setTimeout(() => socket.destroy(), random.integer(20))
      })
  })

function request(): Promise<void> {
  const { type, bytes } = body()
  const head = [
    `${pick(['POST', 'POST', 'POST', 'PUT', 'GET', 'BREW'])} ${pick(['/v1/classify', '/v1/classify', '/v1/spans', '/v1/stream', '/', '/%2e%2e/x', '*'])}${pick(QUERIES)} HTTP/1.1`,
    `Host: ${pick(['127.0.0.1', '127.0.0.1', '127.0.0.1', 'evil.com', ''])}`,
    `Content-Type: ${type}`,
    pick([
      `Content-Length: ${bytes.length}`,
      `Content-Length: ${bytes.length}`,
      `Content-Length: ${bytes.length + 100}`,
      'Content-Length: -1',
      'Transfer-Encoding: chunked',
      'Content-Length: 1\r\nContent-Length: 2',
    ]),
    pick([
      'Connection: close',
      'Connection: close',
      'Connection: keep-alive',
      `X-Y: ${'z'.repeat(20_000)}`,
      'Expect: 100-continue',
    ]),
  ].join('\r\n')
  return send(
    Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), bytes]),
    pick(['half', 'half', 'cut', 'cut', 'slow'] as const),
  )
}

function socket(): Promise<void> {
  return new Promise((settle) => {
    const client = new WebSocket(new URL('/v1/stream', url), { handshakeTimeout: 1000 })
    client.on('error', () => {})
    client.on('close', () => settle())
    client.on('open', () => {
      if (random.integer(2) === 0)
        client.send(
          JSON.stringify({
            type: 'start',
            format: pick(['jpeg', 'rgb']),
            fps: 30,
            picture_width: 8,
            picture_height: 8,
          }),
        )
      for (let i = 0; i < random.integer(5); i++)
        client.send(
          pick<string | Buffer>([
            '{}',
            '[',
            '{"type":"set","mflops":1e-9}',
            noise(100),
            noise(8),
            Buffer.alloc(200),
            '"x"',
            '{"type":"end"}',
          ]),
        )
      setTimeout(() => client.terminate(), random.integer(100))
    })
  })
}

const memory = async (): Promise<number> => {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024
}

describe('a server that is mistreated', () => {
  it('answers well afterwards, has not grown, and has kept nothing', async () => {
    let done = 0
    let early = 0
    const client = async () => {
      while (done < REQUESTS) {
        done++
        await (random.integer(20) === 0 ? socket() : request())
        if (early === 0 && done > REQUESTS / 5) early = await memory()
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, client))
    for (let i = 0; i < 300; i++) {
      const text = await (await fetch(new URL('/metrics', url))).text()
      if (/requests_running 0\n/.test(text) && /requests_waiting 0\n/.test(text)) break
      await new Promise((go) => setTimeout(go, 100))
    }
    const form = new FormData()
    form.set('file', new Blob([new Uint8Array(clip)]), 'clip.mp4')
    const answer = await fetch(new URL('/v1/classify', url), { method: 'POST', body: form })
    expect(answer.status).toBe(200)
    const late = await memory()
    const fds = (await readdir(`/proc/${child.pid}/fd`)).length
    console.log(
      `${done} requests; ${early.toFixed(0)} MiB after a fifth, ${late.toFixed(0)} at the end; ${fds} file descriptors`,
    )
    expect(late - early).toBeLessThan(GROWTH)
    expect(fds).toBeLessThan(100)
    const [mine] = await readdir(join(folder, 'tmp'))
    expect(await readdir(join(folder, 'tmp', mine!))).toEqual([])
    // No failure of the server's own was written to its log.
    expect(said.match(/\n\s+at [^\n]*/)?.[0]).toBeUndefined()
    const ended = new Promise((settle) => child.once('close', settle))
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(await readdir(join(folder, 'tmp'))).toEqual([])
  }, 1_800_000)
})
