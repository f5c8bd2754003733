/** `mn-video watch` as a program: what it prints, how it ends, what it passes on. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { MAIN, mnVideo } from '../support/cli.ts'
import { ffmpeg, renderClip } from '../support/render.ts'
import { makeRun, SMALL_X3D, temporaryFolder } from '../support/small-run.ts'

let folder: string
let film: string
let run: string
beforeAll(async () => {
  folder = await temporaryFolder()
  run = join(folder, 'run')
  await makeRun(run, SMALL_X3D)
  film = await renderClip(join(folder, 'film.mp4'), { seconds: 2, size: '64x48' })
})

const parsed = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe('mn-video watch', () => {
  it('prints lines of JSON, the last of them a summary', async () => {
    const { code, stdout, stderr } = await mnVideo([
      ...[
        'watch',
        film,
        '--model',
        run,
        '--fast',
        '--json',
        '--spans',
        '--min-score',
        '0.1',
        '--every',
        '250',
      ],
    ])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = parsed(stdout)
    const answers = lines.filter(({ event }) => event === 'answer')
    expect(answers).toHaveLength(8)
    expect(answers[0]).toEqual({
      event: 'answer',
      start: 0,
      end: expect.closeTo(0.2667, 3),
      label: expect.stringMatching(/^class \d$/),
      index: expect.any(Number),
      score: expect.closeTo(0.2, 1),
      configuration: { width: 1, frames: 4, size: 32, gflops: expect.any(Number) },
      latency_ms: expect.any(Number),
    })
    expect(lines.filter(({ event }) => event === 'span')).toHaveLength(5)
    expect(lines.at(-1)).toMatchObject({
      event: 'end',
      answers: 8,
      spans: 5,
      skipped: { newer: 0, late: 0, gap: 0 },
    })
  })

  it('chooses by the deadline, after measuring once, and sums up when it is interrupted', async () => {
    const child = spawn(process.execPath, [
      ...[MAIN, 'watch', film, '--model', run, '--deadline', '5000', '--every', '100'],
    ])
    let [stdout, stderr, isTold] = ['', '', false]
    child.stderr.on('data', (piece) => {
      stderr += piece
    })
    child.stdout.on('data', (piece) => {
      stdout += piece
      if (isTold || !/ ms\)/.test(stdout)) return
      isTold = true
      child.kill('SIGINT')
    })
    const [code] = await once(child, 'close')
    expect(code).toBe(130)
    expect(stderr).toContain('measuring latencies on this machine, once')
    expect(stdout).toMatch(/^\d+ answers in [\d.]+ s \([\d.]+ a second\), 0 spans, \d+ switches$/m)
    expect(stdout).toMatch(/^deadline held by \d+\.\d\d % of what was due$/m)
    expect(stdout).toMatch(/^ +\d+ {2}width [\d.]+, frames \d, size \d+, [\d.]+ MFLOPs$/m)
  })

  it('reads what a pipe brings, and passes spans on to a program, without a shell', async () => {
    const program = join(folder, 'a program.sh')
    await writeFile(program, `#!/bin/sh\ncat >> "${folder}/spans.jsonl"\n`)
    await chmod(program, 0o755)
    const transport = join(folder, 'film.ts')
    await ffmpeg('-i', film, '-c', 'copy', '-f', 'mpegts', transport)
    const child = spawn(process.execPath, [
      ...[MAIN, 'watch', '-', '--model', run, '--mflops', '5', '--every', '250'],
      ...['--on-span', program, '--min-score', '0.1'],
    ])
    createReadStream(transport).pipe(child.stdin)
    child.stdout.resume()
    const [code] = await once(child, 'close')
    expect(code).toBe(0)
    const passed = parsed(await readFile(join(folder, 'spans.jsonl'), 'utf8'))
    expect(passed.map(({ index }) => index).sort()).toEqual([0, 1, 2, 3, 4])
    expect(passed[0]).toMatchObject({ event: 'span', file: '-', start: 0 })
  })

  it('takes frames as they are', async () => {
    const child = spawn(process.execPath, [
      ...[MAIN, 'watch', '-', '--raw', '32x24@30', '--model', run, '--mflops', '5', '--json'],
    ])
    child.stdin.end(Buffer.alloc(60 * 32 * 24 * 3, 90))
    let stdout = ''
    child.stdout.on('data', (piece) => {
      stdout += piece
    })
    const [code] = await once(child, 'close')
    expect(code).toBe(0)
    expect(parsed(stdout).at(-1)).toMatchObject({ event: 'end', answers: expect.any(Number) })
  })

  it.each([
    [['watch', 'ftp://x/y'], 'ftp://x/y: is no URL of a stream.'],
    [['watch', 'nothing.mp4'], 'nothing.mp4: no such file.'],
    [['watch', '-', '--raw', '640x480'], 'Give WIDTHxHEIGHT@FPS, such as 640x480@30.'],
    [['watch', '-', '--fast'], 'fast is for files'],
    [['watch', 'x', '--deadline', '5', '--share', '0.2'], 'no such file'],
  ])('refuses %j in one line', async (args, message) => {
    const { code, stderr } = await mnVideo([...args, '--model', run])
    expect(code).toBeGreaterThan(0)
    expect(stderr).toContain(message)
    expect(stderr).not.toContain('    at ')
  })
})
