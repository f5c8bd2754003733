/** A media file as an argument that FFmpeg can only understand as one local file. */
import type { MediaFile } from '../files/media-file.ts'

/** FFmpeg's name for a file: no protocol name, option dash or `:` in the path has any meaning after `file:`. */
export function ffmpegName(file: MediaFile): string {
  return `file:${file.path}`
}

/**
 * Input options under which a file can name no other: only local files, and only containers that hold their
 * own data. Playlists and scripts (HLS, DASH, concat, SDP, image sequences) are not among them. Nor can a header that
 * counts to billions make a table of them: no piece of memory may be larger than the largest picture (MAX_PIXELS
 * of 8 bytes).
 */
export const INPUT_FENCE: readonly string[] = [
  ...['-max_alloc', `${2 ** 29 + 2 ** 20}`],
  ...['-protocol_whitelist', 'file'],
  ...[
    '-format_whitelist',
    [
      ...['mov', 'matroska', 'avi', 'mpegts', 'mpeg', 'flv', 'asf', 'ogg', 'mxf', 'nut', 'rm', 'wtv', 'ivf'],
      ...['mpegvideo', 'm4v', 'h263', 'h264', 'hevc', 'vvc', 'vc1', 'av1', 'obu', 'dv', 'mjpeg', 'swf'],
      ...['yuv4mpegpipe', 'gif', 'apng', 'mp3', 'wav', 'flac', 'aac'],
    ].join(','),
  ],
]

/** A text, cut where it is longer than a message should quote. */
export function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text
}
