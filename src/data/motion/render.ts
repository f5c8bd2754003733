/** Paints scenes: frames as RGB bytes. */
import type { Random } from '../../network/random.ts'
import type { Size } from '../../video/geometry.ts'
import { placeShape, type Scene, type Shape, shakeAt } from './scene.ts'
import type { Texture } from './textures.ts'

/** How much of the background lies outside the picture on each side, for the camera's shake; frame heights. */
const BORDER = 0.04
/** A power of two. */
const NOISE_VALUES = 2 ** 17

/**
 * Paints a clip's frames one after the other, [frames, H, W, 3].
 *
 * @param noise where each frame's noise comes from; without it there is none
 */
export function renderScene(
  scene: Scene,
  { width, height }: Size,
  times: readonly number[],
  noise?: { readonly table: Float32Array; readonly random: Random },
): Uint8Array {
  const frameBytes = width * height * 3
  const clip = new Uint8ClampedArray(times.length * frameBytes)
  for (const [i, time] of times.entries()) {
    const frame = clip.subarray(i * frameBytes, (i + 1) * frameBytes)
    const shake = shakeAt(scene, time)
    paintBackground(frame, width, height, scene.background, shake)
    for (const shape of scene.shapes) paintShape(frame, width, height, scene, shape, time, shake)
    if (noise) addNoise(frame, noise.table, noise.random.integer(NOISE_VALUES), scene.noise)
  }
  return new Uint8Array(clip.buffer)
}

/** Standard normal values to take noise from: drawing each anew would take longer than all the rest. */
export function noiseTable(random: Random): Float32Array {
  return Float32Array.from({ length: NOISE_VALUES }, () => random.normal())
}

/** Stretches the background over the picture and its border, interpolating between its pixels. */
function paintBackground(
  frame: Uint8ClampedArray,
  width: number,
  height: number,
  { side, data }: Texture,
  shake: { readonly x: number; readonly y: number },
): void {
  const scaleX = (side - 1) / (width / height + 2 * BORDER) / height
  const scaleY = (side - 1) / (1 + 2 * BORDER) / height
  const left = (BORDER - shake.x) * height
  const top = (BORDER - shake.y) * height
  // Down first, one line of the background's own width, then along it.
  const line = new Float32Array(side * 4)
  let target = 0
  for (let row = 0; row < height; row++) {
    const y = (row + top) * scaleY
    const above = Math.floor(y)
    const down = y - above
    const from = above * side * 4
    for (let i = 0; i < line.length; i++) {
      line[i] = data[from + i]! + (data[from + line.length + i]! - data[from + i]!) * down
    }
    for (let column = 0; column < width; column++) {
      const x = (column + left) * scaleX
      const before = Math.floor(x)
      const right = x - before
      const at = before * 4
      frame[target] = line[at]! + (line[at + 4]! - line[at]!) * right
      frame[target + 1] = line[at + 1]! + (line[at + 5]! - line[at + 1]!) * right
      frame[target + 2] = line[at + 2]! + (line[at + 6]! - line[at + 2]!) * right
      target += 3
    }
  }
}

function paintShape(
  frame: Uint8ClampedArray,
  width: number,
  height: number,
  scene: Scene,
  shape: Shape,
  time: number,
  shake: { readonly x: number; readonly y: number },
): void {
  const placed = placeShape(scene, shape, time)
  const [middleX, middleY] = [(placed.x + shake.x) * height, (placed.y + shake.y) * height]
  const radius = placed.radius * height
  const [firstRow, lastRow] = [
    Math.max(0, Math.ceil(middleY - radius)),
    Math.min(height - 1, middleY + radius),
  ]
  const [firstColumn, lastColumn] = [
    Math.max(0, Math.ceil(middleX - radius)),
    Math.min(width - 1, middleX + radius),
  ]
  const { side, data } = shape.sprite
  // Turned back by the angle and scaled to the sprite's pixels.
  const cosine = (Math.cos(2 * Math.PI * placed.angle) * side) / (2 * radius)
  const sine = (Math.sin(2 * Math.PI * placed.angle) * side) / (2 * radius)
  const strength = placed.opacity / 255
  for (let row = firstRow; row <= lastRow; row++) {
    const dy = row - middleY
    for (let column = firstColumn; column <= lastColumn; column++) {
      const dx = column - middleX
      const x = Math.floor(cosine * dx + sine * dy + side / 2)
      const y = Math.floor(cosine * dy - sine * dx + side / 2)
      if (x < 0 || y < 0 || x >= side || y >= side) continue
      const from = (y * side + x) * 4
      const opacity = data[from + 3]! * strength
      if (opacity === 0) continue
      const target = (row * width + column) * 3
      for (let c = 0; c < 3; c++) {
        frame[target + c] = frame[target + c]! + (data[from + c]! - frame[target + c]!) * opacity
      }
    }
  }
}

function addNoise(frame: Uint8ClampedArray, table: Float32Array, offset: number, deviation: number): void {
  for (let i = 0; i < frame.length; i++) {
    frame[i] = frame[i]! + deviation * table[(offset + i) & (NOISE_VALUES - 1)]!
  }
}
