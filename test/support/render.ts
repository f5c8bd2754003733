/**
 * Renders small videos for tests with FFmpeg. Every frame carries its number in its pixels, so that a test can
 * tell which frame it was given.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface Rendering {
  /** 1 second by default. */
  readonly seconds?: number
  /** Frames per second, such as 30 (the default) or `30000/1001`. */
  readonly fps?: number | string
  /** `160x96` by default. */
  readonly size?: string
  /** Filters behind the picture, such as `setpts=…`; frames keep their numbers. */
  readonly filters?: string
  /** Encoder and muxer options; libx264 with B-frames by default. */
  readonly output?: readonly string[]
  /** Adds a tone. */
  readonly audio?: boolean
}

const BITS = 10
const execute = promisify(execFile)

/** Runs the system's ffmpeg with arguments. */
export async function ffmpeg(...args: string[]): Promise<void> {
  await execute('ffmpeg', ['-hide_banner', '-nostdin', '-y', '-loglevel', 'error', ...args])
}

/** Renders a video whose frames show their number as ten upright bars, black for 0 and white for 1. */
export async function renderClip(path: string, rendering: Rendering = {}): Promise<string> {
  const { seconds = 1, fps = 30, size = '160x96', filters, audio } = rendering
  const { output = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-pix_fmt', 'yuv420p'] } =
    rendering
  // Drawn one pixel a bar, then enlarged: evaluating the expression per pixel is slow.
  const bars = `geq=lum='16+219*mod(floor(N/pow(2,X)),2)',scale=${size.replace('x', ':')}:flags=neighbor`
  const picture = `color=s=${BITS}x2:r=${fps}:d=${seconds},format=gray,${bars},setsar=1,format=yuv420p`
  await ffmpeg(
    ...['-f', 'lavfi', '-i', filters ? `${picture},${filters}` : picture],
    ...(audio ? ['-f', 'lavfi', '-i', `sine=duration=${seconds}`] : []),
    ...['-fps_mode', 'passthrough', ...output, `file:${path}`],
  )
  return path
}

/** The number that a frame of a rendered clip shows; the clip may be scaled, not cropped. */
export function frameNumber(
  clip: { readonly data: Uint8Array; readonly width: number; readonly height: number },
  frame: number,
): number {
  const row = (frame * clip.height + (clip.height >> 1)) * clip.width
  let number = 0
  for (let bit = 0; bit < BITS; bit++) {
    const column = Math.floor(((bit + 0.5) * clip.width) / BITS)
    if (clip.data[(row + column) * 3]! > 127) number += 2 ** bit
  }
  return number
}

/** The numbers that all frames of a clip show. */
export function frameNumbers(
  clip: Parameters<typeof frameNumber>[0] & { readonly frames: number },
): number[] {
  return Array.from({ length: clip.frames }, (_, i) => frameNumber(clip, i))
}

/**
 * Presentation times of a video's frames in seconds, as ffprobe sees them when it decodes. The times that it
 * does not know (the last ones of an AVI, all of a raw stream) go on at the given interval.
 */
export async function probedTimes(path: string, interval: number): Promise<number[]> {
  const { stdout } = await execute('ffprobe', [
    ...['-v', 'quiet', '-select_streams', 'v:0', '-show_entries', 'frame=best_effort_timestamp_time'],
    `file:${path}`,
  ])
  let next = 0
  return [...stdout.matchAll(/^best_effort_timestamp_time=(.*)$/gm)].map(([, text]) => {
    const time = text === 'N/A' ? next : Number(text)
    next = time + interval
    return time
  })
}

/** A new folder for a test's files. */
export async function testFolder(): Promise<{ path: (name: string) => string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'mn-video-test-'))
  return { path: (name) => join(folder, name), remove: () => rm(folder, { recursive: true, force: true }) }
}
