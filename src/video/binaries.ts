/**
 * Finds the FFmpeg programs: the ffmpeg that decodes and, where there is one, the ffprobe that describes files.
 * It runs them only to ask for their version.
 */
import { execFile } from 'node:child_process'
import { access, constants, stat } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { MnVideoError } from '../errors.ts'
import { installAdvice, thisSystem } from './install-advice.ts'

export interface Binaries {
  /** Absolute path of ffmpeg. */
  readonly ffmpeg: string
  readonly foundBy: 'MN_VIDEO_FFMPEG' | 'ffmpeg-static' | 'PATH'
  /** What ffmpeg calls itself, such as `5.1.9-0+deb12u1`. */
  readonly version: string
  /** Absolute path of ffprobe; without one, files are described by ffmpeg alone, which is slower. */
  readonly ffprobe: string | undefined
}

/**
 * The programs to use, looked up once per setting of the environment: ffmpeg from MN_VIDEO_FFMPEG, else the
 * package ffmpeg-static where its download worked, else the one on PATH; ffprobe from MN_VIDEO_FFPROBE, else
 * beside that ffmpeg, else on PATH.
 *
 * @throws MnVideoError 'missing'
 */
export function findBinaries(): Promise<Binaries> {
  const { MN_VIDEO_FFMPEG, MN_VIDEO_FFPROBE, PATH } = process.env
  const key = JSON.stringify([MN_VIDEO_FFMPEG, MN_VIDEO_FFPROBE, PATH])
  if (lastFound?.key !== key) {
    const found = lookUp()
    lastFound = { key, found }
    // A failure is not kept: FFmpeg may be installed while the program runs.
    found.catch(() => {
      if (lastFound?.found === found) lastFound = undefined
    })
  }
  return lastFound.found
}

/** Whether ffmpeg is older than 5.1, the first to know `-fps_mode` (development builds count as newer). */
export function isBeforeFpsMode(version: string): boolean {
  const match = /^n?(\d+)\.(\d+)/.exec(version)
  if (!match) return false
  const [major, minor] = [Number(match[1]), Number(match[2])]
  return major < 5 || (major === 5 && minor < 1)
}

let lastFound: { key: string; found: Promise<Binaries> } | undefined

async function lookUp(): Promise<Binaries> {
  const found = await findFfmpeg()
  const [version, ffprobe] = await Promise.all([askVersion(found), findFfprobe(found.ffmpeg)])
  return { ...found, version, ffprobe }
}

type Found = Pick<Binaries, 'ffmpeg' | 'foundBy'>

async function findFfmpeg(): Promise<Found> {
  const named = await namedBy('MN_VIDEO_FFMPEG')
  if (named) return { ffmpeg: named, foundBy: 'MN_VIDEO_FFMPEG' }
  const bundled = await bundledFfmpeg()
  if (bundled) return { ffmpeg: bundled, foundBy: 'ffmpeg-static' }
  const onPath = await onPathNamed('ffmpeg')
  if (onPath) return { ffmpeg: onPath, foundBy: 'PATH' }
  throw new MnVideoError(
    'missing',
    `FFmpeg is not installed: no ffmpeg on PATH.\nInstall it (${installAdvice(thisSystem())}) or set MN_VIDEO_FFMPEG to its path.`,
  )
}

async function findFfprobe(ffmpeg: string): Promise<string | undefined> {
  const beside = join(dirname(ffmpeg), executable('ffprobe'))
  return (
    (await namedBy('MN_VIDEO_FFPROBE')) ??
    ((await isExecutable(beside)) ? beside : undefined) ??
    (await onPathNamed('ffprobe'))
  )
}

async function namedBy(variable: string): Promise<string | undefined> {
  const path = process.env[variable]
  if (!path) return undefined
  if (await isExecutable(path)) return path
  const onPath = path.includes('/') ? undefined : await onPathNamed(path)
  if (onPath) return onPath
  throw new MnVideoError(
    'missing',
    `${variable}: ${path} is not a program that can be run. Set it to a program's path or unset it.`,
  )
}

/** The optional package's binary: its default export is a path even where the download was skipped. */
async function bundledFfmpeg(): Promise<string | undefined> {
  const packageName: string = 'ffmpeg-static'
  const loaded: unknown = await import(packageName).catch(() => undefined)
  const path = loaded && typeof loaded === 'object' && 'default' in loaded ? loaded.default : undefined
  return typeof path === 'string' && (await isExecutable(path)) ? path : undefined
}

async function onPathNamed(name: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, executable(name))
    if (folder && (await isExecutable(path))) return path
  }
  return undefined
}

function executable(name: string): string {
  return process.platform === 'win32' ? `${name}.exe` : name
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}

function askVersion({ ffmpeg, foundBy }: Found): Promise<string> {
  return new Promise((settle, reject) => {
    execFile(ffmpeg, ['-version'], { timeout: 20_000, killSignal: 'SIGKILL' }, (_, printed) => {
      const version = /^ffmpeg version (\S+)/.exec(printed)?.[1]
      if (version) return settle(version)
      const message = `${ffmpeg} (${foundBy}) is not an ffmpeg that runs: asked for its -version, it told none.\nSet MN_VIDEO_FFMPEG to the path of one that does.`
      reject(new MnVideoError('missing', message))
    })
  })
}
