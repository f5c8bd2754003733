/**
 * Which FFmpeg is taken: the built look-up in processes of their own, with small scripts that stand in for FFmpeg.
 * `npm test` builds it first.
 */
import { execFile } from 'node:child_process'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isBeforeFpsMode } from '../../src/video/binaries.ts'
import { installAdvice, thisSystem } from '../../src/video/install-advice.ts'
import { testFolder } from '../support/render.ts'

const folder = await testFolder()
afterAll(folder.remove)

/** A folder with an ffmpeg in it, to be PATH. */
const withFfmpeg = folder.path('bin')
const withoutFfmpeg = folder.path('empty')
const named = folder.path('named-ffmpeg')

async function standIn(path: string): Promise<void> {
  await writeFile(path, '#!/bin/sh\necho ffmpeg version 7.0-stand-in\n', { mode: 0o755 })
}

/** A copy of the built program beside an ffmpeg-static of its own, whose download worked or did not. */
async function program(name: string, { downloaded }: { downloaded: boolean }): Promise<string> {
  const dist = fileURLToPath(new URL('../../dist', import.meta.url))
  await cp(dist, folder.path(`${name}/dist`), { recursive: true })
  const bundled = folder.path(`${name}/node_modules/ffmpeg-static`)
  await mkdir(bundled, { recursive: true })
  await writeFile(
    join(bundled, 'index.js'),
    "module.exports = require('node:path').join(__dirname, 'ffmpeg')\n",
  )
  if (downloaded) await standIn(join(bundled, 'ffmpeg'))
  await writeFile(folder.path(`${name}/package.json`), '{ "type": "module" }')
  const script = folder.path(`${name}/find.js`)
  await writeFile(
    script,
    `import { findBinaries } from './dist/video/binaries.js'
await findBinaries().then(
  ({ foundBy, ffmpeg, version }) => console.log([foundBy, ffmpeg, version].join(' ')),
  ({ code, message }) => console.log([code, message].join(': ')),
)`,
  )
  return script
}

let downloaded: string
let notDownloaded: string
beforeAll(async () => {
  await Promise.all([mkdir(withFfmpeg), mkdir(withoutFfmpeg)])
  await Promise.all([standIn(named), standIn(join(withFfmpeg, 'ffmpeg'))])
  downloaded = await program('downloaded', { downloaded: true })
  notDownloaded = await program('not-downloaded', { downloaded: false })
})

async function found(script: string, env: { PATH: string; MN_VIDEO_FFMPEG?: string }): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [script], { env })
  return stdout.trimEnd()
}

describe.skipIf(process.platform === 'win32')('finding FFmpeg', () => {
  it('takes MN_VIDEO_FFMPEG before all others', async () => {
    const env = { MN_VIDEO_FFMPEG: named, PATH: withFfmpeg }
    expect(await found(downloaded, env)).toBe(`MN_VIDEO_FFMPEG ${named} 7.0-stand-in`)
  })

  it("takes ffmpeg-static's before the one on PATH", async () => {
    const bundled = folder.path('downloaded/node_modules/ffmpeg-static/ffmpeg')
    expect(await found(downloaded, { PATH: withFfmpeg })).toBe(`ffmpeg-static ${bundled} 7.0-stand-in`)
  })

  it('takes the one on PATH where ffmpeg-static is there without its program', async () => {
    const onPath = join(withFfmpeg, 'ffmpeg')
    const PATH = `${withoutFfmpeg}:${withFfmpeg}`
    expect(await found(notDownloaded, { PATH })).toBe(`PATH ${onPath} 7.0-stand-in`)
  })

  it('looks up on PATH what MN_VIDEO_FFMPEG names without a folder', async () => {
    const env = { MN_VIDEO_FFMPEG: 'named-ffmpeg', PATH: `${withFfmpeg}:${folder.path('')}` }
    expect(await found(downloaded, env)).toMatch(/^MN_VIDEO_FFMPEG \S+named-ffmpeg 7\.0-stand-in$/)
  })

  it('does not pass over a MN_VIDEO_FFMPEG that cannot run', async () => {
    const told = (path: string) => found(downloaded, { MN_VIDEO_FFMPEG: path, PATH: withFfmpeg })
    const typo = folder.path('typo')
    const noProgram = folder.path('notes.txt')
    await writeFile(noProgram, 'not executable', { mode: 0o644 })
    for (const path of [typo, noProgram]) {
      expect(await told(path)).toBe(
        `missing: MN_VIDEO_FFMPEG: ${path} is not a program that can be run. Set it to a program's path or unset it.`,
      )
    }
    expect(await told(process.execPath)).toBe(
      `missing: ${process.execPath} (MN_VIDEO_FFMPEG) is not an ffmpeg that runs: asked for its -version, it told none.\n` +
        'Set MN_VIDEO_FFMPEG to the path of one that does.',
    )
  })

  it('says how to install it here where there is none', async () => {
    expect(await found(notDownloaded, { PATH: withoutFfmpeg })).toBe(
      'missing: FFmpeg is not installed: no ffmpeg on PATH.\n' +
        `Install it (${installAdvice(thisSystem())}) or set MN_VIDEO_FFMPEG to its path.`,
    )
  })
})

describe("FFmpeg's version", () => {
  it('tells which say -vsync', () => {
    const versions = [
      '4.4.2-0ubuntu0.22.04.1',
      '5.0.1',
      'n5.1',
      '5.1.9-0+deb12u1',
      '6.0-static',
      'N-112345-gabc',
      '10.2',
    ]
    expect(versions.map(isBeforeFpsMode)).toEqual([true, true, false, false, false, false, false])
  })
})
