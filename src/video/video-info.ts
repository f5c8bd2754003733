/**
 * The description of a video file, and how it is put together from what FFmpeg's programs tell.
 */
import { MnVideoError } from '../errors.ts'
import type { MediaFile } from '../files/media-file.ts'
import { shortened } from './ffmpeg-name.ts'

/** Facts from the file's headers; a fact that the container does not state is undefined. */
export interface VideoInfo {
  /** As given. */
  readonly path: string
  /** FFmpeg's name of the container, such as `mov,mp4,m4a,3gp,3g2,mj2`. */
  readonly container: string
  /** Every stream of the file, in order. */
  readonly streams: readonly StreamInfo[]
  /** Which stream is read: the first with video (a cover picture does not count). */
  readonly streamIndex: number
  readonly codec: string
  /** Pixels as displayed, after rotation; pixels are taken as square, see sampleAspectRatio. */
  readonly width: number
  readonly height: number
  /** Pixels as stored, before rotation. */
  readonly codedWidth: number
  readonly codedHeight: number
  /** Clockwise degrees by which stored frames are turned for display. */
  readonly rotation: 0 | 90 | 180 | 270
  /** Average frames per second. */
  readonly frameRate: number | undefined
  /** Presentation time of the stream's start, in seconds. */
  readonly startTime: number | undefined
  /** Seconds. */
  readonly duration: number | undefined
  readonly frameCount: number | undefined
  /** Width : height of one stored pixel. It is told, not applied: networks are trained on stored pixels. */
  readonly sampleAspectRatio: string | undefined
}

export interface StreamInfo {
  readonly index: number
  /** `video`, `audio`, `subtitle`, `data`, `attachment` or, for a still cover picture, `picture`. */
  readonly type: string
  readonly codec: string
}

/** The facts that both ways of describing a file gather. */
export interface RawFacts {
  readonly container: string
  readonly codedWidth: number
  readonly codedHeight: number
  /** The display matrix's angle, in degrees. */
  readonly counterclockwise: number
  readonly frameRate: number | undefined
  readonly startTime: number | undefined
  readonly duration: number | undefined
  readonly frameCount: number | undefined
  readonly sampleAspectRatio: string | undefined
}

export function videoInfo(
  file: MediaFile,
  streams: readonly StreamInfo[],
  chosen: StreamInfo,
  facts: RawFacts,
): VideoInfo {
  const { counterclockwise, sampleAspectRatio: aspect, ...rest } = facts
  if (!(facts.codedWidth > 0 && facts.codedHeight > 0)) {
    throw new MnVideoError(
      'media',
      `${file.shown}: its video stream (${chosen.codec}) is damaged: it has no size.`,
    )
  }
  // FFmpeg leaves the frame's size as it is for any angle but a quarter turn.
  const quarters = Math.round(-counterclockwise / 90)
  const isQuarter = Math.abs(quarters * 90 + counterclockwise) < 1
  const turns = (isQuarter ? ((quarters % 4) + 4) % 4 : 0) as 0 | 1 | 2 | 3
  const [width, height] =
    turns % 2 ? [facts.codedHeight, facts.codedWidth] : [facts.codedWidth, facts.codedHeight]
  return {
    ...rest,
    path: file.shown,
    streams,
    streamIndex: chosen.index,
    codec: chosen.codec,
    width,
    height,
    rotation: ([0, 90, 180, 270] as const)[turns],
    sampleAspectRatio:
      aspect === undefined || aspect === 'N/A' || aspect.startsWith('0:') ? undefined : aspect,
  }
}

export function firstVideo(file: MediaFile, streams: readonly StreamInfo[]): StreamInfo {
  const chosen = streams.find((stream) => stream.type === 'video')
  if (chosen) return chosen
  const found = shortened(streams.map((stream) => `${stream.type} ${stream.codec}`).join(', '), 200)
  throw new MnVideoError('media', `${file.shown}: no video stream (found: ${found}). Give a file with video.`)
}
