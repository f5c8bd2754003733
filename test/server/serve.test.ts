/** The server with real clients: fetch, sockets of the ws package, raw sockets. */
import { mkdir, mkdtemp, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { classify } from '../../src/inference/classify.ts'
import { loadModel } from '../../src/inference/model.ts'
import { findSpans } from '../../src/inference/streaming/spans.ts'
import { writeRun } from '../../src/runs/create-run.ts'
import { classifyAnswer, modelsAnswer, type SpansEvent, spansEvent } from '../../src/server/api.ts'
import { startServer } from '../../src/server/serve.ts'
import { ffmpeg, renderClip } from '../support/render.ts'
import { form, SERVER_OPTIONS, type Served, serve } from '../support/served.ts'
import { makeRun, SMALL_MOBILENET, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

let folder: string
let runs: string[]
let clip: string
let film: string
let picture: string
let bytes: Buffer<ArrayBuffer>
let server: Served

beforeAll(async () => {
  folder = await temporaryFolder()
  runs = [join(folder, 'video'), join(folder, 'image')]
  await makeRun(runs[0]!, SMALL_X3D)
  await makeRun(runs[1]!, SMALL_MOBILENET)
  await mkdir(join(folder, 'root/inner'), { recursive: true })
  clip = await renderClip(join(folder, 'root/inner/clip.mp4'), { seconds: 2 })
  film = await renderClip(join(folder, 'film.mp4'), { seconds: 20 })
  picture = join(folder, 'picture.png')
  await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=64x48', '-frames:v', '1', picture)
  bytes = (await readFile(clip)) as Buffer<ArrayBuffer>
  server = await serve(runs, { root: join(folder, 'root') })
})

const post = (path: string, init: RequestInit, to = server) =>
  fetch(new URL(path, to.url), { method: 'POST', ...init })
const named = (path: string, options: object = {}) => ({
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ path, ...options }),
})
const uploadsLeft = async () => {
  const mine = (await readdir(tmpdir())).filter((name) => name.startsWith(`.mn-video-serve.${process.pid}-`))
  return (await Promise.all(mine.map((name) => readdir(join(tmpdir(), name))))).flat()
}

