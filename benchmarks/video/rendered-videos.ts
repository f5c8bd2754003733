/** Videos to measure with: as Kinetics' are after resizing, H.264 of 340×256 at 30 frames a second, with noise. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { inOrder } from '../../src/data/loading/prefetch.ts'
import { findBinaries } from '../../src/video/binaries.ts'
import { run } from '../../src/video/ffmpeg.ts'

/** Renders `0.mp4`, `1.mp4`, … into a folder, which is made; so many at a time. */
export async function renderVideos(
  folder: string,
  count: number,
  seconds: number,
  atOnce: number,
): Promise<string[]> {
  await mkdir(folder, { recursive: true })
  const files = Array.from({ length: count }, (_, i) => join(folder, `${i}.mp4`))
  const picture = `testsrc2=size=340x256:rate=30:duration=${seconds}`
  await ffmpegOnEach(files, atOnce, (file) => [
    ...['-f', 'lavfi', '-i', picture, '-vf', 'noise=alls=12:allf=t'],
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', file],
  ])
  return files
}

/** Runs FFmpeg for each file, so many at a time. */
export async function ffmpegOnEach(
  files: readonly string[],
  atOnce: number,
  argumentsFor: (file: string) => readonly string[],
): Promise<void> {
  const { ffmpeg } = await findBinaries()
  const job = (i: number) =>
    run({
      program: ffmpeg,
      args: ['-hide_banner', '-nostats', '-loglevel', 'error', ...argumentsFor(files[i]!)],
      file: { shown: files[i]!, path: files[i]! },
      onOutput: () => true,
    })
  for await (const _ of inOrder(files.length, job, { atOnce, ahead: files.length }));
}
