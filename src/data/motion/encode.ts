/** Rendered frames as H.264 files. */
import { readdir } from 'node:fs/promises'
import { MnVideoError } from '../../errors.ts'
import type { Size } from '../../frames/geometry.ts'
import { findBinaries } from '../../video/binaries.ts'
import { reasonFrom, run } from '../../video/ffmpeg.ts'

/** Frames a second. */
export const RATE = 30

/** The quantiser is constant and nothing looks ahead: a frame's quality must not tell of what moves after it. */
const encoderArguments = ({ width, height }: Size): string[] => [
  ...['-hide_banner', '-nostats', '-loglevel', 'level+error', '-y'],
  ...['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', `${width}x${height}`, '-r', `${RATE}`],
  ...['-i', 'pipe:0', '-c:v', 'libx264', '-preset', 'veryfast', '-qp', '23', '-threads', '1'],
  ...['-x264-params', 'mbtree=0:rc-lookahead=0', '-bf', '0', '-pix_fmt', 'yuv420p'],
  ...['-fflags', '+bitexact', '-flags:v', '+bitexact', '-map_metadata', '-1'],
]

export const fileName = (clip: number): string => `${String(clip + 1).padStart(4, '0')}.mp4`

/** Encodes clips of equal length into files of their own, `0001.mp4` …, with one run of FFmpeg. */
export async function encodeClips(
  folder: string,
  clips: Iterable<Uint8Array>,
  shape: Size & { readonly frames: number; readonly clips: number },
  signal: AbortSignal,
): Promise<void> {
  const { ffmpeg } = await findBinaries()
  const cuts = Array.from({ length: shape.clips - 1 }, (_, i) => (i + 1) * shape.frames)
  const errors = await run({
    program: ffmpeg,
    // Names are relative, so that a % in the folder's means nothing.
    cwd: folder,
    file: { shown: folder, path: folder },
    signal,
    input: clips,
    args: [
      ...encoderArguments(shape),
      ...['-g', `${shape.frames}`, '-keyint_min', `${shape.frames}`, '-sc_threshold', '0'],
      ...['-f', 'segment', '-segment_format', 'mp4', '-reset_timestamps', '1', '-segment_start_number', '1'],
      ...(cuts.length > 0 ? ['-segment_frames', cuts.join(',')] : ['-segment_time', '1000000']),
      '%04d.mp4',
    ],
    onOutput: () => true,
  })
  const names = new Set(await readdir(folder))
  const missing = Array.from({ length: shape.clips }, (_, clip) => fileName(clip)).find(
    (name) => !names.has(name),
  )
  if (errors.length === 0 && missing === undefined) return
  throw new MnVideoError(
    'data',
    `${folder}: FFmpeg could not encode the clips: ${reasonFrom(errors, { shown: folder, path: folder })}.\nIt must have libx264, and the disk room.`,
  )
}

/** Encodes frames, [frames, H, W, 3] a piece, into one file `film.mp4` of a folder. */
export async function encodeFilm(
  folder: string,
  pieces: Iterable<Uint8Array>,
  size: Size,
  signal?: AbortSignal,
): Promise<void> {
  const { ffmpeg } = await findBinaries()
  const errors = await run({
    program: ffmpeg,
    cwd: folder,
    file: { shown: folder, path: folder },
    ...(signal && { signal }),
    input: pieces,
    args: [...encoderArguments(size), '-g', `${2 * RATE}`, '-f', 'mp4', 'film.mp4'],
    onOutput: () => true,
  })
  if (errors.length === 0 && (await readdir(folder)).includes('film.mp4')) return
  throw new MnVideoError(
    'data',
    `${folder}: FFmpeg could not encode the film: ${reasonFrom(errors, { shown: folder, path: folder })}.\nIt must have libx264, and the disk room.`,
  )
}
