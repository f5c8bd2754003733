/** Paints scenes: frames as RGB bytes. */
import type { Size } from '../../frames/geometry.ts'
import type { Random } from '../../network/random.ts'
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
  const values = width * height * 3
  const clip = new Uint8Array(times.length * values)
  const table = noise?.table ?? new Float32Array(NOISE_VALUES)
  const background = stretch(scene.background, width, height)
  const frame = new Float32Array(values)
  for (const [i, time] of times.entries()) {
    const shake = shakeAt(scene, time)
    paintBackground(frame, width, height, background, shake)
    for (const shape of scene.shapes) paintShape(frame, width, height, scene, shape, time, shake)
    const offset = noise ? noise.random.integer(NOISE_VALUES) : 0
    const deviation = noise ? scene.noise : 0
    const target = clip.subarray(i * values, (i + 1) * values)
    for (let k = 0; k < values; k++) {
      const value = frame[k]! + deviation * table[(offset + k) & (NOISE_VALUES - 1)]! + 0.5
      target[k] = value < 0 ? 0 : value > 255 ? 255 : value
    }
  }
  return clip
}

/** Standard normal values to take noise from: drawing each anew would take longer than all the rest. */
export function noiseTable(random: Random): Float32Array {
  return Float32Array.from({ length: NOISE_VALUES }, () => random.normal())
}

/** RGB values of a picture, row-major. */
interface Picture {
  readonly width: number
  readonly height: number
  readonly data: Float32Array
}

/** The background at the picture's resolution, with its border, interpolated between the texture's pixels. */
function stretch({ side, data }: Texture, width: number, height: number): Picture {
  const border = Math.ceil(BORDER * height)
  const whole = { width: width + 2 * border + 1, height: height + 2 * border + 1 }
  const values = new Float32Array(whole.width * whole.height * 3)
  let target = 0
  for (let row = 0; row < whole.height; row++) {
    const y = (row * (side - 1)) / whole.height
    const down = y - Math.floor(y)
    for (let column = 0; column < whole.width; column++) {
      const x = (column * (side - 1)) / whole.width
      const right = x - Math.floor(x)
      const at = (Math.floor(y) * side + Math.floor(x)) * 4
      const under = at + side * 4
      for (let c = 0; c < 3; c++) {
        const upper = data[at + c]! + (data[at + 4 + c]! - data[at + c]!) * right
        const lower = data[under + c]! + (data[under + 4 + c]! - data[under + c]!) * right
        values[target++] = upper + (lower - upper) * down
      }
    }
  }
  return { ...whole, data: values }
}

/** The part of the background that the shaking camera sees, moved by fractions of a pixel. */
function paintBackground(
  frame: Float32Array,
  width: number,
  height: number,
  background: Picture,
  shake: { readonly x: number; readonly y: number },
): void {
  const { data } = background
  const [x, y] = [(BORDER - shake.x) * height, (BORDER - shake.y) * height]
  const [column, row] = [Math.floor(x), Math.floor(y)]
  const [right, down] = [x - column, y - row]
  const line = background.width * 3
  let target = 0
  for (let i = 0; i < height; i++) {
    const from = (row + i) * line + column * 3
    for (let j = from; j < from + width * 3; j++) {
      const upper = data[j]! + (data[j + 3]! - data[j]!) * right
      const lower = data[j + line]! + (data[j + line + 3]! - data[j + line]!) * right
      frame[target++] = upper + (lower - upper) * down
    }
  }
}

function paintShape(
  frame: Float32Array,
  width: number,
  height: number,
  scene: Scene,
  shape: Shape,
  time: number,
  shake: { readonly x: number; readonly y: number },
): void {
  const placed = placeShape(scene, shape, time)
  if (placed.opacity === 0) return
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
