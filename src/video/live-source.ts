/**
 * Sources that go on: cameras, network streams, standard input. Only what a source itself names is opened: FFmpeg's
 * whitelists allow its protocol and containers, and nothing that a playlist in it might name besides.
 */
import { MnVideoError, shown } from '../errors.ts'
import { isThere } from '../files/exists.ts'
import type { MediaFile } from '../files/media-file.ts'
import type { PictureLayout, PictureRequest, Size } from '../frames/geometry.ts'
import { layOutPicture, MAX_PIXELS } from '../frames/geometry.ts'
import { findBinaries } from './binaries.ts'
import { type RunOptions, reasonFrom, run } from './ffmpeg.ts'
import { everyFrame, FrameLog } from './frame-index.ts'
import { createFramePixels } from './frame-pixels.ts'

/** Raw frames on standard input. */
export interface RawFormat extends Size {
  /** Frames a second. */
  readonly rate: number
}

export interface LiveSource {
  readonly kind: 'file' | 'stdin' | 'device' | 'url'
  /** For messages, without passwords. */
  readonly shown: string
  /** FFmpeg's arguments, the input among them. */
  readonly input: readonly string[]
  /** What must not be told of it. */
  readonly secret?: string
  /** Whether it can be opened again when it ends or fails. */
  readonly canReconnect: boolean
}

/** The protocols that each kind of URL needs, and no others. */
const PROTOCOLS: Readonly<Record<string, string>> = {
  'rtsp:': 'rtsp,rtp,rtcp,udp,tcp',
  'rtsps:': 'rtsps,rtp,srtp,rtcp,udp,tcp,tls,crypto',
  'rtmp:': 'rtmp,tcp',
  'srt:': 'srt',
  'udp:': 'udp',
  'rtp:': 'rtp,rtcp,udp',
  'http:': 'http,tcp',
  'https:': 'https,http,tls,tcp,crypto',
}
const SCHEMES = Object.keys(PROTOCOLS).map((scheme) => scheme.slice(0, -1))

/** Containers and demuxers of live streams. */
const FORMATS = [
  ...[
    'mpegts',
    'matroska',
    'mov',
    'flv',
    'nut',
    'ogg',
    'mpeg',
    'h264',
    'hevc',
    'm4v',
    'mjpeg',
    'mpjpeg',
    'asf',
    'avi',
  ],
  ...['rtsp', 'rtp', 'sdp', 'hls', 'live_flv', 'yuv4mpegpipe', 'mp3', 'aac', 'wav'],
].join(',')

/** Formats of cameras. */
const DEVICES = ['v4l2', 'avfoundation', 'dshow', 'gdigrab', 'x11grab'] as const

/**
 * What a name means: `-` standard input, `/dev/video0` or `dshow:NAME` a device, `rtsp://…` a URL, else a file.
 *
 * @param raw of frames on standard input
 * @throws MnVideoError 'usage' for a URL that is none or of another scheme; 'media' for a file that is not there
 */
export async function liveSource(name: string, raw?: RawFormat): Promise<LiveSource> {
  const common = { input: [] as readonly string[], canReconnect: false }
  if (name === '-' || raw) {
    if (name !== '-')
      throw new MnVideoError('usage', '--raw is for frames on standard input: give - for the source.')
    if (raw && !(raw.width >= 1 && raw.height >= 1 && raw.width * raw.height <= MAX_PIXELS && raw.rate > 0))
      throw new MnVideoError('usage', `raw: must be frames of 1 to ${MAX_PIXELS} pixels, at a rate above 0.`)
    const format = raw && [
      ...['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-video_size', `${raw.width}x${raw.height}`],
      ...['-framerate', `${raw.rate}`],
    ]
    const fence = format ?? ['-protocol_whitelist', 'pipe', '-format_whitelist', FORMATS]
    return { ...common, kind: 'stdin', shown: '-', input: [...fence, '-i', 'pipe:0'] }
  }
  const device = deviceOf(name)
  if (device) {
    const input = ['-f', device.format, '-i', device.name]
    return { kind: 'device', shown: shown(name), input, canReconnect: true }
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(name)) return fromUrl(name)
  if (await isThere(name)) return { ...common, kind: 'file', shown: shown(name) }
  throw new MnVideoError(
    'media',
    `${shown(name)}: no such file. A source is a file, - for standard input, a device (/dev/video0, ${DEVICES.slice(1, 3).join(':NAME, ')}:NAME) or a URL (${SCHEMES.join(', ')}).`,
  )
}

