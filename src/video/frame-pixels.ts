/**
 * The pixels of frames as they arrive from FFmpeg, in pieces of any length. FFmpeg scales them itself, antialiased; what
 * is to be scaled otherwise arrives as it is in the video and is scaled here, frame by frame.
 */
import type { PictureLayout, Size } from '../frames/geometry.ts'
import { createScaler } from '../frames/scale.ts'

export interface FramePixels {
  /** Takes a piece; false where there is no room for it. */
  add(piece: Uint8Array): boolean
  /** Whole frames that have arrived. */
  readonly frames: number
}

/** Whether frames are scaled, cropped and mirrored here rather than by FFmpeg. */
export const isScaledHere = ({ isScaled, scaling, native, scaled }: PictureLayout): boolean =>
  isScaled && scaling === 'bilinear' && (native.width !== scaled.width || native.height !== scaled.height)

/** @param room [frames, H, W, 3] of the size that comes out, filled from its start */
export function createFramePixels(layout: PictureLayout, room: Uint8Array): FramePixels {
  const bytes = bytesOf(layout.output)
  return isScaledHere(layout) ? scaling(layout, room, bytes) : copying(room, bytes)
}

function copying(room: Uint8Array, bytes: number): FramePixels {
  let received = 0
  return {
    add(piece) {
      if (received + piece.length > room.length) return false
      room.set(piece, received)
      received += piece.length
      return true
    },
    get frames() {
      return Math.floor(received / bytes)
    },
  }
}

function scaling(layout: PictureLayout, room: Uint8Array, bytes: number): FramePixels {
  const scale = createScaler(layout)
  const frame = new Uint8Array(bytesOf(layout.native))
  let [held, frames] = [0, 0]
  return {
    add(piece) {
      for (let at = 0; at < piece.length; ) {
        if ((frames + 1) * bytes > room.length) return false
        const part = piece.subarray(at, at + frame.length - held)
        frame.set(part, held)
        held += part.length
        at += part.length
        if (held < frame.length) continue
        scale(frame, room.subarray(frames * bytes, (frames + 1) * bytes))
        held = 0
        frames++
      }
      return true
    },
    get frames() {
      return frames
    },
  }
}

const bytesOf = ({ width, height }: Size): number => width * height * 3
