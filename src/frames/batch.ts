/** Pixels in memory, as data sets give them and engines take them. */

/**
 * A batch of clips (or images: one frame), RGB, row-major [batch, frames, height, width, 3]. Bytes are
 * 0–255 and are normalised by the plan; floats are taken as they are.
 */
export interface FrameBatch {
  readonly data: Uint8Array | Float32Array
  readonly batch: number
  readonly frames: number
  readonly height: number
  readonly width: number
}

/** One batch for every input node of the network, by its name. All have the same batch size. */
export type Inputs = Readonly<Record<string, FrameBatch>>

/** One clip of a video, or a picture, decoded. */
export interface Clip {
  /** 8-bit RGB, row-major [T, H, W, 3]. */
  readonly data: Uint8Array
  /** T. */
  readonly frames: number
  readonly height: number
  readonly width: number
  /** For each frame, the time of the video's frame it shows, in seconds from the video's first frame. */
  readonly times: readonly number[]
}