function fromUrl(name: string): LiveSource {
  const url = URL.canParse(name) ? new URL(name) : undefined
  const protocols = url && PROTOCOLS[url.protocol]
  if (!url || url.hostname === '' || !protocols) {
    throw new MnVideoError(
      'usage',
      `${shown(name)}: is no URL of a stream. Give one of ${SCHEMES.join(', ')}://HOST….`,
    )
  }
  const isRtsp = url.protocol.startsWith('rtsp')
  // Passwords are nobody's business.
  const secret = url.password !== '' || url.username !== ''
  const plain = new URL(name)
  if (secret) [plain.username, plain.password] = ['', '']
  return {
    kind: 'url',
    shown: shown(plain.href),
    ...(secret && { secret: /\/\/([^@/]*@)/.exec(name)?.[1] ?? '' }),
    input: [
      ...['-protocol_whitelist', protocols, '-format_whitelist', FORMATS],
      // Over UDP a lost packet is a smeared picture.
      ...(isRtsp ? ['-rtsp_transport', 'tcp'] : []),
      ...['-i', name],
    ],
    canReconnect: true,
  }
}

function deviceOf(name: string): { readonly format: string; readonly name: string } | undefined {
  if (/^\/dev\/video\d+$/.test(name)) return { format: 'v4l2', name }
  const [, format, rest] = /^([a-z0-9]+):(?!\/\/)(.+)$/.exec(name) ?? []
  if (!format || !(DEVICES as readonly string[]).includes(format)) return undefined
  return { format, name: format === 'dshow' && !rest!.startsWith('video=') ? `video=${rest}` : rest! }
}

/** A frame of a live source. */
export interface LiveFrame {
  /** Seconds from its first frame. */
  readonly time: number
  /** 8-bit RGB [side, side, 3]; another frame's after the callback. */
  readonly pixels: Uint8Array
}

export interface LiveOptions extends Pick<RunOptions, 'signal'> {
  /** Seconds without a frame after which it is taken for lost. */
  readonly patience: number
  /** Seconds in which FFmpeg may look what a stream is; it must see a keyframe. */
  readonly analysis?: number
  /** Standard input, where that is the source. */
  readonly stdin?: NodeJS.ReadableStream
  readonly onFrame: (frame: LiveFrame) => void
  /** Times that jumped, and by how many seconds; they go on as if they had not. */
  readonly onJump?: (seconds: number) => void
}

/** A step in time that no stream takes by itself, in seconds. */
const JUMP = 10

/**
 * Reads a source until it ends, scaled and cropped to squares as test clips are, whatever its size is or becomes. Nothing
 * waits: a frame that nobody takes in time is gone.
 *
 * @returns how many frames came, and why it ended, where it was told
 */
