/**
 * Describes a file where only ffmpeg is installed (the package ffmpeg-static has no ffprobe), from the summary
 * that ffmpeg prints of its input. Coarser than ffprobe: a duration to 10 ms, no frame count.
 */
import { MnVideoError } from '../errors.ts'
import type { MediaFile } from '../files/media-file.ts'
import { findBinaries } from './binaries.ts'
import { type RunOptions, run, whyUnreadable } from './ffmpeg.ts'
import { ffmpegName, INPUT_FENCE } from './ffmpeg-name.ts'
import { firstVideo, type StreamInfo, type VideoInfo, videoInfo } from './video-info.ts'

export async function describeWithFfmpeg(
  file: MediaFile,
  options: RunOptions,
): Promise<{ readonly info: VideoInfo }> {
  const { ffmpeg } = await findBinaries()
  const lines: string[] = []
  // Without an output ffmpeg describes its input, then complains that there is nothing to do.
  const errors = await run({
    ...options,
    file,
    program: ffmpeg,
    args: ['-hide_banner', '-nostdin', '-loglevel', 'level+info', ...INPUT_FENCE, '-i', ffmpegName(file)],
    onLine: (line) => lines.push(line.replace(/^\[info\] /, '')),
    onOutput: () => false,
  })
  const container = lines.map((line) => /^Input #0, (\S+), from/.exec(line)?.[1]).find(Boolean)
  if (!container) {
    throw new MnVideoError('media', `${file.shown}: ${whyUnreadable(errors, file)}.`)
  }
  // By index: a stream stands in each of its programs (MPEG-TS).
  const found = new Map<number, StreamInfo>()
  for (const line of lines) {
    const match = /^ {2}Stream #0:(\d+)\S*: (\w+): (\w+)/.exec(line)
    if (!match) continue
    const type = line.includes('(attached pic)') ? 'picture' : match[2]!.toLowerCase()
    found.set(Number(match[1]), { index: Number(match[1]), type, codec: match[3]! })
  }
  const streams = [...found.values()].sort((a, b) => a.index - b.index)
  const chosen = firstVideo(file, streams)
  const start = lines.findIndex((line) => new RegExp(`^  Stream #0:${chosen.index}\\b`).test(line))
  const end = lines.findIndex((line, i) => i > start && line.startsWith('  Stream #'))
  const about = lines.slice(start, end < 0 ? undefined : end).join('\n')
  const size = /, (\d+)x(\d+)/.exec(about)
  const duration = lines.map((line) => /^ {2}Duration: (\d+):(\d+):([\d.]+)/.exec(line)).find(Boolean)
  const info = videoInfo(file, streams, chosen, {
    container,
    codedWidth: Number(size?.[1]),
    codedHeight: Number(size?.[2]),
    counterclockwise: number(/displaymatrix: rotation of (-?[\d.]+)/.exec(about)) ?? 0,
    frameRate: number(/ ([\d.]+) fps/.exec(about)) ?? number(/ ([\d.]+) tbr/.exec(about)),
    startTime: number(/, start: (-?[\d.]+)/.exec(lines.find((line) => line.startsWith('  Duration:')) ?? '')),
    duration: duration
      ? Number(duration[1]) * 3600 + Number(duration[2]) * 60 + Number(duration[3])
      : undefined,
    frameCount: undefined,
    sampleAspectRatio: /\[SAR (\d+:\d+)/.exec(about)?.[1],
  })
  return { info }
}

function number(match: RegExpExecArray | null): number | undefined {
  return match ? Number(match[1]) : undefined
}
