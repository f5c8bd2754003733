/** Pictures of a video while it plays, as the server takes them. */

/** Milliseconds from one picture to the next at least: thirty a second. */
const EVERY_MS = 1000 / 30 - 4
const QUALITY = 0.92
/** A little larger than the network's, so that what is lost to JPEG is not seen. */
const LARGER = 1.25

export interface CaptureOptions {
  readonly video: HTMLVideoElement
  /** Pixels of the short side that the network sees. */
  readonly shortSide: number
  readonly isWanted: () => boolean
  readonly take: (picture: ArrayBuffer) => void
}

/** Takes pictures until it is stopped. @returns stops it */
export function capture({ video, shortSide, isWanted, take }: CaptureOptions): () => void {
  const canvas = document.createElement('canvas')
  const context = canvas.getContext('2d')
  let [isOver, isBusy, latest] = [false, false, 0]
  const look = () => {
    if (isOver) return
    next()
    const now = performance.now()
    const { videoWidth, videoHeight } = video
    if (isBusy || video.paused || videoWidth === 0 || now - latest < EVERY_MS || !isWanted() || !context)
      return
    latest = now
    const scale = Math.min(1, Math.round(LARGER * shortSide) / Math.min(videoWidth, videoHeight))
    const [width, height] = [Math.round(scale * videoWidth), Math.round(scale * videoHeight)]
    if (canvas.width !== width) canvas.width = width
    if (canvas.height !== height) canvas.height = height
    context.drawImage(video, 0, 0, width, height)
    isBusy = true
    canvas.toBlob(
      (blob) => {
        void blob?.arrayBuffer().then((picture) => {
          if (!isOver) take(picture)
        })
        isBusy = false
      },
      'image/jpeg',
      QUALITY,
    )
  }
  // Where the browser tells of frames, none is sent twice.
  const next = () => {
    if ('requestVideoFrameCallback' in video) video.requestVideoFrameCallback(look)
    else requestAnimationFrame(look)
  }
  next()
  return () => {
    isOver = true
  }
}