export async function readLive(
  source: LiveSource,
  request: PictureRequest & { readonly crop: { readonly size: number } },
  { stdin, onFrame, onJump, patience, analysis = 2, signal }: LiveOptions,
): Promise<{ readonly frames: number; readonly reason: string | undefined }> {
  const { ffmpeg, version } = await findBinaries()
  const file: MediaFile = { shown: source.shown, path: source.shown }
  const side = request.crop.size
  const isScaledHere = request.scaling === 'bilinear'
  const log = new FrameLog()
  const sizes: Size[] = []
  const pixels = new Uint8Array(side * side * 3)
  const pending: Buffer[] = []
  let [buffered, frames] = [0, 0]
  const clock = createSourceClock(log, onJump)
  // Complaints are no sign of life, only frames are.
  const lost = new AbortController()
  const timer = setTimeout(() => lost.abort(), 1000 * (patience + analysis))
  let scaler: { readonly layout: PictureLayout; readonly native: Size } | undefined

  /** Its bytes as they arrive: of the native size where it is scaled here. */
  const nextBytes = (): number | undefined => {
    if (!isScaledHere) return pixels.length
    const [size] = sizes
    return size && size.width * size.height * 3
  }
  const deliver = (bytes: Buffer) => {
    if (isScaledHere) {
      const native = sizes[0]!
      if (scaler?.native.width !== native.width || scaler.native.height !== native.height)
        scaler = { native, layout: layOutPicture(source.shown, native, request) }
      createFramePixels(scaler.layout, pixels).add(bytes)
    } else pixels.set(bytes)
    onFrame({ time: clock(log.pts.shift()!), pixels })
    // Nothing is kept of what has passed.
    log.keys.clear()
    sizes.shift()
    frames++
    timer.refresh()
  }
  const drain = () => {
    for (;;) {
      const bytes = nextBytes()
      // Its time is printed before its pixels are written, but may be read after them.
      if (bytes === undefined || buffered < bytes || log.pts.length === 0) return
      const all = pending.length === 1 ? pending[0]! : Buffer.concat(pending)
      pending.length = 0
      deliver(all.subarray(0, bytes))
      if (all.length > bytes) pending.push(all.subarray(bytes))
      buffered -= bytes
    }
  }
  const errors = await run({
    signal: signal ? AbortSignal.any([signal, lost.signal]) : lost.signal,
    // The timer above is the shorter one.
    deadline: 2 * (patience + analysis),
    file,
    program: ffmpeg,
    ...(stdin && { stdin }),
    args: [
      ...['-hide_banner', '-nostats', '-loglevel', 'level+info', ...(stdin ? [] : ['-nostdin'])],
      ...['-max_alloc', `${2 ** 29 + 2 ** 20}`, '-copyts'],
      // FFmpeg would look for more streams for five seconds.
      ...(source.kind === 'url' ? ['-analyzeduration', `${1e6 * analysis}`] : []),
      ...source.input,
      ...['-map', '0:v:0', '-vf', [log.filter, ...squareFilters(request)].join(',')],
      ...['-f', 'rawvideo', '-pix_fmt', 'rgb24', ...everyFrame(version), 'pipe:1'],
    ],
    onLine: (line) => {
      log.add(line)
      const size = / s:(\d+)x(\d+) /.exec(line)
      if (size && sizes.length < log.pts.length)
        sizes.push({ width: Number(size[1]), height: Number(size[2]) })
      drain()
    },
    onOutput: (piece) => {
      pending.push(piece)
      buffered += piece.length
      drain()
      return true
    },
  })
    .catch((error: unknown) => {
      if (!lost.signal.aborted || signal?.aborted) throw error
      return undefined
    })
    .finally(() => clearTimeout(timer))
  if (!errors) return { frames, reason: `no frame came for ${patience} s` }
  drain()
  const reason = errors.length > 0 ? reasonFrom(errors, file) : undefined
  return { frames, reason: source.secret ? reason?.replaceAll(source.secret, '') : reason }
}

/** The filters that make test squares of pictures of any size, as `cropRectangle` and `scaledSize` have them. */
function squareFilters({
  shortSide,
  scaling,
  crop,
}: PictureRequest & { readonly crop: { readonly size: number } }): string[] {
  if (scaling === 'bilinear') return ['format=rgb24']
  const { size } = crop
  const short = shortSide ?? size
  return [
    `scale=w='if(lt(iw,ih),${short},floor(iw*${short}/ih))':h='if(lt(iw,ih),floor(ih*${short}/iw),${short})':flags=bilinear`,
    'format=rgb24',
    `crop=${size}:${size}:ceil((iw-${size})/2):ceil((ih-${size})/2)`,
  ]
}

/** Seconds from the first frame, which never go back: where a stream's times jump, they go on by a usual step. */
function createSourceClock(log: FrameLog, onJump: ((seconds: number) => void) | undefined) {
  let [time, step, before] = [0, 1 / 30, Number.NaN]
  return (ticks: number): number => {
    const { numerator, denominator } = log.timeBase ?? { numerator: 1, denominator: 1 }
    const pts = (ticks * numerator) / denominator
    const isFirst = Number.isNaN(before)
    const passed = isFirst ? 0 : pts - before
    before = pts
    if (passed > 0 && passed <= JUMP) {
      time += passed
      step = passed
    } else if (!isFirst) {
      time += step
      // Two frames of one time are no jump.
      if (passed < 0 || passed > JUMP) onJump?.(passed)
    }
    return time
  }
}