describe('POST /v1/classify', () => {
  it('answers as the library does, for a form, a body and a path alike', async () => {
    const [video] = server.loaded
    const expected = await classify(video!, clip, { views: { temporal: 2, spatial: 3 } })
    const bodies = [
      () => post('/v1/classify', form(bytes, { views: '2x3', topk: 5 })),
      () => post('/v1/classify?views=2x3&topk=5', { headers: { 'content-type': 'video/mp4' }, body: bytes }),
      () => post('/v1/classify', named('inner/clip.mp4', { views: '2x3', topk: 5 })),
    ]
    for (const send of bodies) {
      const response = await send()
      const answer = classifyAnswer.parse(await response.json())
      expect(response.status).toBe(200)
      expect(answer.top).toEqual(expected.ranking.slice(0, 5))
      expect([answer.views, answer.switched, answer.model]).toEqual([6, false, 'video'])
    }
    expect(await uploadsLeft()).toEqual([])
  })

  it('classifies an image with an image model', async () => {
    const image = (await readFile(picture)) as Buffer<ArrayBuffer>
    const answer = classifyAnswer.parse(
      await (await post('/v1/classify', form(image, { model: 'image' }))).json(),
    )
    const expected = await classify(server.loaded[1]!, picture)
    expect(answer.top).toEqual(expected.ranking.slice(0, 5))
  })

  it('buys what the budget pays for', async () => {
    const { entries } = server.loaded[0]!.table
    const cheapest = entries[0]!
    const answer = classifyAnswer.parse(
      await (await post('/v1/classify', form(bytes, { mflops: cheapest.macs / 1e6 }))).json(),
    )
    expect(answer.configuration).toMatchObject({
      width: cheapest.width,
      frames: cheapest.frames,
      size: cheapest.size,
    })
  })

  it.each([
    ['an option that is not there', { mflop: 3 }, 400, 'Did you mean "mflops"?'],
    ['two budgets', { mflops: 3, gflops: 1 }, 400, 'give one of'],
    ['a budget that buys nothing', { mflops: 1e-6 }, 400, 'nothing fits'],
    ['a number that is none', { mflops: 'many' }, 400, 'mflops'],
    ['a model that is not there', { model: '../x' }, 400, 'Give one of video, image'],
    ['views that are none', { views: '0x3' }, 400, 'views'],
  ])('refuses %s', async (_, options, status, message) => {
    const response = await post('/v1/classify', form(bytes, options as Record<string, string | number>))
    expect(response.status).toBe(status)
    const { error } = (await response.json()) as { error: { message: string } }
    expect(error.message).toContain(message)
    expect(await uploadsLeft()).toEqual([])
  })

  it('calls a file that cannot be read by its own name, not by where it lies', async () => {
    const response = await post('/v1/classify', form(Buffer.from('no video'), {}, 'holiday.mp4'))
    expect(response.status).toBe(422)
    const { error } = (await response.json()) as { error: { code: string; message: string } }
    expect(error).toMatchObject({ code: 'media' })
    expect(error.message).toMatch(/^holiday\.mp4: /)
    expect(error.message).not.toContain(tmpdir())
  })

  it('refuses what is larger than it takes, told or not', async () => {
    const large = Buffer.alloc(4 * SERVER_OPTIONS.mostBytes)
    const told = await post('/v1/classify', { headers: { 'content-type': 'video/mp4' }, body: large })
    expect(told.status).toBe(413)
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array(large))
        controller.close()
      },
    })
    const untold = await post('/v1/classify', {
      headers: { 'content-type': 'video/mp4' },
      body: stream,
      duplex: 'half',
    } as RequestInit)
    expect(untold.status).toBe(413)
    expect(await uploadsLeft()).toEqual([])
  })

  it.each([
    '../film.mp4',
    '/etc/passwd',
    'link.mp4',
    'linked/film.mp4',
    'inner',
    'inner/nothing.mp4',
    'a\0b',
    '.',
  ])('lets no path out of its root, nor to what is no file: %j', async (path) => {
    await symlink(film, join(folder, 'root/link.mp4')).catch(() => {})
    await symlink(folder, join(folder, 'root/linked')).catch(() => {})
    const response = await post('/v1/classify', named(path))
    expect([404, 422]).toContain(response.status)
    expect(await response.text()).not.toContain(folder)
  })

  it('takes no path where there is no root', async () => {
    const other = await serve([runs[0]!])
    expect((await post('/v1/classify', named('inner/clip.mp4'), other)).status).toBe(403)
  })

  it('under load gives less before it gives nothing, and says so', async () => {
    const busy = await serve([runs[0]!], { concurrency: 1, deadline: 600 })
    const responses = await Promise.all(
      Array.from({ length: 40 }, () => post('/v1/classify', form(bytes), busy)),
    )
    const statuses = responses.map(({ status }) => status)
    expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([])
    expect(statuses).toContain(200)
    const answers = await Promise.all(
      responses
        .filter(({ status }) => status === 200)
        .map(async (each) => classifyAnswer.parse(await each.json())),
    )
    const cheaper = answers.filter(({ switched }) => switched)
    expect(cheaper.length).toBeGreaterThan(0)
    for (const { asked, configuration } of cheaper) expect(configuration.gflops).toBeLessThan(asked.gflops)
    for (const response of responses.filter(({ status }) => status === 503))
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    const metrics = await (await fetch(new URL('/metrics', busy.url))).text()
    expect(metrics).toContain(`mn_video_shed_total{how="cheaper"} ${cheaper.length}`)
    expect(metrics).toMatch(/mn_video_requests_waiting 0\n/)
  })

  it('stops working for a client that is gone', async () => {
    const gone = new AbortController()
    const sent = post('/v1/classify', { ...form(bytes, { views: '500x3' }), signal: gone.signal })
    const refused = expect(sent).rejects.toThrow()
    await until(async () => /mn_video_requests_running 1\n/.test(await metricsOf(server)))
    gone.abort()
    await refused
    await until(async () => /mn_video_requests_running 0\n/.test(await metricsOf(server)))
    expect(await uploadsLeft()).toEqual([])
  })
})

