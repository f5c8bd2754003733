import { spawn } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { MAIN } from '../support/cli.ts'
import { renderClip, testFolder } from '../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)
const at = folder.path
const videos = at('videos')
await mkdir(videos)
const film = await renderClip(at('videos/film.mp4'), { seconds: 60, fps: 5, size: '80x48' })

/** FFmpeg reading no faster than the video plays, so that it runs when its parent dies; its process id becomes a file. */
async function slowFfmpeg(name: string): Promise<{ program: string; pids: () => Promise<number[]> }> {
  const [program, noted] = [at(`${name}.sh`), at(`${name}.pids`)]
  await mkdir(noted)
  const note = `case " $* " in *" -i "*) : > '${noted}'/$$ ;; esac`
  await writeFile(program, `#!/bin/sh\n${note}\nexec ffmpeg -re "$@"\n`)
  await chmod(program, 0o755)
  return { program, pids: async () => (await readdir(noted)).map(Number) }
}

/** A process that has ended and that nobody has asked about yet is not running. */
const isRunning = async (pid: number): Promise<boolean> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') X')
  return !/\) [XZ]/.test(stat)
}

/** Tries again for ten seconds at the most. */
async function until(condition: () => Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 200; tries++) {
    if (await condition()) return true
    await wait(50)
  }
  return false
}

const library = (file: string) => pathToFileURL(new URL(`../../dist/${file}`, import.meta.url).pathname).href
const script = (text: string) => ['--input-type=module', '-e', text]
const decode = `await decodeClip(${JSON.stringify(film)}, { times: [49] })`
const ways = {
  'data resize': (name: string) => [
    MAIN,
    'data',
    'resize',
    videos,
    '--out',
    at(`${name}-out`),
    '--jobs',
    '1',
  ],
  'data check --decode': (name: string) => [
    ...[MAIN, 'data', 'check', videos, '--decode', '--fresh', '--cache', at(`${name}-cache`)],
  ],
  'decodeClip through the launcher': () =>
    script(
      `import { decodeClip } from '${library('index.js')}'
       import { useLauncher } from '${library('video/launch.js')}'
       useLauncher(); ${decode}`,
    ),
} as const

describe.skipIf(process.platform !== 'linux').concurrent('FFmpeg does not outlive what started it', () => {
  for (const [way, argsFor] of Object.entries(ways)) {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL', 'SIGKILL to the whole group'] as const) {
      it(`${way}: ${signal}`, async () => {
        const name = `${way} ${signal}`.replaceAll(' ', '-')
        const { program, pids } = await slowFfmpeg(name)
        const child = spawn(process.execPath, argsFor(name), {
          env: { ...process.env, MN_VIDEO_FFMPEG: program, MN_VIDEO_FFPROBE: 'ffprobe' },
          stdio: 'ignore',
          detached: true,
        })
        const ended = new Promise((settle) => child.once('exit', settle))
        expect(await until(async () => (await pids()).length > 0)).toBe(true)
        const started = await pids()
        expect(await Promise.all(started.map(isRunning))).toContain(true)
        // It notes its number before the process that started it, on a busy machine, has gone on.
        await wait(500)
        if (signal === 'SIGKILL to the whole group') process.kill(-child.pid!, 'SIGKILL')
        else child.kill(signal)
        await ended
        const gone = async () => !(await Promise.all((await pids()).map(isRunning))).includes(true)
        expect(await until(gone)).toBe(true)
      })
    }
  }
})
