/** `mn-video serve` as a process: how it starts, stops, dies and starts again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { classifyAnswer } from '../../src/server/api.ts'
import { MAIN, mnVideo } from '../support/cli.ts'
import { renderClip } from '../support/render.ts'
import { form } from '../support/served.ts'
import { makeRun, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

let folder: string
let run: string
let bytes: Buffer<ArrayBuffer>
const children: ChildProcess[] = []

beforeAll(async () => {
  folder = await temporaryFolder()
  run = join(folder, 'run')
  await makeRun(run, SMALL_X3D)
  bytes = (await readFile(await renderClip(join(folder, 'clip.mp4'), { seconds: 2 }))) as Buffer<ArrayBuffer>
  await mkdir(join(folder, 'tmp'))
})
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

async function start(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, 'serve', run, '--port', '0', ...args], {
    env: { ...process.env, TMPDIR: join(folder, 'tmp') },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  let told = ''
  const ended = new Promise<number | null>((settle) => child.once('close', (code) => settle(code)))
  const url = await new Promise<string>((settle, fail) => {
    for (const output of [child.stdout, child.stderr])
      output.on('data', (piece) => {
        told += piece
        const found = /serving on (\S+)/.exec(told)?.[1]
        if (found) settle(found)
      })
    child.once('close', () => fail(new Error(told)))
  })
  return { child, url, ended, told: () => told }
}

const classifyAt = async (url: string, options = {}) => {
  const response = await fetch(new URL('/v1/classify', url), form(bytes, options))
  return classifyAnswer.parse(await response.json())
}
const left = () => readdir(join(folder, 'tmp'))

describe('mn-video serve', () => {
  it('answers, and at SIGTERM finishes what is under way and leaves nothing', async () => {
    const { child, url, ended } = await start('--root', folder)
    expect((await classifyAt(url)).model).toBe('run')
    expect(await left()).toHaveLength(1)
    const last = classifyAt(url, { views: '10x3' })
    for (let i = 0; i < 200; i++) {
      if (/requests_running 1\n/.test(await (await fetch(new URL('/metrics', url))).text())) break
    }
    child.kill('SIGTERM')
    expect((await last).views).toBe(30)
    expect(await ended).toBe(0)
    expect(await left()).toEqual([])
  })

  it('takes away at its start what one that was killed has left', async () => {
    const first = await start()
    const sent = classifyAt(first.url, { views: '900x3' }).catch(() => undefined)
    for (let i = 0; i < 200; i++) {
      const [name] = await left()
      if (name && (await readdir(join(folder, 'tmp', name))).length > 0) break
      await new Promise((go) => setTimeout(go, 20))
    }
    first.child.kill('SIGKILL')
    await Promise.all([first.ended, sent])
    expect(await left()).toHaveLength(1)
    const [before] = await left()
    const second = await start()
    expect(await left()).toHaveLength(1)
    expect(await left()).not.toContain(before)
    second.child.kill('SIGTERM')
    expect(await second.ended).toBe(0)
    expect(await left()).toEqual([])
  })

  it('says in a line what it does not start with', async () => {
    const tokens = join(folder, 'tokens')
    await writeFile(tokens, 'short\n')
    const other = await start()
    const { port } = new URL(other.url)
    const refused = await Promise.all([
      mnVideo(['serve', run, '--host', '0.0.0.0', '--port', '0']),
      mnVideo(['serve', run, '--token-file', tokens]),
      mnVideo(['serve', run, '--port', port]),
      mnVideo(['serve', join(folder, 'none')]),
      mnVideo(['serve', run, '--root', join(folder, 'none'), '--port', '0']),
    ])
    other.child.kill('SIGTERM')
    expect(refused.map(({ code }) => code)).not.toContain(0)
    const said = refused.map(({ stderr }) => stderr)
    expect(said[0]).toContain('--token-file FILE, or --no-auth')
    expect(said[1]).toContain('line 1 is no token')
    expect(said[2]).toContain('the port is taken')
    expect(said[3]).toContain('none')
    expect(said[4]).toContain('--root')
    for (const text of said) expect(text).not.toMatch(/\n\s+at /)
    await other.ended
  })
})