describe('POST /v1/spans', () => {
  const lines = (text: string): SpansEvent[] =>
    text
      .trim()
      .split('\n')
      .map((line) => spansEvent.parse(JSON.parse(line)))

  it('tells the spans that the library finds, as they close', async () => {
    const options = { min_score: 0.2, min_length: 0 }
    const response = await post('/v1/spans', form((await readFile(film)) as Buffer<ArrayBuffer>, options))
    const events = lines(await response.text())
    const expected = await findSpans(server.loaded[0]!, film, { minScore: 0.2, minLength: 0 })
    const told = events.filter((event) => event.event === 'span')
    expect(told.map(({ start, end, index }) => ({ start, end, index }))).toEqual(
      expected.spans.map(({ start, end, index }) => ({ start, end, index })),
    )
    expect(events[0]).toMatchObject({ event: 'begin', switched: false })
    expect(events.at(-1)).toMatchObject({ event: 'end', windows: expected.windows, spans: told.length })
    await until(async () => (await uploadsLeft()).length === 0)
  })

  it('refuses a model of images', async () => {
    const response = await post('/v1/spans', form(bytes, { model: 'image' }))
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('have no spans')])
  })

  it('ends a film that cannot be read with an error, and takes it away', async () => {
    const events = lines(await (await post('/v1/spans', form(Buffer.from('none'), {}, 'x.mp4'))).text())
    expect(events.at(-1)).toMatchObject({ event: 'error', code: 'media' })
    await until(async () => (await uploadsLeft()).length === 0)
  })
})

describe('what the server tells of itself', () => {
  it('lists its models with their tables', async () => {
    const { models } = modelsAnswer.parse(await (await fetch(new URL('/v1/models', server.url))).json())
    expect(models.map(({ name, media }) => [name, media])).toEqual([
      ['video', 'video'],
      ['image', 'image'],
    ])
    expect(models[0]!.table).toHaveLength(server.loaded[0]!.table.entries.length)
    for (const { frontier } of models) {
      expect(frontier.length).toBeGreaterThan(0)
      expect(frontier.every(({ latency_ms }) => latency_ms !== undefined)).toBe(true)
    }
  })

  it('describes all routes as OpenAPI', async () => {
    const json = z
      .object({ openapi: z.string(), paths: z.record(z.string(), z.unknown()) })
      .parse(await (await fetch(new URL('/openapi.json', server.url))).json())
    expect(Object.keys(json.paths).sort()).toEqual(
      ['/healthz', '/metrics', '/readyz', '/v1/classify', '/v1/models', '/v1/spans', '/v1/stream'].sort(),
    )
  })

  it('sends nobody to other hosts, and lets no other site read', async () => {
    const { headers } = await fetch(new URL('/v1/models', server.url))
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('access-control-allow-origin')).toBeNull()
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  })

  it('keeps what it is sent where only its user can read', async () => {
    const mine = (await readdir(tmpdir())).find((name) => name.startsWith(`.mn-video-serve.${process.pid}-`))
    expect((await stat(join(tmpdir(), mine!))).mode & 0o777).toBe(0o700)
  })

  it('takes away what a server has left that was killed', async () => {
    // The name of a process that is gone: no process has the highest number.
    const left = await mkdtemp(join(tmpdir(), 'left-'))
    const place = (await readdir(tmpdir()))
      .find((name) => name.startsWith(`.mn-video-serve.${process.pid}-`))!
      .split('-')[4]
    const dead = join(tmpdir(), `.mn-video-serve.4194303-1-${place}-0123456789ab.tmp`)
    await rename(left, dead)
    await writeFile(join(dead, 'upload'), 'x')
    const { sweep } = await import('../../src/files/temporary.ts')
    await sweep(tmpdir())
    await expect(stat(dead)).rejects.toThrow('ENOENT')
  })
})

describe('who may ask', () => {
  it('is refused without a token where one is needed, but for health', async () => {
    const token = '0123456789abcdef'
    const guarded = await serve([runs[1]!], { tokens: [token] })
    const at = (path: string, headers: Record<string, string> = {}) =>
      fetch(new URL(path, guarded.url), { headers }).then(({ status }) => status)
    expect(await at('/healthz')).toBe(200)
    expect(await at('/readyz')).toBe(200)
    for (const path of ['/v1/models', '/metrics', '/openapi.json']) {
      expect(await at(path)).toBe(401)
      expect(await at(path, { authorization: `Bearer ${token}` })).toBe(200)
    }
    const image = (await readFile(picture)) as Buffer<ArrayBuffer>
    expect((await post('/v1/classify', form(image), guarded)).status).toBe(401)
    // Whoever is in the middle of sending reads it too.
    const large = Buffer.alloc(3 * 2 ** 20)
    for (let i = 0; i < 10; i++) expect((await post('/v1/classify', form(large), guarded)).status).toBe(401)
  })

  it('does not start on a host that others reach without one', async () => {
    await expect(startServer(server.loaded, { ...SERVER_OPTIONS, host: '0.0.0.0' })).rejects.toThrow(
      'Give --token-file FILE, or --no-auth',
    )
    const open = await startServer(server.loaded, { ...SERVER_OPTIONS, host: '0.0.0.0', isOpen: true })
    await open.stop(0)
  })
})

describe('a run of which nothing can run', () => {
  it('is refused in a line', async () => {
    const run = join(folder, 'untested')
    const { config, weights, table } = await makeRun(join(folder, 'untested-fresh'), SMALL_X3D)
    await writeRun(run, { config, weights, table: { ...table, trained: true } })
    const model = await loadModel(run)
    await expect(startServer([model], SERVER_OPTIONS)).rejects.toThrow(
      'so none can run. Test it: mn-video test',
    )
    model.dispose()
  })
})

describe('stopping', () => {
  it('finishes what is under way, takes nothing new and leaves no folder', async () => {
    const short = await serve([runs[0]!])
    const sent = post('/v1/classify', form(bytes, { views: '20x3' }), short)
    await until(async () => /mn_video_requests_running 1\n/.test(await metricsOf(short)))
    const stopped = short.stop(20_000)
    expect((await sent).status).toBe(200)
    await stopped
    await expect(fetch(short.url)).rejects.toThrow()
  })

  it('ends what takes longer than it has time for', async () => {
    const short = await serve([runs[0]!])
    const sent = post('/v1/classify', form(bytes, { views: '999x3' }), short)
    const ended = sent.then(
      ({ status }) => status,
      () => 'closed',
    )
    await until(async () => /mn_video_requests_running 1\n/.test(await metricsOf(short)))
    await short.stop(50)
    expect([503, 'closed']).toContain(await ended)
  })
})

describe('what is no HTTP, or half of it', () => {
  const say = (text: string | Buffer, end: 'half' | 'cut' | 'wait', to = server): Promise<string> =>
    new Promise((settle) => {
      const { hostname, port } = new URL(to.url)
      const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
      let told = ''
      socket.on('data', (piece) => {
        told += piece
      })
      socket
        .on('error', () => {})
        .on('close', () => settle(told))
        .on('end', () => socket.end())
      socket.write(text, () => {
        if (end === 'half') socket.end()
        if (end === 'cut') socket.destroy()
      })
    })

  it('harms nothing', async () => {
    const head = 'POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\n'
    const told = await Promise.all([
      say('nonsense\r\n\r\n', 'half'),
      say(`GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`, 'half'),
      say(`${head}Content-Length: 1000\r\n\r\nshort`, 'half'),
      say(`${head}Content-Length: 1000\r\nContent-Type: video/mp4\r\n\r\nshort`, 'cut'),
      say(
        `${head}Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 60\r\n\r\n--b\r\nContent-Disposition: form-data; name="file"; filen`,
        'cut',
      ),
      say(`${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 'half'),
      say(`${head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{]`, 'half'),
    ])
    expect(told[0]).toMatch(/^HTTP\/1\.1 400 /)
    expect(told[1]).toMatch(/^HTTP\/1\.1 431 /)
    expect(told[6]).toMatch(/^HTTP\/1\.1 400 /)
    expect((await fetch(new URL('/readyz', server.url))).status).toBe(200)
    await until(async () => (await uploadsLeft()).length === 0)
  })

  it('is told when nothing comes for a while, and leaves nothing', async () => {
    const hasty = await serve([runs[0]!], { patience: 200 })
    const head = 'POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n'
    const part =
      '--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n0123456789012345678901234567890'
    const told = await Promise.all([
      say(`${head}Content-Type: video/mp4\r\n\r\nshort`, 'wait', hasty),
      say(`${head}Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\nContent-Dis`, 'wait', hasty),
      say(`${head}Content-Type: multipart/form-data; boundary=b\r\n\r\n${part}`, 'wait', hasty),
    ])
    for (const each of told) expect(each).toMatch(/^HTTP\/1\.1 408 /)
    await until(async () => (await uploadsLeft()).length === 0)
    // Who is only slow is heard to the end: an answer may take longer than that.
    const slow = await post('/v1/classify', form(bytes, { views: '30x3' }), hasty)
    expect(slow.status).toBe(200)
  })

  it('says what there is to whoever asks for something else', async () => {
    const response = await fetch(new URL('/v2/classify', server.url))
    expect([response.status, await response.text()]).toEqual([404, expect.stringContaining('/openapi.json')])
  })
})

const metricsOf = async ({ url }: { readonly url: string }) => (await fetch(new URL('/metrics', url))).text()

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await holds()) return
    await new Promise((go) => setTimeout(go, 25))
  }
  throw new Error('it did not come to be')
}
